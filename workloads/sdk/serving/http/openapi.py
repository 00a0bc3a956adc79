"""The endpoint's OpenAPI text, made from the models that validate, and a page that shows it and lets one try.

The page carries all it needs (`docs.html`), so it works without a network.
"""

import json
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from workloads.sdk.contract import Predictor
from workloads.sdk.limits import limited
from workloads.sdk.serving.http.request import VERSION
from workloads.sdk.serving.http.scoring import forms_of

PAGE = Path(__file__).with_name("docs.html")
REF = "#/components/schemas/"
TEXT, MAYBE = {"type": "string"}, {"type": ["string", "null"]}
NUMBER, WHOLE = {"type": "number"}, {"type": "integer"}
HEADERS = {
    "X-Prediction-Id": {"description": "As in the body.", "schema": {"type": "string", "format": "uuid"}},
    "X-Model-Version": {"description": "As in the body.", "schema": {"type": "string"}},
}
ASKED = {
    "name": "version",
    "in": "query",
    "description": "This version instead of the live one: 1.2.0 (released) or 7 (registered).",
    "schema": {"type": "string", "pattern": f"^(?:{VERSION.pattern})$"},
}
UNREAD = {  # how a body is refused that was not read
    "400": "The body is not JSON.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is of another media type.",
}
UNSERVED = {  # how a version is refused that was asked for
    "404": "There is no such version.",
    "409": "The version that was asked for is not what was stored.",
    "422": "What was asked for is no version.",
    "503": "No version is served yet, or the one that was asked for does not load.",
}


def openapi(endpoint: str, route: str, kind: type[Predictor], request: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI 3.1 of an endpoint under `route` that takes such requests."""
    names, schemas = described({request: "validation", kind.Prediction: "serialization"})
    taken = names[request]
    schemas |= _schemas(names[kind.Prediction])
    wrong = {"422": "The body is no input of this model, or what was asked for no version; the error names the field."}
    refused = errors(UNREAD | UNSERVED | wrong)
    predict = {
        "summary": "Predict",
        "description": (kind.__doc__ or "").strip(),
        "parameters": [ASKED],
        "requestBody": _body(taken),
        "responses": {
            "200": answer("One prediction for each row.", "EndpointAnswer") | {"headers": HEADERS},
            **refused,
        },
    }
    known = {"description": "A request.", "content": {"application/json": {"schema": {"type": "object"}}}}
    example = {
        "operationId": "example",
        "summary": "A request that the version is known to answer",
        "parameters": [ASKED],
        "responses": {"200": known, **errors(UNSERVED)},
    }
    invocations = {
        "summary": "Predict, in the forms that MLflow's clients send",
        "requestBody": _body(forms_of(schemas[request.__name__], taken["$ref"])),
    }
    paths = {
        "/predict": {"post": {"operationId": "predict", **predict}},
        "/invocations": {"post": {"operationId": "invocations", **predict, **invocations}},
        "/ping": {"get": get("ping", "The same as /health, as MLflow calls it", "EndpointHealth", also={"503"})},
        **paths_of_all(),
        "/example": {"get": example},
    }
    return text(endpoint, route, f"Predictions of `{endpoint}`.", paths, schemas)


def described(forms: dict[type[BaseModel], Any]) -> tuple[dict[type[BaseModel], Any], dict[str, Any]]:
    """References to some forms, each in its mode, and the schemas that these refer to, with all limits."""
    models: Any = list(forms.items())
    names, definitions = models_json_schema(models, ref_template=REF + "{model}")
    schemas = definitions.get("$defs", {})
    found = {form: names[form, mode] for form, mode in models}
    for form, reference in found.items():
        name = reference["$ref"].removeprefix(REF)
        schemas[name] = limited(form, schemas[name])
    return found, schemas


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def text(endpoint: str, route: str, about: str, paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The whole text, of its parts; those schemas that all endpoints have are added."""
    return {
        "openapi": "3.1.0",
        "info": {"title": endpoint, "version": "1", "description": about},
        "servers": [{"url": route.rstrip("/") or "/"}],
        "paths": paths,
        "components": {"schemas": {**schemas, **schemas_of_all()}},
    }


def paths_of_all() -> dict[str, Any]:
    """The routes that every endpoint has."""
    info = get("info", "Where the version comes from, and what it takes", "EndpointInfo") | {"parameters": [ASKED]}
    info["responses"] |= errors(UNSERVED)
    counted = {"description": "Counters.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    metrics = {"operationId": "metrics", "summary": "Counters, as Prometheus reads them", "responses": {"200": counted}}
    return {
        "/metrics": {"get": metrics},
        "/health": {"get": get("health", "Whether a version is served", "EndpointHealth", also={"503"})},
        "/versions": {"get": get("versions", "Which versions may be asked for, newest first", "EndpointVersions")},
        "/info": {"get": info},
    }


def page(openapi: dict[str, Any], version: str | None, example: dict[str, Any] | None) -> bytes:
    """The HTML page of an OpenAPI text; `example` is a request that the served version is known to answer."""
    operations = [
        (path, method.upper(), operation)
        for path, item in openapi["paths"].items()
        for method, operation in item.items()
    ]
    values = {
        "title": escape(openapi["info"]["title"]),
        "version": escape(version or "no version is served"),
        "server": escape(openapi["servers"][0]["url"].rstrip("/")),
        "operations": "\n".join(_operation(*operation, example=example) for operation in operations),
        "schemas": "\n".join(
            f"<details><summary>{escape(name)}</summary><pre>{_pretty(schema)}</pre></details>"
            for name, schema in openapi["components"]["schemas"].items()
        ),
    }
    return Template(PAGE.read_text(encoding="utf-8")).substitute(values).encode()


def _operation(path: str, method: str, operation: dict[str, Any], example: dict[str, Any] | None) -> str:
    answers = "\n".join(
        f"<tr><td><code>{status}</code></td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    body = ""
    if method != "GET" or "{" in path:
        body = "".join(_input(one) for one in operation.get("parameters", []))
    if "security" in operation:
        body += '<label>key <input name="key" data-in="key" type="password" autocomplete="off"></label>'
    if "requestBody" in operation:
        shown = json.dumps(operation.get("x-example") or _first_rows(example))
        body += f'<label>Body<textarea spellcheck="false">{escape(shown)}</textarea></label>'
    name = f"<code>{escape(path)}</code> <small>{escape(operation['summary'])}</small>"
    return f"""<section data-method="{method}" data-path="{escape(path)}">
<h2><span class="{method.lower()}">{method}</span> {name}</h2>
<p>{escape(operation.get("description", ""))}</p>
{body}
<p><button>Send</button> <output></output></p>
<pre class="answer" hidden></pre>
<details><summary>Answers</summary><table>{answers}</table></details>
</section>"""


def _input(one: dict[str, Any]) -> str:
    hint = "the live one" if one is ASKED else ""
    return (
        f'<label title="{escape(one["description"])}">{escape(one["name"])} <input name="{escape(one["name"])}" '
        f'data-in="{one["in"]}" placeholder="{hint}"></label>'
    )


def _first_rows(example: dict[str, Any] | None) -> dict[str, Any]:
    """A request cut to its first row, to be readable."""
    return {name: value[:1] if isinstance(value, list) else value for name, value in (example or {}).items()}


def _pretty(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))


def get(name: str, summary: str, schema: str, also: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    responses = {status: answer(summary + ".", schema) for status in ("200", *sorted(also))}
    return {"operationId": name, "summary": summary, "responses": responses}


def errors(reasons: dict[str, str]) -> dict[str, Any]:
    """Answers that are errors, by status."""
    return {status: answer(why, "EndpointError") for status, why in sorted(reasons.items())}


def answer(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": REF + schema}}}
    return {"description": description, "content": content}


def shape(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


def _schemas(prediction: dict[str, Any]) -> dict[str, Any]:
    text, number = TEXT, NUMBER
    return {
        "EndpointAnswer": shape(
            {
                "predictions": {"type": "array", "items": prediction},
                "prediction_id": {"type": "string", "format": "uuid"},
                "version": text,
                "release_id": {"type": ["integer", "null"]},
                "model_uri": text,
                "timestamp": {"type": "string", "format": "date-time"},
                "processing_time_ms": number,
            }
        ),
    }


def schemas_of_all() -> dict[str, Any]:
    """The answers that every endpoint gives."""
    text, maybe, number, whole, truth = TEXT, MAYBE, NUMBER, WHOLE, {"type": "boolean"}
    log = shape({"queued": whole, "written": whole, "lost": whole})
    return {
        "EndpointError": shape({"error": shape({"code": text, "message": text, "field": maybe})}),
        "EndpointHealth": shape(
            {
                "status": {"type": "string", "enum": ["loading", "healthy", "unhealthy", "not_ready"]},
                "model_loaded": {"type": "boolean"},
                "model_uri": maybe,
                "version": maybe,
                "uptime_seconds": number,
                "error": maybe,
                "log": log,
            }
        ),
        "EndpointVersions": shape(
            {
                "service": text,
                "live": maybe,
                "versions": {
                    "type": "array",
                    "items": shape(
                        {
                            "version": text,
                            "number": whole,
                            "released": truth,
                            "live": truth,
                            "loaded": truth,
                            "model_uri": text,
                            "digest": text,
                            "data_version": text,
                            "trained_at": text,
                        }
                    ),
                },
            }
        ),
        "EndpointInfo": shape(
            {
                "service": text,
                "status": text,
                "model_uri": text,
                "version": text,
                "release_id": {"type": ["integer", "null"]},
                "plan": whole,
                "run_id": text,
                "data_version": text,
                "data_digest": text,
                "code_version": text,
                "trained_at": text,
                "digest": text,
                "request_schema": {"type": "object", "description": "Of a model's endpoint."},
                "prediction_schema": {"type": "object", "description": "Of a model's endpoint."},
                "parts": {"type": "object", "description": "Of an application: the release of each."},
                "log": log,
            },
            required=["service", "status", "log"],
        ),
    }
