"""Rows of a table as models take them: numbers and words, of the columns that are learned from, in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workloads.sdk.kits.tables.column import Column

Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Rows:
    """Some rows.

    Attributes:
        numbers: float32 of shape (rows, numbers), NaN where a cell is missing.
        words: objects (str) of shape (rows, words), "" where a cell is missing.
    """

    numbers: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: "slice | np.ndarray") -> "Rows":
        return Rows(self.numbers[chosen], self.words[chosen])


def of_numbers(numbers: np.ndarray) -> Rows:
    """Rows without words, of numbers of shape (rows, numbers)."""
    return Rows(np.asarray(numbers, np.float32), np.empty((len(numbers), 0), object))


def together(parts: Sequence[Rows]) -> Rows:
    """Rows of the same columns, after each other."""
    return Rows(np.concatenate([part.numbers for part in parts]), np.concatenate([part.words for part in parts]))


def of_values(columns: Columns, values: Mapping[str, np.ndarray]) -> Rows:
    """Rows of the columns' values, each of shape (rows,); what is not learned from need not be there."""
    learned = {name: column for name, column in columns.items() if column.learned}
    count = len(next((values[name] for name in learned), ()))
    numbers = [part for name, column in learned.items() for part in column.numbers(values[name])]
    words = [values[name] for name, column in learned.items() if column.words]
    return Rows(_side_by_side(numbers, count, np.float32), _side_by_side(words, count, object))


def names(columns: Columns) -> list[str]:
    """Names of the numbers, and then of the words, that `of_values` makes."""
    learned = {name: column for name, column in columns.items() if column.learned}
    words = [name for name, column in learned.items() if column.words]
    return [*(number for name, column in learned.items() for number in column.features(name)), *words]


def _side_by_side(parts: Sequence[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    made: np.ndarray = np.empty((rows, len(parts)), dtype)
    for at, part in enumerate(parts):
        made[:, at] = part
    return made
