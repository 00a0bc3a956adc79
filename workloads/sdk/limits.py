"""What a form refuses beyond its own JSON schema, as an endpoint's OpenAPI text says it.

The schema of a form is a part of every version's signature: with another one, versions from before could not be served
any more. Its limits may be told more closely with every release of the code.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True, eq=False)
class Limits:
    """In a field's annotation: the field's JSON schema with its limits, of which the rest of its own is kept."""

    schema: dict[str, Any]


def limited(form: type[BaseModel], schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a form, with the limits of its fields."""
    fields = dict(schema.get("properties", {}))
    for name, field in form.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Limits):
                kept = {key: fields[name][key] for key in ("title", "description") if key in fields[name]}
                fields[name] = kept | mark.schema
    return {**schema, "properties": fields} if fields else schema
