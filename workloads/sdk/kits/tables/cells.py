"""A table's content as text cells; what is wrong with one is said with file, line and column."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workloads.sdk.kits.tables.column import Column, WrongCell, short
from workloads.sdk.kits.tables.columns import Number

BROKEN = re.compile("[\0\ud800-\udfff]")  # what no text holds: neither a database nor a file of UTF-8 takes it


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

    def checked(self) -> "Cells":
        """The same, once it is sure to be a table. Raises ValueError: it has no row, or a cell that is no text."""
        if not self.rows:
            raise ValueError(f"{self.name}: a header alone; rows must follow it")
        for row, line in zip(self.rows, self.lines, strict=True):
            if BROKEN.search("".join(row)):
                name, sign = next(
                    (name, found[0])
                    for name, cell in zip(self.header, row, strict=True)
                    if (found := BROKEN.search(cell))
                )
                what = "a NUL" if sign == "\0" else "half of a character (a lone surrogate)"
                raise ValueError(f"{self.name}, line {line}: {name!r} holds {what}, which is no text; remove it")
        return self


def check_header(file: str, header: list[str]) -> None:
    """Raises ValueError where names of columns are missing, double, or no names."""
    if not any(header):
        raise ValueError(f"{file} is empty: its first line must name the columns")
    if "" in header:
        raise ValueError(f"{file}, line 1: column {header.index('') + 1} has no name")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"{file}, line 1: {_listed(twice)} {'names' if len(twice) == 1 else 'name'} two columns")
    if broken := next((at for at, name in enumerate(header, 1) if BROKEN.search(name)), None):
        raise ValueError(f"{file}, line 1: the name of column {broken} holds a NUL or half of a character; remove it")
    if all(re.fullmatch(r"[-+]?[\d.,]+", name) for name in header):
        raise ValueError(f"{file}, line 1: only numbers; the first line must name the columns")


def _listed(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    return ", ".join(map(short, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
