"""What a table's endpoint reads: rows that name their columns (`rows`), or cells in the columns' order (`features`).

A column that a row does not name is missing in it, and so is `null`; what is no column is refused.
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from workloads.sdk.contract import InvalidInput
from workloads.sdk.kits.tables.column import Column, WrongCell
from workloads.sdk.kits.tables.columns import LARGEST, Number
from workloads.sdk.kits.tables.rows import Columns, Rows, of_numbers, of_values
from workloads.sdk.limits import Limits

MOST_ROWS = 1000
FORMS = ("rows", "features")


class TableRequest(BaseModel):
    """Rows to predict, in one of two forms."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": [form]} for form in ("rows", "features")]}
    )

    rows: Any = None
    features: Any = None

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, body: Any) -> Any:
        given = [form for form in FORMS if isinstance(body, dict) and form in body]
        if len(given) != 1:
            raise ValueError("give either rows (objects) or features (lists)")
        (form,) = given
        if not isinstance(rows := body[form], list):
            raise ValueError(f"{form} must be a list of rows")
        if not 1 <= len(rows) <= MOST_ROWS:
            raise ValueError(f"{form} must hold 1 to {MOST_ROWS} rows, not {len(rows)}")
        return body


def request_of(columns: Columns | None = None, most: float = LARGEST) -> type[TableRequest]:
    """The request of a table with these columns; None: the model itself knows them, once it is loaded.

    Args:
        most: the largest number that its model computes with, see `reach.py`.
    """
    learned = _learned(columns or {})

    def forms(cells: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        named: dict[str, Any] = {"type": "object", "properties": cells, "additionalProperties": columns is None}
        listed: dict[str, Any] = {"type": "array", "items": {}, "minItems": 1}
        if columns is not None:
            titled = [{"title": name, **schema} for name, schema in cells.items()]
            listed = {"type": "array", "prefixItems": titled, "minItems": len(cells), "maxItems": len(cells)}
        rows: dict[str, Any] = {"type": "array", "minItems": 1, "maxItems": MOST_ROWS}
        return {**rows, "items": named}, {**rows, "items": listed}

    made = forms({name: column.json_schema() for name, column in learned.items()})
    limits = forms({name: column.limits(most) for name, column in learned.items()})

    def field(at: int, text: str) -> Any:
        return (Annotated[Any, Limits(limits[at])], Field(None, description=text, json_schema_extra=made[at]))

    return create_model(
        "Request",
        __base__=TableRequest,
        __doc__=TableRequest.__doc__,
        rows=field(0, "Rows by the names of their columns; what is not named, or null, is missing."),
        features=field(1, "Rows as lists of cells, in the order of the columns."),
    )


def rows_of(request: TableRequest, columns: Columns, most: float = LARGEST) -> Rows:
    """The request's rows.

    Raises InvalidInput with place and reason where a cell is not what its column holds, or a number larger than `most`.
    """
    learned = _learned(columns)
    form = "features" if request.rows is None else "rows"
    cells = (_of_lists if form == "features" else _of_objects)(getattr(request, form), learned)
    if all(type(column) is Number for column in learned.values()):
        numbers = _numbers(list(chain.from_iterable(cells)), len(learned), most)
        if numbers is not None:
            return of_numbers(numbers)
    found = {}
    for at, (name, column) in enumerate(learned.items()):
        try:
            found[name] = column.take([row[at] for row in cells])
            if isinstance(column, Number) and (beyond := np.abs(found[name]) > most).any():
                reason = (
                    f"column {name} may hold numbers from {-most:g} to {most:g}: this model computes with no larger"
                )
                raise WrongCell(int(beyond.argmax()), f"{reason}; where the value is missing, say so")
        except WrongCell as wrong:
            place = f"{form}[{wrong.position}]" + (f".{name}" if form == "rows" else f"[{at}]")
            raise InvalidInput(place, wrong.reason) from None
    return of_values(learned, found)


def _learned(columns: Columns) -> dict[str, Column]:
    return {name: column for name, column in columns.items() if column.learned}


def _of_objects(rows: Sequence[Any], columns: Columns) -> Sequence[Sequence[Any]]:
    """The cells of each row, in the columns' order, None where a row does not name one."""
    names = list(columns)
    try:
        if len(names) > 1 and {dict}.issuperset(map(type, rows)) and {len(names)}.issuperset(map(len, rows)):
            return list(map(itemgetter(*names), rows))  # none is missing, so none is unknown either
    except KeyError:
        pass
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidInput(f"rows[{at}]", "must be an object with a cell for each column")
        if unknown := row.keys() - columns.keys():
            listed = ", ".join(names[:20]) + (" and more" if len(names) > 20 else "")
            raise InvalidInput(f"rows[{at}].{min(unknown)}", f"is not a column; the columns are {listed}")
    return [[row.get(name) for name in names] for row in rows]


def _of_lists(rows: Sequence[Any], columns: Columns) -> Sequence[Sequence[Any]]:
    for at, row in enumerate(rows):
        if not isinstance(row, list):
            raise InvalidInput(f"features[{at}]", "must be a list of cells")
        if len(row) != len(columns):
            wanted = f"{len(columns)}: {', '.join(columns)}"
            raise InvalidInput(f"features[{at}]", f"has {len(row)} cells instead of {wanted}")
    return rows


def _numbers(cells: list[Any], columns: int, most: float) -> np.ndarray | None:
    """Numbers of shape (rows, columns), NaN where there is none; None where a cell is another thing or too large."""
    kinds = set(map(type, cells))
    if not {int, float, type(None)}.issuperset(kinds):
        return None
    try:
        make = np.array if type(None) in kinds else partial(np.fromiter, count=len(cells))
        numbers: np.ndarray = make(cells, dtype=np.float64)
    except OverflowError:
        return None
    return None if (np.abs(numbers) > most).any() else numbers.reshape(-1, columns)
