"""Tables in files that know types: JSON lines and Parquet, as text cells like those of any other file."""

import json
from collections.abc import Iterator
from typing import Any

from workloads.sdk.kits.tables.cells import Cells, check_header


def json_lines(name: str, text: str, encoding: str) -> Cells:
    """An object on each line. Raises ValueError with the line that holds none."""
    records: list[dict[str, Any]] = []
    lines = []
    for number, line in enumerate(text.split("\n"), 1):  # in a text of JSON other line ends may stand
        if line.strip():
            records.append(_object(name, number, line))
            lines.append(number)
    header = list(dict.fromkeys(key for record in records for key in record))
    check_header(name, header)
    rows = [list(_cells(name, number, header, record)) for record, number in zip(records, lines, strict=True)]
    return Cells(name, header, rows, lines, f"JSON lines, {encoding}")


def _object(name: str, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_float=str, parse_int=str)  # numbers as they are written, however large
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}, line {number}: no JSON at character {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{name}, line {number}: lists in lists; a table has one value in a cell") from None
    if not isinstance(record, dict):
        raise ValueError(f"{name}, line {number}: not an object with a value for each column")
    return record


def _cells(name: str, line: int, header: list[str], record: dict[str, Any]) -> Iterator[str]:
    for column in header:
        value = record.get(column)
        if isinstance(value, dict | list):
            raise ValueError(
                f"{name}, line {line}: {column!r} holds {type(value).__name__}s; a table has one value in a cell"
            )
        yield "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()


def of_parquet(name: str, content: bytes) -> Cells:
    """A Parquet file; a row's line is its number. Raises ValueError naming the column that cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{name} is no Parquet file: {' '.join(str(error).split())}") from None
    check_header(name, table.column_names)
    columns = []
    for column in table.column_names:
        try:
            columns.append([text.strip() for text in _texts(table[column])])
        except (pa.ArrowException, ValueError, OverflowError) as error:
            why = f"holds {table[column].type}, which cannot be read: {' '.join(str(error).split())}"
            raise ValueError(f"{name}: the column {column!r} {why}") from None
    rows = list(map(list, zip(*columns, strict=True)))
    return Cells(name, table.column_names, rows, list(range(1, len(rows) + 1)), "Parquet")


def _texts(column: Any) -> list[str]:
    """A column's cells as text, numbers in the shortest one that is read as the same number."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise ValueError("a cell of a table is a text, a number or a time")
    if pa.types.is_duration(column.type):
        return ["" if value is None else repr(value.total_seconds()) for value in column.to_pylist()]
    if pa.types.is_temporal(column.type):
        return [value.isoformat() if value is not None else "" for value in column.to_pylist()]
    if pa.types.is_floating(column.type):
        return ["" if value is None or value != value else repr(value) for value in column.to_pylist()]
    return compute.fill_null(column.cast(pa.string()), "").to_pylist()
