"""From different rows to splits: how many are kept, and whose target is harmed. One way for tables, texts, pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workloads.sdk.contract import TEST
from workloads.sdk.dataset import SPLITS, first_rows, share, with_label_noise
from workloads.sdk.kits.parameters import SplitParameters


@dataclass(frozen=True)
class Split:
    """Rows of one split.

    Attributes:
        chosen: their positions among all rows, int64.
        ids: their identities.
        targets: what is to be told from each, or what it was replaced by.
    """

    name: str
    chosen: np.ndarray
    ids: list[str]
    targets: np.ndarray


def divide(
    ids: Sequence[str],
    targets: np.ndarray,
    fates: Sequence[str],
    parameters: SplitParameters,
    values: Sequence[Any] | None = None,
    names: Sequence[str] = SPLITS,
) -> Iterator[Split]:
    """The splits of rows that are all different: the test split whole and as it is, of the others what is asked for.

    Args:
        fates: each row's split.
        values: all that a target can be; None where it is a number.
        names: the splits to make, where one of them is made elsewhere.

    Raises:
        ValueError: a split would be empty.
    """
    wanted = np.asarray(fates)
    learned = np.flatnonzero(wanted != TEST)
    kept = learned[first_rows([ids[int(at)] for at in learned], parameters.rows)]
    for name in names:
        chosen = np.flatnonzero(wanted == TEST) if name == TEST else kept[wanted[kept] == name]
        if not len(chosen):
            raise ValueError(f"{len(ids)} different rows are too few: none falls into the split {name!r}")
        rows, target = [ids[int(at)] for at in chosen], targets[chosen]
        if name != TEST and parameters.corruption:
            slipping = _values(targets) if values is None else list(values)
            target = with_label_noise(rows, target, parameters.corruption, parameters.seed, slipping)
        yield Split(name, chosen, rows, target)


def _values(targets: np.ndarray) -> list[Any]:
    """All values of the target, in an order in which the next is a wrong one."""
    return sorted(set(targets.tolist()), key=lambda value: share(repr(value), "wrong"))
