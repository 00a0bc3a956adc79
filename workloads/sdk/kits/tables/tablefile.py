"""A table's file as text cells, whatever wrote it: CSV and TSV of any dialect and encoding, Parquet, JSON lines.

What is wrong with it is said with the line where it stands. What the cells mean, `columns.py` says.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk.kits.tables.column import Column, WrongCell, short
from workloads.sdk.kits.tables.columns import Number

DELIMITERS = [",", ";", "\t", "|"]
LARGEST_FILE = 2**30  # bytes; all of it is held in memory
SAMPLE = 2**15  # characters that the dialect is told from


@dataclass(frozen=True)
class Cells:
    """A table's content.

    Attributes:
        name: of the file, for messages.
        header: names of the columns.
        rows: the cells of each row, as many as there are columns, without the spaces around them.
        lines: for each row, the number of the line where it ends.
        read_as: encoding and dialect, for people.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    read_as: str = "UTF-8"

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """The cells of each column."""
        turned = map(list, zip(*self.rows, strict=True)) if self.rows else ([] for _ in self.header)
        return dict(zip(self.header, turned, strict=True))

    def column(self, name: str) -> list[str]:
        """A column's cells. Raises ValueError where there is no such column."""
        if name not in self.columns:
            raise ValueError(f"{self.name} has no column {name!r}; its columns are {_listed(self.header)}")
        return self.columns[name]

    def texts(self, name: str) -> list[str]:
        """A column's cells. Raises ValueError naming the first line where one is empty, or that there is no column."""
        for text, line in zip(found := self.column(name), self.lines, strict=True):
            if not text:
                raise ValueError(f"{self.name}, line {line}: the column {name!r} is empty; fill it or remove the row")
        return found

    def values(self, name: str, column: Column) -> np.ndarray:
        """A column's cells, read; shape (rows,). Raises ValueError naming the first line that holds another thing."""
        try:
            return column.parse(self.column(name))
        except WrongCell as wrong:
            raise ValueError(f"{self.name}, line {self.lines[wrong.position]}: {name!r} {wrong.reason}") from None

    def numbers(self, name: str) -> list[float]:
        """A column's numbers, none of them missing. Raises ValueError naming the first line without one."""
        texts, numbers = self.texts(name), self.values(name, Number())
        if (absent := np.isnan(numbers)).any():
            at = int(absent.argmax())
            raise ValueError(
                f"{self.name}, line {self.lines[at]}: {name!r} is {short(texts[at])}, which is no finite number"
            )
        return numbers.tolist()


def read(file: Path) -> Cells:
    """A file: Parquet or JSON lines by its ending (`.parquet`, `.jsonl`, `.ndjson`), else text with a header.

    Raises:
        ValueError: it is absent, too large, cannot be decoded, has no proper header, a row of another length, or
            cells that hold lists or objects.
    """
    content = _content(file)
    ending = file.suffix.lower()
    if ending in (".parquet", ".pq"):
        return _parquet(file, content)
    if ending in (".jsonl", ".ndjson"):
        return _json_lines(file.name, *_decoded(file.name, content))
    return _delimited(file.name, *_decoded(file.name, content))


def of(raw: Path) -> Path:
    """The table in a dataset's folder of raw files, beside which stands what is known of its source (JSON)."""
    (file,) = [file for file in raw.iterdir() if file.suffix != ".json"]
    return file


# --- text -----------------------------------------------------------------------------------------------------------


def _delimited(name: str, text: str, encoding: str) -> Cells:
    delimiter, quote, escape = _dialect(text)
    csv.field_size_limit(LARGEST_FILE)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        escapechar=escape or None,
        strict=bool(quote),
    )
    rows, lines = [], []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(name, header)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue  # a blank line
            if len(row) != len(header):
                raise ValueError(
                    f"{name}, line {reader.line_num}: {len(row)} cells; the header names {len(header)} columns"
                )
            rows.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: {error}") from None
    named = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
    return Cells(name, header, rows, lines, f"{encoding}, {named.get(delimiter, repr(delimiter))}")


def _dialect(text: str) -> tuple[str, str, str]:
    """Delimiter, quote and escape sign, by the consistency of what each would make of the first lines.

    van den Burg, Nazabal and Sutton 2019, "Wrangling messy CSV files by detecting row and type patterns", by their
    library. It is asked only where the signs of most tables do not give rows of one length.
    """
    sample = text[:SAMPLE]
    sample = sample[: sample.rfind("\n") + 1] or sample
    for sign in sorted(DELIMITERS, key=lambda sign: -sample.count(sign)):
        try:
            rows = list(islice(csv.reader(io.StringIO(sample, newline=""), delimiter=sign, strict=True), 200))
        except csv.Error:
            continue
        counts = {len(row) for row in rows[:-1] if row} or {len(row) for row in rows}
        if len(counts) == 1 and counts.pop() > 1:
            return sign, '"', ""
    from clevercsv import Sniffer

    try:
        found = Sniffer().sniff(sample, delimiters=[*DELIMITERS, " ", ":"])
    except Exception:  # it could not tell, by whatever of its own errors: a single column, most likely
        found = None
    if found is None:
        return max(DELIMITERS, key=text.partition("\n")[0].count), '"', ""
    return found.delimiter or ",", found.quotechar or '"', found.escapechar or ""


def _decoded(name: str, content: bytes) -> tuple[str, str]:
    """The text and its encoding's name. What is no UTF-8 and has no mark is told from the letters that it gives."""
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32",
             b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # fmt: skip
    encoding = next((found for mark, found in marks.items() if content.startswith(mark)), "utf-8")
    even, odd = (content[at:1000:2].count(0) / max(1, len(content[at:1000:2])) for at in (0, 1))
    if encoding == "utf-8" and abs(even - odd) > 0.4:  # Latin letters in two bytes, without a mark
        encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = content.decode(encoding)
        if "\0" in text:
            raise ValueError(f"{name}: not a table of text; CSV, TSV, JSON lines and Parquet are read")
        return text, encoding.upper().replace("-SIG", "")
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            line = content.count(b"\n", 0, error.start) + 1
            raise ValueError(f"{name}, line {line}: not {encoding}, as its first bytes say; save it as UTF-8") from None
    encoding = _foreign(content)
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name}, line {line}: neither UTF-8 nor {encoding}; save the file as UTF-8") from None


def _foreign(content: bytes) -> str:
    """An encoding from before Unicode: Windows' Western one, unless the words that it gives look like none."""
    western = content[: 2**20].decode("cp1252", "replace")
    letters = re.findall(r"[^\W\d_]", western)
    others = sum(not letter.isascii() for letter in letters)
    broken = re.search(r"(?<=[^\W\d_])[\u0080-\u00bf\u00d7\u00f7\u2000-\u2122\ufffd](?=[^\W\d_])", western)
    if others <= len(letters) / 3 and not broken:
        return "cp1252"
    import chardet

    return chardet.detect(content[: 2**16])["encoding"] or "cp1252"


def _check_header(file: str, header: list[str]) -> None:
    if not any(header):
        raise ValueError(f"{file} is empty: its first line must name the columns")
    if "" in header:
        raise ValueError(f"{file}, line 1: column {header.index('') + 1} has no name")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"{file}, line 1: {_listed(twice)} {'names' if len(twice) == 1 else 'name'} two columns")
    if all(re.fullmatch(r"[-+]?[\d.,]+", name) for name in header):
        raise ValueError(f"{file}, line 1: only numbers; the first line must name the columns")


# --- typed files ----------------------------------------------------------------------------------------------------


def _json_lines(name: str, text: str, encoding: str) -> Cells:
    records: list[dict[str, Any]] = []
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_float=str, parse_int=str)  # numbers as they are written, however large
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from None
        if not isinstance(record, dict):
            raise ValueError(f"{name}, line {number}: not an object with a value for each column")
        records.append(record)
        lines.append(number)
    header = list(dict.fromkeys(key for record in records for key in record))
    _check_header(name, header)
    rows = [list(_cells(name, number, header, record)) for record, number in zip(records, lines, strict=True)]
    return Cells(name, header, rows, lines, f"JSON lines, {encoding}")


def _cells(name: str, line: int, header: list[str], record: dict[str, Any]) -> Iterator[str]:
    for column in header:
        value = record.get(column)
        if isinstance(value, dict | list):
            raise ValueError(
                f"{name}, line {line}: {column!r} holds {type(value).__name__}s; a table has one value in a cell"
            )
        yield "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()


def _parquet(file: Path, content: bytes) -> Cells:
    import pyarrow as pa
    from pyarrow import compute, parquet

    try:
        table = parquet.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        raise ValueError(f"{file.name} is no Parquet file: {error}") from None
    _check_header(file.name, table.column_names)
    columns = []
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            raise ValueError(f"{file.name}: the column {name!r} holds {column.type}; a table has one value in a cell")
        if pa.types.is_temporal(column.type):
            texts = [value.isoformat() if value is not None else "" for value in column.to_pylist()]
        elif pa.types.is_floating(column.type):  # the shortest text that is read as the same number
            texts = ["" if value is None or value != value else repr(value) for value in column.to_pylist()]
        else:
            texts = compute.fill_null(column.cast(pa.string()), "").to_pylist()
        columns.append([text.strip() for text in texts])
    rows = list(map(list, zip(*columns, strict=True)))
    return Cells(file.name, table.column_names, rows, list(range(1, len(rows) + 1)), "Parquet")


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ValueError(
                f"{file} has more than {LARGEST_FILE // 2**20} MiB; a table of this kind must fit in memory"
            )
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def _listed(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    return ", ".join(map(short, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
