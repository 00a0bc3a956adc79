"""What a CSV file holds, as a new workload's declaration needs it: `mlops new --csv` writes it down.

`numbers` looks at a table of numbers, `texts` at texts with their classes. What is wrong is a ValueError with the line.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.kits.tables.tablefile import Cells, read
from workloads.sdk.kits.tables.understand import rounded, with_room

Task = Literal["classification", "regression"]
FEWEST_ROWS = 50
MOST_CLASSES = 100
MOST_COLUMNS = 1000
RESERVED = ("row_id", "target")  # a split's own columns


@dataclass(frozen=True)
class Examined:
    """What stands in a CSV file.

    Attributes:
        target: the column that is to be told.
        rows: how many differ from each other.
        columns: the features, each with the smallest and the largest value to be taken for right: room was left.
        classes: the target's values, sorted; None for a regression.
        floor: the deciding metric of a model that always says the same: the most frequent class, or the mean.
        tolerance: how far the served form's outputs may be from the trained one's, by rounding to float32.
        text: the column with the texts, where it is about texts.
        left_out: columns without numbers, which no model of numbers can take.
    """

    target: str
    rows: int
    columns: dict[str, tuple[float, float]]
    classes: list[str] | None
    floor: float
    tolerance: float
    text: str | None = None
    left_out: list[str] = field(default_factory=list)


def numbers(file: Path, target: str, task: Task) -> Examined:
    """A table: the target, and features that are numbers. Columns that hold mostly something else are left out."""
    table = _table(file, target)
    others = [name for name in table.header if name != target]
    left_out = [name for name in others if _wordy(table.column(name))]
    features = [name for name in others if name not in left_out]
    if not features:
        raise ValueError(f"{table.name} has no column of numbers beside {target!r}")
    if len(features) > MOST_COLUMNS:
        raise ValueError(f"{table.name} has {len(features)} columns of numbers; at most {MOST_COLUMNS} are taken")
    if taken := [name for name in features if name in RESERVED]:
        raise ValueError(f"{table.name} has a column {taken[0]!r}, a name that every split needs; rename it")
    values = {name: table.numbers(name) for name in features}
    rows = len(set(zip(*values.values(), strict=True)))
    _enough(table, rows)
    columns = {name: with_room(column) for name, column in values.items()}
    if task == "classification":
        classes, floor = _classes(table, target)
        return Examined(target, rows, columns, classes, floor, 1e-5, left_out=left_out)
    return Examined(target, rows, columns, None, 0.0, _tolerance(table, target), left_out=left_out)


def texts(file: Path, target: str, task: Task) -> Examined:
    """Texts and their classes: the texts are the column `text`, or the only other one."""
    table = _table(file, target)
    others = [name for name in table.header if name != target]
    if "text" not in others and len(others) != 1:
        raise ValueError(f"{table.name} must have a column `text`, or no other column than {target!r} and the texts")
    text = "text" if "text" in others else others[0]
    rows = len(set(table.texts(text)))
    _enough(table, rows)
    left_out = [name for name in others if name != text]
    if task == "classification":
        classes, floor = _classes(table, target)
        return Examined(target, rows, {}, classes, floor, 1e-3, text, left_out)
    return Examined(target, rows, {}, None, 0.0, 10 * _tolerance(table, target), text, left_out)


def _wordy(cells: list[str]) -> bool:
    """Whether most cells are something else than numbers."""
    return sum(Number().read(cell) is None for cell in cells if cell) > len(cells) / 2


def _table(file: Path, target: str) -> Cells:
    table = read(file)
    table.texts(target)  # there, and nowhere empty
    return table


def _enough(table: Cells, rows: int) -> None:
    if rows < FEWEST_ROWS:
        raise ValueError(
            f"{table.name} has {rows} different rows; at least {FEWEST_ROWS} are needed to learn, choose and judge"
        )


def _classes(table: Cells, target: str) -> tuple[list[str], float]:
    counts = Counter(table.texts(target))
    if len(counts) < 2:
        raise ValueError(f"{table.name}: {target!r} is {next(iter(counts))!r} in all rows; there is nothing to tell")
    if len(counts) > MOST_CLASSES:
        numeric = all(Number().read(name) is not None for name in counts)
        hint = "; for a number that is to be estimated, say --task regression" if numeric else ""
        raise ValueError(
            f"{table.name}: {target!r} has {len(counts)} different values, and at most {MOST_CLASSES} classes are "
            f"taken{hint}"
        )
    return sorted(counts), math.floor(max(counts.values()) / len(table.rows) * 100) / 100


def _tolerance(table: Cells, target: str) -> float:
    """How much of a number that is told may be lost by rounding to float32."""
    wanted = table.numbers(target)
    mean = sum(wanted) / len(wanted)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in wanted) / len(wanted))
    if not deviation:
        raise ValueError(f"{table.name}: {target!r} is the same number in all rows; there is nothing to tell")
    return rounded(max(1e-4 * deviation, 1e-5 * max(map(abs, wanted))), math.ceil)
