"""What a file holds, as a new workload's declaration needs it: `mlops new --csv` writes it down.

`table` looks at columns of any kind, `texts` at texts with their classes. What is wrong is a ValueError with the line.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np

from workloads.sdk.dataset import SPLITS, identity, split_of
from workloads.sdk.kits.tables.cells import Cells
from workloads.sdk.kits.tables.column import missing, short
from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.kits.tables.rows import of_values
from workloads.sdk.kits.tables.tablefile import read
from workloads.sdk.kits.tables.tabular import RARE, SHARES, Table, looks
from workloads.sdk.kits.tables.telling import giving_away, telling
from workloads.sdk.kits.tables.understand import BeyondFloat, Understood, decimal_sign, number, rounded, understand
from workloads.sdk.kits.texts import duplicates

Task = Literal["classification", "regression"]
FEWEST_ROWS = 50
MOST_CLASSES = 100
MOST_COLUMNS = 1000
RESERVED = ("row_id", "target")  # a split's own columns
IMBALANCED = 3  # times as many rows, from which on accuracy says little of the rarest class
MOST_TRIED = 1000  # ways to spread a class over the splits


@dataclass(frozen=True)
class Examined:
    """What stands in a file.

    Attributes:
        target: the column that is to be told.
        rows: how many differ from each other.
        columns: all others, and what they are taken for.
        read_as: encoding and dialect, for people.
        classes: the target's values, sorted; None for a regression.
        number: how the target is written where it is a number.
        floor: the deciding metric of a model that always says the same: the most frequent class, or the mean.
        imbalance: how many times as many rows the most frequent class has as the rarest that is not all but absent
            (`RARE`); 1 for a regression.
        tolerance: how far the served form's outputs may be from the trained one's, by rounding to float32.
        text: the column with the texts, where it is about texts.
        rare: classes of few rows, with their number.
        spread: for these, what sends some of their rows into each split (`Table.spread`).
        without_target: rows whose target is missing.
        alike: rows that are alike in all columns to one before; texts that are near-duplicates of another.
        contrary: texts that are alike and have different targets.
        giving_away: columns that are learned from and give the target away, with the share that each tells alone.
    """

    target: str
    rows: int
    columns: list[Understood]
    read_as: str
    classes: list[str] | None
    floor: float
    tolerance: float
    number: Number = field(default_factory=Number)
    imbalance: float = 1.0
    text: str | None = None
    rare: dict[str, int] = field(default_factory=dict)
    spread: dict[str, int] = field(default_factory=dict)
    without_target: int = 0
    alike: int = 0
    contrary: int = 0
    giving_away: dict[str, float] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The metric that decides: where some classes are rare, one in which each counts as much as any other."""
        if self.classes is None:
            return "r2"
        return "balanced_accuracy" if self.imbalance >= IMBALANCED else "accuracy"


def table(file: Path, target: str, task: Task, kinds: Mapping[str, str] | None = None) -> Examined:
    """A table of columns of any kind.

    Args:
        kinds: what a person says that columns are, see `understand`.
    """
    cells = read(file)
    told = cells.column(target)
    found = understand(cells, target, kinds)
    if not any(each.column.learned for each in found):
        raise ValueError(f"{cells.name} has no column to learn from beside {target!r}")
    if len(found) > MOST_COLUMNS:
        raise ValueError(f"{cells.name} has {len(found)} columns; at most {MOST_COLUMNS} are taken")
    if taken := [each.name for each in found if each.name in RESERVED]:
        raise ValueError(f"{cells.name} has a column {taken[0]!r}, a name that every split needs; rename it")
    rows = _different(cells)
    classes, counts = _classes(cells, target) if task == "classification" else (None, Counter[str]())
    found, away = _telling(cells, target, found, classes)
    about = partial(Examined, target, rows, found, cells.read_as, alike=len(cells.rows) - rows, giving_away=away)
    if classes is None:
        written = _number(cells, target)
        without = sum(map(missing, told))
        return about(None, 0.0, _tolerance(cells, target, written), written, without_target=without)
    rare = {name: count for name, count in sorted(counts.items()) if count < RARE}
    spread = _spread(Table(target, {each.name: each.column for each in found}, classes), cells, rare)
    without = len(cells.rows) - counts.total()
    about = partial(about, imbalance=_imbalance(counts), rare=rare, spread=spread, without_target=without)
    return about(classes, _floor(counts), 1e-5)


def texts(file: Path, target: str, task: Task, kinds: Mapping[str, str] | None = None) -> Examined:
    """Texts and their classes: the texts are the column `text`, or the only other one."""
    cells = read(file)
    cells.texts(target)  # there, and nowhere empty
    others = [name for name in cells.header if name != target]
    if kinds:
        raise ValueError(f"{cells.name} is taken for texts; --column is for tables")
    if "text" not in others and len(others) != 1:
        raise ValueError(f"{cells.name} must have a column `text`, or no other column than {target!r} and the texts")
    text = "text" if "text" in others else others[0]
    classes = cells.column(target) if task == "classification" else None
    kept = duplicates.unlike(cells.texts(text), classes)
    rows = _enough(cells, len(kept.first), f" ({kept})")
    uses = dict.fromkeys(others, "left out") | {text: "read, word by word"}
    found = [replace(each, read=uses[each.name]) for each in understand(cells, target)]
    about = partial(Examined, target, rows, found, cells.read_as, text=text, alike=kept.repeated)
    if task == "classification":
        classes, counts = _classes(cells, target)
        return about(classes, _floor(counts), 1e-3, imbalance=_imbalance(counts), contrary=kept.contrary)
    return about(None, 0.0, 10 * _tolerance(cells, target, _number(cells, target)))


def _telling(
    cells: Cells, target: str, found: list[Understood], classes: Sequence[str] | None
) -> tuple[list[Understood], dict[str, float]]:
    """The columns with what each tells alone, and those that give the target away."""
    written = _number(cells, target) if classes is None else Number()
    table = Table(target, {each.name: each.column for each in found}, classes, written)
    shares = telling(table.columns, *table.read(cells), classes is not None)
    return [replace(each, alone=shares.get(each.name)) for each in found], giving_away(table.columns, shares)


def _different(table: Cells) -> int:
    return _enough(table, len(set(map(tuple, table.rows))))


def _enough(table: Cells, rows: int, why: str = "") -> int:
    """The number of different rows. Raises ValueError where they are too few."""
    if rows < FEWEST_ROWS:
        raise ValueError(
            f"{table.name} has {rows} different rows{why}; at least {FEWEST_ROWS} are needed to learn, choose and judge"
        )
    return rows


def _imbalance(counts: Counter[str]) -> float:
    """Of too few rows nothing can be learned or judged: weighed like the others, they would only be in their way."""
    return max(counts.values()) / min((rows for rows in counts.values() if rows >= RARE), default=1)


def _floor(counts: Counter[str]) -> float:
    """The accuracy of always naming the most frequent class, balanced where this is asked for."""
    share = 1 / len(counts) if _imbalance(counts) >= IMBALANCED else max(counts.values()) / counts.total()
    return math.floor(share * 100) / 100


def _classes(table: Cells, target: str) -> tuple[list[str], Counter[str]]:
    """The classes, and how many rows each has. What says that nothing is there is a class where many rows say so."""
    counts = Counter(cell for cell in table.column(target) if cell)
    for name in [name for name, rows in counts.items() if missing(name) and rows < RARE]:
        del counts[name]
    if len(counts) < 2:
        raise ValueError(
            f"{table.name}: {target!r} is {next(iter(counts), '')!r} in all rows; there is nothing to tell"
        )
    if len(counts) > MOST_CLASSES:
        hint = ""
        with suppress(BeyondFloat):
            hint = "; for a number that is to be estimated, say --task regression" if number(counts) else ""
        raise ValueError(
            f"{table.name}: {target!r} has {len(counts)} different values, and at most {MOST_CLASSES} classes are "
            f"taken{hint}"
        )
    return sorted(counts), counts


def _spread(table: Table, cells: Cells, rare: Mapping[str, int]) -> dict[str, int]:
    """For each class of few rows the first number that sends some of its rows into each split, if there are three."""
    if not rare:
        return {}
    values, targets = table.read(cells)
    seen, found = looks(of_values(table.columns, values)), {}
    for name in rare:
        rows = {look for look, target in zip(seen, targets, strict=True) if target == name}
        wanted = {2: {"train", "test"}}.get(len(rows), {"train"} if len(rows) < 2 else set(SPLITS))
        for salt in count():
            fates = {split_of(identity(look.encode(), str(salt).encode()), SHARES) for look in rows}
            if wanted <= fates or salt > MOST_TRIED:
                found[name] = salt
                break
    return found


def _number(table: Cells, target: str) -> Number:
    """How a target is written that is a number."""
    counts = Counter(cell for cell in table.column(target) if not missing(cell))
    try:
        found = number(counts, decimal_sign(table))
    except BeyondFloat as error:
        line = table.lines[table.column(target).index(error.cell)]
        raise ValueError(f"{table.name}, line {line}: {target!r} {error}; mend it or remove the row") from None
    if found is None:
        plain = Number()
        wrong = next((cell for cell in counts if plain.read(cell) is None), next(iter(counts), ""))
        line = table.lines[table.column(target).index(wrong)] if wrong else 1
        raise ValueError(
            f"{table.name}, line {line}: {target!r} is {short(wrong)}, which is no number as the others are; "
            "for classes, say --task classification"
        )
    return Number(decimal=found.decimal, thousands=found.thousands, affix=found.affix)


def _tolerance(table: Cells, target: str, written: Number) -> float:
    """How much of a number that is told may be lost by rounding to float32."""
    wanted = [value for value in table.values(target, written).tolist() if value == value]
    mean = sum(wanted) / len(wanted)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in wanted) / len(wanted))
    if len(set(np.asarray(wanted, np.float32).tolist())) < 2 or not deviation:
        held = "" if len(set(wanted)) < 2 else ", as float32 holds it"
        raise ValueError(f"{table.name}: {target!r} is the same number in all rows{held}; there is nothing to tell")
    return rounded(max(1e-4 * deviation, 1e-5 * max(map(abs, wanted))), math.ceil)
