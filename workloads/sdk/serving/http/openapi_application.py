"""An application's OpenAPI text, made from its routes."""

import re
from inspect import getdoc
from typing import Any

from workloads.sdk.contract.applications import App, Route
from workloads.sdk.serving.http.openapi import (
    ASKED,
    HEADERS,
    TEXT,
    UNREAD,
    UNSERVED,
    described,
    errors,
    paths_of_all,
    shape,
    text,
)

REFUSED = UNSERVED | {
    "404": "There is no such thing.",
    "422": "The body is not what is asked for, or what was asked for is no version; the error names the field.",
    "502": "A service that the answer needs failed.",
    "503": "No version is served yet, or a service that the answer needs is away; try again.",
    "504": "The answer took too long.",
}


def openapi(endpoint: str, route: str, kind: type[App]) -> dict[str, Any]:
    """OpenAPI 3.1 of an application under `route`."""
    forms, schemas = described(dict.fromkeys(kind.forms(), "validation"))
    paths: dict[str, Any] = {}
    for one in kind.routes:
        paths.setdefault(one.path, {})[one.verb.lower()] = _operation(one, kind, forms)
    made = text(
        endpoint, route, (getdoc(kind) or endpoint).split("\n")[0],
        {**paths, **paths_of_all()}, schemas,
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
    unread = UNREAD if route.verb == "POST" else {}
    refused = errors(REFUSED | unread | ({"401": "The admin key is missing or wrong."} if route.admin else {}))
    given: dict[str, Any] = {"application/json": {"schema": forms[route.answer]}} if route.answer else {}
    if route.streams:
        given["text/event-stream"] = {"schema": shape({"event": TEXT, "data": TEXT})}  # of each event
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
