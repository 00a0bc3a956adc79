"""Reciprocal rank fusion: one order out of several rankings whose scores cannot be compared.

Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
SIGIR 2009: a document's score is the sum over rankings of weight / (k + rank), ranks from 1, k = 60 in their trials.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K = 60

Item = TypeVar("Item", bound=Hashable)


def fuse(
    rankings: Mapping[str, Sequence[Item]], weights: Mapping[str, float] | None = None, k: float = K
) -> list[tuple[Item, float]]:
    """All items of the rankings (each best first, without repetition) with their scores, best first.

    Equal scores stand in the order of the best rank, then of the rankings as given: the same input, the same answer.

    Args:
        weights: by name of the ranking, 0 or more; 1 where none is given. A ranking of weight 0 adds no items.
        k: more than 0; the larger, the less the first ranks stand out.

    Raises:
        ValueError: a ranking names an item twice, a weight is negative, or k is not positive.
    """
    if k <= 0:
        raise ValueError(f"k must be more than 0, and is {k:g}")
    scores: dict[Item, float] = {}
    best: dict[Item, int] = {}
    for name, ranking in rankings.items():
        weight = (weights or {}).get(name, 1.0)
        if weight < 0:
            raise ValueError(f"the weight of {name!r} must be 0 or more, and is {weight:g}")
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"the ranking {name!r} names an item twice")
        for rank, item in enumerate(ranking if weight else (), start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
            best[item] = min(best.get(item, rank), rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], best[scored[0]]))  # stable: as given
