"""What the columns of a table hold: how a cell is read from a file and from a request, and what a model learns from it.

A table's declaration has one of these for each column. Cells become NumPy arrays (the same from a file, a split or a
request), and these become features: numbers (float32, NaN where the cell is missing) and words (texts, "" where it is
missing). Nothing here is fitted; what is learned from the training rows stands in `encoder.py`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

# What people and programs write where there is nothing, in lower case.
MISSING = frozenset({
    "", "na", "n/a", "n.a.", "#n/a", "#na", "nan", "-nan", "null", "(null)", "none", "nil", "<na>", "\\n", "-", "--",
    "?", "missing", "k.a.", "k. a.", "s/o",
})  # fmt: skip
LARGEST = float(np.finfo(np.float32).max)


class WrongCell(ValueError):
    """A cell does not hold what its column holds: `position` of the row, and why."""

    def __init__(self, position: int, reason: str):
        super().__init__(reason)
        self.position, self.reason = position, reason


def missing(cell: str) -> bool:
    """Whether a cell of a file says that there is no value."""
    return cell.lower() in MISSING


@dataclass(frozen=True)
class Column(ABC):
    """A column. `learned`: whether a model gets to see it; `kept`: whether a split holds it."""

    learned: ClassVar[bool] = True
    kept: ClassVar[bool] = True
    words: ClassVar[bool] = False  # its feature is the word itself
    example: ClassVar[Any] = None

    @property
    @abstractmethod
    def becomes(self) -> str:
        """What a model makes of it, for people."""

    @abstractmethod
    def parse(self, cells: Sequence[str]) -> np.ndarray:
        """The values of a file's cells, shape (rows,). Raises WrongCell."""

    @abstractmethod
    def take(self, values: list[Any]) -> np.ndarray:
        """The values of a request's cells (JSON), shape (rows,). Raises WrongCell."""

    @abstractmethod
    def stored(self, values: np.ndarray) -> "pa.Array":
        """The values as a split holds them."""

    @abstractmethod
    def loaded(self, column: "pa.Array") -> np.ndarray:
        """The values that a split holds."""

    def features(self, name: str) -> list[str]:
        """Names of the numbers that a model gets of it."""
        return [name]

    def numbers(self, values: np.ndarray) -> list[np.ndarray]:
        """These numbers, float32 of shape (rows,) each, NaN where the cell is missing."""
        return [values.astype(np.float32)]

    def json_schema(self) -> dict[str, Any]:
        """What a request's cell is; null where it is missing."""
        return {"type": ["number", "null"]}

    def declared(self) -> dict[str, Any]:
        """As JSON, for `column_of`."""
        return {"kind": type(self).__name__, **asdict(self)}


def column_of(declared: dict[str, Any]) -> Column:
    """The column that `Column.declared` wrote down."""
    kinds: dict[str, type[Any]] = {
        kind.__name__: kind for kind in (Number, Boolean, Category, Date, Text, Identifier, LeftOut)
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
        return np.asarray(_each(cells, self._number))

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
        text = (
            text.replace("\N{MINUS SIGN}", "-").replace(self.thousands, "")
            if self.thousands
            else text.replace("\N{MINUS SIGN}", "-")
        )
        value = float(text.replace(self.decimal, "."))
        return -value if negative else value

    def take(self, values: list[Any]) -> np.ndarray:
        if not {int, float, type(None)}.issuperset(map(type, values)):
            _refuse(values, (int, float), "a number")
        try:
            numbers = np.asarray(values, np.float64)
        except OverflowError:
            numbers = np.asarray(
                [np.inf if value is not None and abs(value) > LARGEST else value for value in values], float
            )
        if (wrong := np.abs(numbers) > LARGEST).any():
            raise WrongCell(int(wrong.argmax()), "must be a number that float32 can hold")
        return numbers

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

        return np.asarray(_each(cells, value))

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
        return {"type": ["boolean", "null"]}


# --- texts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words(Column):
    """Cells that are texts, "" where they are missing."""

    def parse(self, cells: Sequence[str]) -> np.ndarray:
        return np.asarray(["" if missing(cell) else cell for cell in cells], object)

    def take(self, values: list[Any]) -> np.ndarray:
        if not {str, type(None)}.issuperset(map(type, values)):
            # Who reads 12 from a column of codes means the word; a float has several spellings.
            if not {str, int, bool, type(None)}.issuperset(map(type, values)):
                _refuse(values, (str, int, bool), "a text")
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
        return {"type": ["string", "null"]}


@dataclass(frozen=True)
class Category(_Words):
    """One of some words. One that training never saw is answered as none of those that it saw."""

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

    buckets: int = 0

    @property
    def becomes(self) -> str:
        return f"{self.buckets} hashed counts of words and pairs" if self.buckets else "left out: free text"

    def features(self, name: str) -> list[str]:
        return [f"{name}: {at}" for at in range(self.buckets)]

    def numbers(self, values: np.ndarray) -> list[np.ndarray]:
        counts = np.zeros((len(values), self.buckets), np.float32)
        for row, text in enumerate(values):
            found = re.findall(r"\w+", text.lower()) if self.buckets else []
            for gram in (*found, *map(" ".join, pairwise(found))):
                counts[row, crc32(gram.encode()) % self.buckets] += 1
        return list(np.log1p(counts).T)


@dataclass(frozen=True)
class Identifier(_Words):
    """The name of a row: kept beside it and never learned from."""

    learned = False

    @property
    def becomes(self) -> str:
        return "kept as the row's name, not learned from"


@dataclass(frozen=True)
class LeftOut(_Words):
    """A column that is of no use; the declaration says why."""

    why: str = ""

    learned = False
    kept = False

    @property
    def becomes(self) -> str:
        return "left out"


# --- dates ----------------------------------------------------------------------------------------------------------

ISO = "ISO"
EPOCH = np.datetime64("2000-01-01", "D")


@dataclass(frozen=True)
class Date(Column):
    """A date or a point in time; one with a zone counts in UTC.

    Attributes:
        written: how the file writes it: `ISO`, or as `strptime` has it, such as `%d.%m.%Y`.
        parts: numbers that a model gets of it: `days` (since the year 2000, its age), `month`, `day`, `weekday`
            (0: Monday), `hour` (with the minutes as a fraction).
    """

    written: str = ISO
    parts: tuple[str, ...] = ("days", "month", "weekday")

    @property
    def becomes(self) -> str:
        return ", ".join(f"days since {EPOCH}" if part == "days" else part for part in self.parts)

    def parse(self, cells: Sequence[str]) -> np.ndarray:
        @cache
        def value(cell: str) -> datetime | None:
            if missing(cell):
                return None
            try:
                return moment(cell, self.written)
            except ValueError:
                how = "an ISO date" if self.written == ISO else f"written as {self.written}"
                raise ValueError(f"{short(cell)}, which is not {how}") from None

        return np.asarray(_each(cells, value), "datetime64[us]")

    def take(self, values: list[Any]) -> np.ndarray:
        if not {str, type(None)}.issuperset(map(type, values)):
            _refuse(values, (str,), "a date as text")
        found: list[datetime | None] = []
        for at, text in enumerate(values):
            try:
                found.append(None if text is None or missing(text) else _either(text, self.written))
            except ValueError:
                also = "" if self.written == ISO else f" or as {self.written}"
                raise WrongCell(at, f"must be a date such as 2026-01-31{also}, got {short(text)}") from None
        return np.asarray(found, "datetime64[us]")

    def stored(self, values: np.ndarray) -> "pa.Array":
        import pyarrow as pa

        return pa.array(values, pa.timestamp("us"))

    def loaded(self, column: "pa.Array") -> np.ndarray:
        return column.to_numpy(zero_copy_only=False).astype("datetime64[us]")

    def features(self, name: str) -> list[str]:
        return [f"{name}: {part}" for part in self.parts]

    def numbers(self, values: np.ndarray) -> list[np.ndarray]:
        days, months = values.astype("datetime64[D]"), values.astype("datetime64[M]")
        whole = {
            "days": lambda: (values - EPOCH) / np.timedelta64(1, "D"),
            "month": lambda: months.astype(int) % 12 + 1,
            "day": lambda: (days - months).astype(int) + 1,
            "weekday": lambda: (days.astype(int) + 3) % 7,  # 1 January 1970 was a Thursday
            "hour": lambda: (values - days) / np.timedelta64(1, "h"),
        }
        absent = np.isnat(values)
        return [np.where(absent, np.nan, whole[part]()).astype(np.float32) for part in self.parts]

    def json_schema(self) -> dict[str, Any]:
        how = "ISO 8601" if self.written == ISO else f"ISO 8601, or {self.written}"
        return {"type": ["string", "null"], "description": f"a date: {how}"}


def moment(cell: str, written: str) -> datetime:
    """A point in time, in UTC where it has a zone, else as it is. Raises ValueError."""
    found = datetime.fromisoformat(cell) if written == ISO else datetime.strptime(cell, written)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _either(cell: str, written: str) -> datetime:
    try:
        return moment(cell, ISO)
    except ValueError:
        return moment(cell, written)


# --- what is wrong --------------------------------------------------------------------------------------------------


def _each(cells: Sequence[str], value: Callable[[str], Any]) -> list[Any]:
    found = []
    for at, cell in enumerate(cells):
        try:
            found.append(value(cell))
        except ValueError as error:
            raise WrongCell(at, f"is {error}") from None
    return found


def _refuse(values: list[Any], types: tuple[type, ...], what: str) -> None:
    """Raises WrongCell for the first value of another type; true and false are of their own."""
    kinds = {
        bool: "true or false",
        str: "a text",
        dict: "an object",
        list: "a list",
        int: "a number",
        float: "a number",
    }
    for at, value in enumerate(values):
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            shown = short(value) if isinstance(value, str) else kinds.get(type(value), type(value).__name__)
            raise WrongCell(at, f"must be {what}, not {shown}")


def short(text: str) -> str:
    """A text for a message, cut where it is long."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
