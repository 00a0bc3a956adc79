"""How good a model is within groups of rows: each with its number of rows and an interval, worst first, and the gap.

A declaration names columns (`Slice`). The groups come from the workload's own evaluation where that names the column,
else from the column itself as it stands in the test split; numbers of many values are cut at their quartiles.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlops_assets.gates.statistics import Interval, difference, mean_interval
from resources.ledger.reports import Check
from workloads.sdk.contract import Gates, Metric, Slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 10  # different numbers that are groups of their own
MOST_SHOWN = 50  # groups in a report
MISSING = "missing"


@dataclass(frozen=True)
class Group:
    """Some rows: their mean score, how many they are, a 95 % interval, and whether they are enough to be judged."""

    name: str
    value: float
    n: int
    interval: Interval
    judged: bool

    def json(self) -> dict[str, Any]:
        interval = [self.interval.low, self.interval.high]
        return {"group": self.name, "value": self.value, "n": self.n, "interval": interval, "judged": self.judged}


def column_of(split: Path, column: str) -> "NDArray[Any]":
    """A column of a split as the names of groups, array of shape (rows,) of strings.

    Raises:
        KeyError: the split has no such column.
        ValueError: its values are neither numbers, texts nor true and false.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = parquet.read_schema(split).names
    if column not in names:
        raise KeyError(f"neither `evaluate` nor the test split has a column {column!r} to slice by; it has {names}")
    values = parquet.read_table(split, columns=[column])[column].combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_large_string,
             pa.types.is_boolean)  # fmt: skip
    if not any(is_kind(values.type) for is_kind in kinds):
        raise ValueError(f"the column {column!r} holds {values.type}; numbers, texts or true and false make groups")
    return grouped(values.to_pylist())


def grouped(values: list[Any]) -> "NDArray[Any]":
    """Names of groups for numbers, texts, booleans or None, array of shape (rows,) of strings.

    Numbers of more than `MOST_VALUES` values are cut at their quartiles: equal numbers are always in one group.
    """
    import numpy as np

    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    known = [float(value) for value, number in zip(values, numbers, strict=True) if number and value == value]
    if not known or len(set(known)) <= MOST_VALUES:
        return np.asarray([_name(value) for value in values], dtype=np.str_)
    bounds = sorted(set(np.quantile(known, [0.25, 0.5, 0.75], method="lower").tolist()))
    between = [f"above {low:.4g} to {high:.4g}" for low, high in pairwise(bounds)]
    names = [f"to {bounds[0]:.4g}", *between, f"above {bounds[-1]:.4g}"]
    pairs = zip(values, numbers, strict=True)
    named = [names[bisect_left(bounds, one)] if number and one == one else MISSING for one, number in pairs]
    return np.asarray(named, dtype=np.str_)


def groups(scores: "NDArray[Any]", names: "NDArray[Any]", metric: Metric, minimum: int) -> list[Group]:
    """The groups of some rows: first those with rows enough, then the others, each time the worst first.

    Args:
        scores: of each row, shape (rows,).
        names: the group of each row, shape (rows,).
        minimum: rows that a group must have to be judged.
    """
    found = []
    for name in sorted(set(names.tolist())):
        rows = scores[names == name]
        found.append(Group(name, float(rows.mean()), len(rows), mean_interval(rows), len(rows) >= minimum))
    sign = 1 if metric.higher_is_better else -1
    return sorted(found, key=lambda group: (not group.judged, sign * group.value, group.name))


class Scored(Protocol):
    """Row scores and groups of rows by name, arrays of shape (rows,) each."""

    def of(self, metric: str) -> "NDArray[Any]": ...
    def slice(self, column: str) -> "NDArray[Any]": ...


def checks(scores: Scored, gates: Gates, metrics: Sequence[Metric]) -> list[Check]:
    """What a report says of all declared slices; rows to which a metric does not apply (NaN) are passed over."""
    import numpy as np

    known, found = {metric.name: metric for metric in metrics}, []
    for each in gates.slices:
        metric = known[each.metric or gates.metric]
        values, names = scores.of(metric.name), scores.slice(each.column)
        applies = ~np.isnan(values)
        found.append(check(values[applies], names[applies], metric, each))
    return found


def check(scores: "NDArray[Any]", names: "NDArray[Any]", metric: Metric, declared: Slice) -> Check:
    """What a report says of a slice. A group is refused below the floor, if it has rows enough to be judged."""
    found = groups(scores, names, metric, declared.minimum_rows)
    judged = [group for group in found if group.judged]
    floor = declared.floor

    def good(group: Group) -> bool:
        return floor is None or (group.value >= floor if metric.higher_is_better else group.value <= floor)

    below = [group for group in judged if not good(group)]
    gap = _gap(judged)
    if below:
        text = f"beyond the bound of {floor:g}: {', '.join(map(_words, below[:5]))}"
        text += f" and {len(below) - 5} more" if len(below) > 5 else ""
    elif judged:
        text = f"{len(judged)} groups {'hold' if floor is not None else 'shown'}, the worst is {_words(judged[0])}"
    else:
        text = "no group is judged"
    if gap:
        text += f"; gap to the best {gap['difference']:.4g} [{gap['interval'][0]:.4g}, {gap['interval'][1]:.4g}]"
    never = {group.name: group.n for group in found if metric.higher_is_better and group.value == 0}
    never = never if set(scores.tolist()) <= {0.0, 1.0} else {}
    if never:
        text += f"; never right: {', '.join(f'{name} (0 of {n})' for name, n in list(never.items())[:10])}"
    if few := len(found) - len(judged):
        text += f"; {few} with fewer than {declared.minimum_rows} rows are not judged"
    return Check(
        name=f"slices:{declared.column}",
        verdict="refuse" if below else "pass",
        value=judged[0].value if judged else None,
        threshold=floor,
        unit=metric.unit,
        n=len(scores),
        text=text,
        evidence={
            "metric": metric.name,
            "groups": [group.json() for group in found[:MOST_SHOWN]],
            "more_groups": max(0, len(found) - MOST_SHOWN),
            "minimum_rows": declared.minimum_rows,
            "gap": gap,
            "never_right": never,
        },
    )


def _gap(judged: list[Group]) -> dict[str, Any] | None:
    """How far the best of the judged groups is from the worst; as they were picked for that, it is rather too large."""
    if len(judged) < 2:
        return None
    worst, best = judged[0], judged[-1]
    high, low = sorted((worst, best), key=lambda group: -group.value)
    interval = difference(high.value, high.interval, low.value, low.interval)
    return {
        "worst": worst.name,
        "best": best.name,
        "difference": high.value - low.value,
        "interval": [interval.low, interval.high],
    }


def _words(group: Group) -> str:
    return f"{group.name} ({group.value:.4g} [{group.interval.low:.4g}, {group.interval.high:.4g}], {group.n} rows)"


def _name(value: Any) -> str:
    if value is None or value != value:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, int | float) else str(value)
