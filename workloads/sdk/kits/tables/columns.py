"""What the columns of a table hold: how a cell is read from a file and from a request, and what a model learns from it.

A table's declaration has one of these for each column. Cells become NumPy arrays (the same from a file, a split or a
request), and these become features: numbers (float32, NaN where the cell is missing) and words (texts, "" where it is
missing). Nothing here is fitted; what is learned from the training rows stands in `encoder.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from workloads.sdk.kits.tables.column import Column, WrongCell, each, missing, or_null, refuse, short
from workloads.sdk.kits.tables.dates import Date
from workloads.sdk.kits.words import words

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = float(np.finfo(np.float32).max)


def column_of(declared: dict[str, Any]) -> Column:
    """The column that `Column.declared` wrote down."""
    kinds: dict[str, type[Any]] = {
        kind.kind: kind for kind in (Number, Boolean, Category, Date, Text, Identifier, LeftOut)
    }
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in declared.items()}
    return kinds[str(values.pop("kind"))](**values)


# --- numbers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Column):
    """A number.

    Attributes:
        low, high: values that are taken for right; other rows fail the data's gate.
        decimal, thousands: signs in the file's cells.
        affix: what stands before or behind each number in the file: `$`, `%`, `kg`.
    """

    kind = "number"
    low: float = -LARGEST
    high: float = LARGEST
    decimal: str = "."
    thousands: str = ""
    affix: str = ""

    @property
    def becomes(self) -> str:
        written = [f"decimal {self.decimal!r}"] if self.decimal != "." else []
        written += [f"thousands {self.thousands!r}"] if self.thousands else []
        written += [f"{self.affix!r} cut off"] if self.affix else []
        return ", ".join(["a number", *written])

    def parse(self, cells: Sequence[str]) -> np.ndarray:
        return np.asarray(each(cells, self._number))

    def _number(self, cell: str) -> float:
        if missing(cell):
            return float("nan")
        value = self.read(cell)
        if value is None or not abs(value) <= LARGEST:
            raise ValueError(f"{short(cell)}, which is no finite number")
        return value

    def read(self, cell: str) -> float | None:
        """The number that a cell holds, or None."""
        text, negative = cell, False
        if self.affix:
            text = text.replace(self.affix, "", 1).strip()
        if text.startswith("(") and text.endswith(")"):  # as accountants write it
            text, negative = text[1:-1].strip(), True
        elif text.endswith("-"):
            text, negative = text[:-1].strip(), True
        if not _form(self.decimal, self.thousands).fullmatch(text):
            return None
        text = text.replace("\N{MINUS SIGN}", "-")
        text = text.replace(self.thousands, "") if self.thousands else text
        value = float(text.replace(self.decimal, "."))
        return -value if negative else value

    def take(self, values: list[Any]) -> np.ndarray:
        if not {int, float, type(None)}.issuperset(map(type, values)):
            refuse(values, (int, float), "a number")
        try:
            numbers = np.asarray(values, np.float64)
        except OverflowError:
            numbers = np.asarray(
                [np.inf if value is not None and abs(value) > LARGEST else value for value in values], float
            )
        if (wrong := np.abs(numbers) > LARGEST).any():
            raise WrongCell(int(wrong.argmax()), "must be a number that float32 can hold")
        return numbers

    def limits(self, most: float) -> dict[str, Any]:
        return {"anyOf": [{"type": "number", "minimum": -most, "maximum": most}, {"type": "null"}]}

    def stored(self, values: np.ndarray) -> "pa.Array":
        import pyarrow as pa

        return pa.array(values.astype(np.float32))

    def loaded(self, column: "pa.Array") -> np.ndarray:
        return column.to_numpy(zero_copy_only=False)


@cache
def _form(decimal: str, thousands: str) -> re.Pattern[str]:
    """How a number is written."""
    point, group = re.escape(decimal), re.escape(thousands)
    whole = rf"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+)" if thousands else "[0-9]+"
    return re.compile(rf"[-+\N{{MINUS SIGN}}]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?")


# --- yes and no -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Boolean(Column):
    """Yes or no, as the file's cells spell it (upper or lower case); a request says true or false, or spells it so."""

    kind = "boolean"
    true: str = "true"
    false: str = "false"

    @property
    def becomes(self) -> str:
        return f"1 for {self.true!r}, 0 for {self.false!r}"

    def parse(self, cells: Sequence[str]) -> np.ndarray:
        known = {self.true.lower(): 1.0, self.false.lower(): 0.0}

        def value(cell: str) -> float:
            found = known.get(cell.lower())
            if found is None and not missing(cell):
                raise ValueError(f"{short(cell)}, which is neither {self.true!r} nor {self.false!r}")
            return float("nan") if found is None else found

        return np.asarray(each(cells, value))

    def take(self, values: list[Any]) -> np.ndarray:
        known = {
            True: 1.0,
            False: 0.0,
            None: float("nan"),
            self.true: 1.0,
            self.false: 0.0,
        }  # 1 and 0 are True and False
        try:
            return np.asarray([known[value] for value in values])
        except (KeyError, TypeError):
            spelled = [value.lower() if isinstance(value, str) else value for value in values]
            if all(isinstance(value, str | int | float | None) for value in values):
                known |= {self.true.lower(): 1.0, self.false.lower(): 0.0}
                if (wrong := next((at for at, value in enumerate(spelled) if value not in known), None)) is None:
                    return np.asarray([known[value] for value in spelled])
            else:
                wrong = next(at for at, value in enumerate(values) if not isinstance(value, str | int | float | None))
            raise WrongCell(wrong, f"must be true or false, or {self.true!r} or {self.false!r}") from None

    def stored(self, values: np.ndarray) -> "pa.Array":
        import pyarrow as pa

        return pa.array(values == 1, mask=np.isnan(values))

    def loaded(self, column: "pa.Array") -> np.ndarray:
        return column.cast("float64").to_numpy(zero_copy_only=False) if len(column) else np.zeros(0)

    def json_schema(self) -> dict[str, Any]:
        return or_null("boolean")

    def limits(self, most: float) -> dict[str, Any]:
        spelled = {spell(word) for word in (self.true, self.false) for spell in (str, str.lower, str.upper, str.title)}
        return {"anyOf": [{"type": "boolean"}, {"type": "null"}, {"enum": [0, 1, *sorted(spelled)]}]}


# --- texts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words(Column):
    """Cells that are texts, "" where they are missing."""

    def parse(self, cells: Sequence[str]) -> np.ndarray:
        return np.asarray(["" if missing(cell) else cell for cell in cells], object)

    def take(self, values: list[Any]) -> np.ndarray:
        if not {str, type(None)}.issuperset(map(type, values)):
            # Who reads 12 from a column of codes means the word, and so says JSON by 12.0; 1.5 has several spellings.
            values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
            if not {str, int, bool, type(None)}.issuperset(map(type, values)):
                refuse(values, (str, int, bool), "a text")
            values = [str(value) if value is not None else "" for value in values]
        return np.asarray(["" if value is None or missing(value) else value for value in values], object)

    def stored(self, values: np.ndarray) -> "pa.Array":
        import pyarrow as pa

        return pa.array([value or None for value in values], pa.string())

    def loaded(self, column: "pa.Array") -> np.ndarray:
        return column.fill_null("").to_numpy(zero_copy_only=False)

    def features(self, name: str) -> list[str]:
        return []

    def numbers(self, values: np.ndarray) -> list[np.ndarray]:
        return []

    def json_schema(self) -> dict[str, Any]:
        return or_null("string")

    def limits(self, most: float) -> dict[str, Any]:
        return {"anyOf": [{"type": kind} for kind in ("string", "null", "boolean", "integer")]}


@dataclass(frozen=True)
class Category(_Words):
    """One of some words. One that training never saw is answered as none of those that it saw."""

    kind = "category"
    words = True

    @property
    def becomes(self) -> str:
        return "a 0 or 1 for each word of the training rows"


@dataclass(frozen=True)
class Text(_Words):
    """Free text, as counts of its words and pairs of words by their hash ("hashing trick", Weinberger et al. 2009).

    Attributes:
        buckets: numbers that a model gets of it; 0: it is left out.
    """

    kind = "text"
    buckets: int = 0

    @property
    def becomes(self) -> str:
        return f"{self.buckets} hashed counts of words and pairs" if self.buckets else "left out: free text"

    def features(self, name: str) -> list[str]:
        return [f"{name}: {at}" for at in range(self.buckets)]

    def numbers(self, values: np.ndarray) -> list[np.ndarray]:
        counts = np.zeros((len(values), self.buckets), np.float32)
        for row, text in enumerate(values):
            found = words(text) if self.buckets else []
            for gram in (*found, *map(" ".join, pairwise(found))):
                counts[row, crc32(gram.encode()) % self.buckets] += 1
        return list(np.log1p(counts).T)


@dataclass(frozen=True)
class Identifier(_Words):
    """The name of a row: kept beside it and never learned from."""

    kind = "identifier"
    learned = False

    @property
    def becomes(self) -> str:
        return "kept as the row's name, not learned from"


@dataclass(frozen=True)
class LeftOut(_Words):
    """A column that is of no use; `why` says it."""

    kind = "out"
    learned = False
    kept = False

    @property
    def becomes(self) -> str:
        return "left out"
