"""What is common to all columns of a table; `columns.py` and `dates.py` have the kinds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

# What people and programs write where there is nothing, in lower case.
MISSING = frozenset({
    "", "na", "n/a", "n.a.", "#n/a", "#na", "nan", "-nan", "null", "(null)", "none", "nil", "<na>", "\\n", "-", "--",
    "?", "missing", "k.a.", "k. a.", "s/o",
})  # fmt: skip


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
    """A column. `learned`: whether a model gets to see it; `kept`: whether a split holds it.

    Attributes:
        why: it is taken for this, a clause for people.
    """

    why: str = field(default="", kw_only=True, compare=False)

    kind: ClassVar[str]
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
        return or_null("number")

    def limits(self, most: float) -> dict[str, Any]:
        """All that a request's cell may be, as JSON schema; `most`: the largest number."""
        return self.json_schema()

    def declared(self) -> dict[str, Any]:
        """As JSON, for `column_of`."""
        return {"kind": self.kind, **asdict(self)}


def or_null(kind: str, **more: Any) -> dict[str, Any]:
    """The JSON schema of a cell that may be missing."""
    return {"anyOf": [{"type": kind}, {"type": "null"}], **more}


def each(cells: Sequence[str], value: Callable[[str], Any]) -> list[Any]:
    found = []
    for at, cell in enumerate(cells):
        try:
            found.append(value(cell))
        except ValueError as error:
            raise WrongCell(at, f"is {error}") from None
    return found


def refuse(values: list[Any], types: tuple[type, ...], what: str) -> None:
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
