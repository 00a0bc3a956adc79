"""Dates and points in time as a column of a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from workloads.sdk.kits.tables.column import MISSING, Column, WrongCell, each, missing, or_null, refuse, short

if TYPE_CHECKING:
    import pyarrow as pa

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

    kind = "date"
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

        return np.asarray(each(cells, value), "datetime64[us]")

    def take(self, values: list[Any]) -> np.ndarray:
        if not {str, type(None)}.issuperset(map(type, values)):
            refuse(values, (str,), "a date as text")
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
        return or_null("string", description=f"a date: {how}")

    def limits(self, most: float) -> dict[str, Any]:
        texts = [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]
        return {**self.json_schema(), "anyOf": [*texts, {"enum": sorted(MISSING)}, {"type": "null"}]}


def moment(cell: str, written: str) -> datetime:
    """A point in time, in UTC where it has a zone, else as it is. Raises ValueError."""
    found = datetime.fromisoformat(cell) if written == ISO else datetime.strptime(cell, written)
    try:
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except OverflowError:  # the year 0, or 10000, in UTC
        raise ValueError(f"{cell} is beyond the calendar") from None


def _either(cell: str, written: str) -> datetime:
    try:
        return moment(cell, ISO)
    except ValueError:
        return moment(cell, written)
