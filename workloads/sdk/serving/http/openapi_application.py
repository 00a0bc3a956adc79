"""An application's OpenAPI text, made from its routes."""

import re
from inspect import getdoc
from typing import Any

from pydantic.json_schema import models_json_schema

from workloads.sdk.contract.applications import App, Route
from workloads.sdk.serving.http.openapi import ASKED, HEADERS, REF, answer, paths_of_all, text

REFUSED = {
    "400": "The body is not JSON.",
    "404": "There is no such thing.",
    "413": "The body is too large.",
    "415": "The body is of another media type.",
    "422": "The body is not what is asked for; the error names the field.",
    "502": "A service that the answer needs failed.",
    "503": "No version is served yet, or a service that the answer needs is away; try again.",
}


def openapi(endpoint: str, route: str, kind: type[App]) -> dict[str, Any]:
    """OpenAPI 3.1 of an application under `route`."""
    models = [(form, "validation") for form in dict.fromkeys(kind.forms())]
    names, definitions = models_json_schema(models, ref_template=REF + "{model}")  # type: ignore[arg-type]
    forms = {form: names[form, "validation"] for form, _ in models}
    paths: dict[str, Any] = {}
    for one in kind.routes:
        paths.setdefault(one.path, {})[one.verb.lower()] = _operation(one, kind, forms)
    made = text(
        endpoint, route, (getdoc(kind) or endpoint).split("\n")[0],
        {**paths, **paths_of_all()}, definitions.get("$defs", {}),
    )  # fmt: skip
    made["components"]["securitySchemes"] = {"admin": {"type": "http", "scheme": "bearer"}}
    return made


def _operation(route: Route, kind: type[App], forms: dict[Any, Any]) -> dict[str, Any]:
    summary, _, description = (getdoc(getattr(kind, route.method)) or route.method).partition("\n")
    names = re.findall(r"\{(\w+)\}", route.path)
    parts = [
        {"name": name, "in": "path", "required": True, "description": f"The {name}.", "schema": {"type": "string"}}
        for name in names
    ]
    refused = {code: answer(why, "EndpointError") for code, why in REFUSED.items()}
    if route.admin:
        refused["401"] = answer("The admin key is missing or wrong.", "EndpointError")
    given = {"application/json": {"schema": forms[route.answer]}} if route.answer else {}
    operation = {
        "operationId": route.method,
        "summary": summary.rstrip("."),
        "description": description.strip(),
        "parameters": [*parts, ASKED],
        "responses": {"200": {"description": "The answer.", "content": given, "headers": HEADERS}, **refused},
    }
    if route.request:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": forms[route.request]}},
        }
        operation["x-example"] = next(iter(route.request.model_json_schema().get("examples", [])), {})
    if route.admin:
        operation["security"] = [{"admin": []}]
    return operation
