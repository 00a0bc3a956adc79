"""MLflow's scoring protocol: from the body of `POST /invocations` to a request of the model's own.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally describes the forms. A table in one of them becomes
rows by their columns' names; rows without names become what the model's request calls its rows.
"""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import orjson

from workloads.sdk.serving.http.request import Refusal

FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
TABLE = (NAMED, LISTED) = ("rows", "features")  # the fields of a table's request: by names, and by order


def forms_of(request: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """The JSON schema of all forms, of the schema of the model's own request and a reference to that."""
    fields = list(request["properties"])
    rows: dict[str, Any]
    split: dict[str, Any]
    if set(TABLE) <= set(fields):
        named, listed = ({"$ref": f"{reference}/properties/{name}"} for name in TABLE)
        columns = [each["title"] for each in request["properties"][LISTED]["items"].get("prefixItems", [])]
        rows = {"anyOf": [named, listed]}
        split = {"columns": {"const": columns} if columns else {"type": "array"}, "data": listed}
    elif len(fields) == 1:
        own = f"{reference}/properties/{fields[0]}"
        row = {"$ref": f"{own}/items"}
        bounds: dict[str, Any] = {"type": "array", "minItems": 1}
        if most := request["properties"][fields[0]].get("maxItems"):
            bounds["maxItems"] = most
        alone = {"type": "object", "minProperties": 1, "maxProperties": 1}
        together = {**alone, "additionalProperties": {"$ref": own}}
        apart = {**bounds, "items": {**alone, "additionalProperties": row}}
        rows = {"anyOf": [{"$ref": own}, apart, together]}
        one = {"type": "array", "minItems": 1, "maxItems": 1}
        split = {"columns": one, "data": {**bounds, "items": {**one, "items": row}}}
    else:  # such a model cannot be asked so
        return {"type": "object", "maxProperties": 0, "minProperties": 1}
    table = {"type": "object", "properties": split, "required": list(split)}
    params = {"type": ["object", "null"], "maxProperties": 0}
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {form: table if form == "dataframe_split" else rows, "params": params},
                "required": [form],
                "additionalProperties": False,
            }
            for form in FORMS
        ]
    }


def body_of(content: bytes, fields: Sequence[str]) -> dict[str, Any]:
    """The body of the same request at `/predict`.

    Args:
        content: JSON, in which NaN is a missing value, as pandas writes it.
        fields: the names that the model's request has.

    Raises:
        Refusal: it is none of the forms, or of one that this model has no rows for.
    """
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            given = json.loads(content, parse_constant=lambda name: None, parse_float=_number)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, "not_json", f"the body is not JSON: {error}") from None
    if not isinstance(given, dict) or len(form := [name for name in FORMS if name in given]) != 1:
        raise _refused(None, f"the body must hold one of {', '.join(FORMS)}")
    if more := sorted(given.keys() - {*form, "params"}) or ([] if given.get("params") in (None, {}) else ["params"]):
        raise _refused(more[0], "is not taken")
    rows = _rows(form[0], given[form[0]])
    named = isinstance(rows, list) and bool(rows) and all(isinstance(row, Mapping) for row in rows)
    if set(TABLE) <= set(fields):
        return {NAMED if named else LISTED: rows}
    if named and all(len(row) == 1 for row in rows):  # a table of one column
        rows, named = [next(iter(row.values())) for row in rows], False
    if isinstance(rows, list) and len(fields) == 1 and not named:
        return {fields[0]: rows}
    raise _refused(form[0], f"must be a list of rows; /predict takes {', '.join(fields)}")


def _number(text: str) -> float:
    if not isfinite(number := float(text)):
        raise _refused(None, f"{text[:40]} is too large for a number")
    return number


def _rows(form: str, value: Any) -> Any:
    """Rows as objects where they have names, else as they are."""
    if form == "dataframe_split":
        columns, data = (value.get(key) if isinstance(value, dict) else None for key in ("columns", "data"))
        if not (isinstance(columns, list) and isinstance(data, list)):
            raise _refused(form, "must have the lists columns and data")
        for at, row in enumerate(data):
            if not isinstance(row, list) or len(row) != len(columns):
                raise _refused(f"{form}.data[{at}]", f"must be a list of {len(columns)} cells")
        return [dict(zip(map(str, columns), row, strict=True)) for row in data]
    if isinstance(value, dict):  # columns
        cells = [cell if isinstance(cell, list) else [cell] for cell in value.values()]
        if len({len(cell) for cell in cells}) > 1:
            raise _refused(form, "has columns of different lengths")
        return [dict(zip(value, row, strict=True)) for row in zip(*cells, strict=True)]
    return value


def _refused(field: str | None, reason: str) -> Refusal:
    return Refusal(422, "invalid_input", reason, field)
