"""Number arrays as fields of a request: validated by numpy at once, where pydantic would look at every number.

    class Request(BaseModel):
        features: matrix(13)
        flats: matrix(["size", "age"])
        images: matrix(784, 0, 255, integer=True, shape=(28, 28))

A field takes what JSON gives (lists), and holds an array of shape (rows, columns). What is wrong is refused with the
place, `("images", 2, 7)`, and the reason, before any cast could hide it.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from workloads.sdk.limits import Limits

NUMBERS = frozenset({int, float})
JSON_NAMES = {bool: "a boolean", str: "a string", type(None): "null", dict: "an object", list: "a list"}


class Refused(Exception):
    """A value is refused: `place` is the path of indices to it, `reason` one clause."""

    def __init__(self, reason: str, *place: int):
        super().__init__(reason)
        self.reason, self.place = reason, place


def matrix(
    columns: int | Sequence[str] | None,
    minimum: float | None = None,
    maximum: float | None = None,
    max_rows: int = 1000,
    integer: bool = False,
    shape: tuple[int, int] | None = None,
) -> Any:
    """The type of a field that holds rows of numbers.

    Args:
        columns: numbers in each row, or their names; None takes any width of at least 1, the same in all rows.
        minimum, maximum: bounds of every number, both included.
        max_rows: bound on rows; at least one row is asked for.
        integer: only whole numbers; the array is uint8 where the bounds fit it, else int64. Otherwise it is float32.
        shape: a row may also come as `shape[0]` lists of `shape[1]` numbers, for example an image of (28, 28).
    """
    names = None if columns is None or isinstance(columns, int) else list(columns)
    width = columns if isinstance(columns, int) else None if names is None else len(names)
    if shape is not None and width != shape[0] * shape[1]:
        raise ValueError(f"a row of shape {shape} does not have {width} numbers")
    byte = integer and minimum is not None and maximum is not None and minimum >= 0 and maximum <= 255
    dtype = np.dtype((np.uint8 if byte else np.int64) if integer else np.float32)
    largest = 2.0**53 if integer else float(np.finfo(np.float32).max)  # beyond 2**53 a double skips whole numbers
    low = -largest if minimum is None else minimum
    high = largest if maximum is None else maximum

    def validate(value: Any) -> np.ndarray:
        try:
            numbers = _numbers(value, width, names, max_rows, shape)
            wrong = ~((numbers >= low) & (numbers <= high))  # also true of NaN
            if integer:
                wrong |= numbers != np.floor(numbers)
            if wrong.any():
                row, column = (int(index) for index in np.argwhere(wrong)[0])
                place = (column,) if shape is None or not isinstance(value[row][0], list) else divmod(column, shape[1])
                raise Refused(_reason(numbers[row, column], low, high, integer), row, *place)
            return numbers.astype(dtype)
        except Refused as refused:
            error = PydanticCustomError("matrix", "{reason}", {"reason": refused.reason})
            details = InitErrorDetails(type=error, loc=refused.place, input=None)
            raise ValidationError.from_exception_data("matrix", [details], hide_input=True) from None

    schema = _json_schema(width, names, minimum, maximum, max_rows, integer, shape)
    limits = Limits(_json_schema(width, names, low, high, max_rows, integer, shape))
    return Annotated[
        Any, BeforeValidator(validate), PlainSerializer(lambda array: array.tolist()), WithJsonSchema(schema), limits
    ]


def either(*matrices: Any) -> Any:
    """The type of a field that takes one of several matrices of fixed widths; how wide the first row is tells which.

    Rows of no such width get the first one's error.
    """
    ways = [(each.__metadata__[0].func, each.__metadata__[2].json_schema) for each in matrices]
    forms = [_options(schema) for _, schema in ways]
    by_width = {form[0]["maxItems"]: validate for (validate, _), form in zip(ways, forms, strict=True)}

    def validate(value: Any) -> np.ndarray:
        rows = value.tolist() if isinstance(value, np.ndarray) else value
        row = rows[0] if isinstance(rows, list) and rows else None
        lines = row if isinstance(row, list) and row and isinstance(row[0], list) else [row]
        width = sum(len(line) for line in lines if isinstance(line, list))
        return by_width.get(width, ways[0][0])(value)

    def together(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {**schemas[0], "items": {"anyOf": [option for schema in schemas for option in _options(schema)]}}

    limits = Limits(together([each.__metadata__[3].schema for each in matrices]))
    schema = WithJsonSchema(together([schema for _, schema in ways]))
    return Annotated[Any, BeforeValidator(validate), matrices[0].__metadata__[1], schema, limits]


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The ways to write a row."""
    return schema["items"].get("anyOf", [schema["items"]])


def _numbers(
    value: Any, columns: int | None, names: list[str] | None, max_rows: int, shape: tuple[int, int] | None
) -> np.ndarray:
    """The rows as float64 of shape (rows, columns), whose width and types were looked at, not yet their values."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list):
        raise Refused(f"must be a list of rows, not {_name(value)}")
    if not value:
        raise Refused("must hold at least one row")
    if len(value) > max_rows:
        raise Refused(f"has {len(value)} rows; at most {max_rows} are taken in one request")
    rows = [_row(row, index, shape) for index, row in enumerate(value)] if shape else value
    width = columns
    for index, row in enumerate(rows):
        if not isinstance(row, list):
            raise Refused(f"must be a list of numbers, not {_name(row)}", index)
        if width is None:
            width = len(row)
        if len(row) != width or not row:
            wanted = f": {', '.join(names)}" if names else ""
            raise Refused(f"has {len(row)} numbers instead of {width or 'at least 1'}{wanted}", index)
        if not NUMBERS.issuperset(map(type, row)):
            column = next(column for column, item in enumerate(row) if type(item) not in NUMBERS)
            place = divmod(column, shape[1]) if shape and rows[index] is not value[index] else (column,)
            raise Refused(f"must be a number, not {_name(row[column])}", index, *place)
    assert width is not None  # there is a row
    try:
        flat = np.fromiter(chain.from_iterable(rows), np.float64, count=len(rows) * width)
    except OverflowError:
        raise Refused("holds a number that is too large") from None
    return flat.reshape(len(rows), width)


def _row(row: Any, index: int, shape: tuple[int, int]) -> Any:
    """A row given as lists of lists, made flat; any other row as it is."""
    if not isinstance(row, list) or not row or not isinstance(row[0], list):
        return row
    height, width = shape
    if len(row) != height:
        raise Refused(f"has {len(row)} lines instead of {height}", index)
    for number, line in enumerate(row):
        if not isinstance(line, list):
            raise Refused(f"must be a list of {width} numbers, not {_name(line)}", index, number)
        if len(line) != width:
            raise Refused(f"has {len(line)} numbers instead of {width}", index, number)
    return list(chain.from_iterable(row))


def _name(value: Any) -> str:
    return JSON_NAMES.get(type(value), "a number" if type(value) in NUMBERS else f"a {type(value).__name__}")


def _reason(number: float, low: float, high: float, integer: bool) -> str:
    if not np.isfinite(number):
        return "must be a finite number"
    if low <= number <= high:
        return f"must be a whole number, got {number:g}"
    kind = "whole number" if integer else "number"
    return f"must be a {kind} from {low:g} to {high:g}, got {number:g}"


def _json_schema(
    columns: int | None,
    names: list[str] | None,
    minimum: float | None,
    maximum: float | None,
    max_rows: int,
    integer: bool,
    shape: tuple[int, int] | None,
) -> dict[str, Any]:
    """What `matrix` takes, as JSON schema."""
    number: dict[str, Any] = {"type": "integer" if integer else "number"}
    number |= {name: value for name, value in (("minimum", minimum), ("maximum", maximum)) if value is not None}

    def items(of: dict[str, Any], length: int | None) -> dict[str, Any]:
        bounds = {"minItems": 1} if length is None else {"minItems": length, "maxItems": length}
        return {"type": "array", "items": of, **bounds}

    row = items(number, columns) if names is None else _named(number, names)
    if shape is not None:
        row = {"anyOf": [row, items(items(number, shape[1]), shape[0])]}
    return {"type": "array", "items": row, "minItems": 1, "maxItems": max_rows}


def _named(number: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A row of numbers whose columns have names."""
    columns = [{"title": name, **number} for name in names]
    return {"type": "array", "items": number, "minItems": len(names), "maxItems": len(names), "prefixItems": columns}
