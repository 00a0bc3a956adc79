"""MLflow's scoring protocol: from the body of `POST /invocations` to a request of the model's own.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally describes the forms. A table in one of them becomes
rows by their columns' names; rows without names become what the model's request calls its rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workloads.sdk.serving.http.request import Refusal

FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
TABLE = (NAMED, LISTED) = ("rows", "features")  # the fields of a table's request: by names, and by order


def body_of(content: bytes, fields: Sequence[str]) -> dict[str, Any]:
    """The body of the same request at `/predict`.

    Args:
        content: JSON, in which NaN is a missing value, as pandas writes it.
        fields: the names that the model's request has.

    Raises:
        Refusal: it is none of the forms, or of one that this model has no rows for.
    """
    try:
        given = json.loads(content, parse_constant=lambda name: None)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "not_json", f"the body is not JSON: {error}") from None
    if not isinstance(given, dict) or len(form := [name for name in FORMS if name in given]) != 1:
        raise _refused(None, f"the body must hold one of {', '.join(FORMS)}")
    if more := sorted(given.keys() - {*form, "params"}) or ([] if not given.get("params") else ["params"]):
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
