"""A CSV file with a header, read strictly: what is wrong with it is said with the line where it stands."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

DELIMITERS = ",;\t|"
LARGEST_FILE = 2**30  # bytes; all of it is held in memory
LARGEST = 3e38  # what a float32 can hold


@dataclass(frozen=True)
class Csv:
    """A CSV file's content.

    Attributes:
        name: of the file, for messages.
        header: names of the columns.
        rows: the cells of each row, as many as there are columns, without the spaces around them.
        lines: for each row, the number of the line where it ends.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def texts(self, column: str) -> list[str]:
        """A column's cells. Raises ValueError naming the first line where one is empty, or that there is no column."""
        at = self._place(column)
        for row, line in zip(self.rows, self.lines, strict=True):
            if not row[at]:
                raise ValueError(f"{self.name}, line {line}: the column {column!r} is empty; fill it or remove the row")
        return [row[at] for row in self.rows]

    def numbers(self, column: str) -> list[float]:
        """A column's numbers. Raises ValueError naming the first line that holds another thing."""
        values = []
        for text, line in zip(self.texts(column), self.lines, strict=True):
            if (value := number(text)) is None:
                raise ValueError(f"{self.name}, line {line}: {column!r} is {_short(text)}, which is no finite number")
            values.append(value)
        return values

    def wordy(self, column: str) -> bool:
        """Whether most of a column's cells are something else than numbers."""
        at = self._place(column)
        return sum(number(row[at]) is None for row in self.rows if row[at]) > len(self.rows) / 2

    def _place(self, column: str) -> int:
        if column not in self.header:
            raise ValueError(f"{self.name} has no column {column!r}; its columns are {_listed(self.header)}")
        return self.header.index(column)


def read(file: Path) -> Csv:
    """A file, UTF-8, cells separated by comma, semicolon, tab or bar.

    Raises:
        ValueError: it is absent, too large, not UTF-8, has no proper header, or a row of another length.
    """
    text = _text(file)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows, lines = [], []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(file.name, header)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue  # a blank line
            if len(row) != len(header):
                raise ValueError(
                    f"{file.name}, line {reader.line_num}: {len(row)} cells; the header names {len(header)} columns"
                )
            rows.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{file.name}, line {reader.line_num}: {error}") from None
    return Csv(file.name, header, rows, lines)


def number(text: str) -> float | None:
    """The finite number that a cell holds, if it is one that a model can take."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < LARGEST and "_" not in text else None


def _delimiter(text: str) -> str:
    """The sign that cuts the first lines into the same number of cells; else the one that the header has most of."""

    def cells(sign: str) -> tuple[bool, int]:
        rows = islice(csv.reader(io.StringIO(text, newline=""), delimiter=sign), 20)
        counts = [len(row) for row in rows if row] or [0]
        return len(set(counts)) == 1 and counts[0] > 1, counts[0]

    return max(DELIMITERS, key=cells)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ValueError(
                f"{file} has more than {LARGEST_FILE // 2**20} MiB; a table of this kind must fit in memory"
            )
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{file.name}, line {line}: not UTF-8; save the file as UTF-8") from None


def _check_header(file: str, header: list[str]) -> None:
    if not any(header):
        raise ValueError(f"{file} is empty: its first line must name the columns")
    if "" in header:
        raise ValueError(f"{file}, line 1: column {header.index('') + 1} has no name")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"{file}, line 1: {_listed(twice)} {'names' if len(twice) == 1 else 'name'} two columns")
    if all(number(name) is not None for name in header):
        raise ValueError(f"{file}, line 1: only numbers; the first line must name the columns")


def _listed(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    return ", ".join(map(_short, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
