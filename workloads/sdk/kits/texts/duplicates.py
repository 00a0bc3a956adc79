"""Near-duplicates among texts, by MinHash over shingles of three words and banding (Broder 1997; Leskovec, Rajaraman
and Ullman, "Mining of Massive Datasets", chapter 3), every pair that it suspects compared exactly.

With 20 bands of 3 rows a pair of Jaccard similarity 0.7 is missed once in 4,500 times, one of 0.8 once in 6 million.
"""

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from workloads.sdk.kits.words import alike

BANDS, ROWS = 20, 3
PRIME = 2**31 - 1
SIMILAR = 0.7  # Jaccard similarity of shingles from which on two texts are near-duplicates


def shingles(text: str) -> frozenset[int]:
    """Hashes below `PRIME` of every three words after each other; case, digits and signs do not count."""
    words = alike(text)
    return frozenset(zlib.crc32(" ".join(words[at : at + 3]).encode()) % PRIME for at in range(max(1, len(words) - 2)))


def similarity(one: frozenset[int], two: frozenset[int]) -> float:
    """Jaccard similarity: shared shingles over all."""
    return len(one & two) / len(one | two)


@dataclass(frozen=True)
class Unlike:
    """What is left of texts of which none is a near-duplicate of another.

    Attributes:
        first: positions of those that are kept: of some that are alike the first.
        repeated: how many are alike to one that is kept.
        contrary: how many are alike and have different targets, so that none of them is kept.
    """

    first: list[int]
    repeated: int
    contrary: int

    def __str__(self) -> str:
        return (
            f"{self.repeated} are dropped as near-duplicates of others, and {self.contrary} that are alike and have "
            "different targets"
        )


def unlike(texts: Sequence[str], classes: Sequence[str] | None = None) -> Unlike:
    """The texts to keep; `classes` are their targets, where they are no numbers."""
    found = groups(texts)
    kept = [group for group in found if classes is None or len({classes[at] for at in group}) == 1]
    alike = sum(map(len, kept))
    return Unlike([group[0] for group in kept], alike - len(kept), len(texts) - alike)


def groups(texts: Sequence[str], similar: float = SIMILAR) -> list[list[int]]:
    """Positions of texts that are near-duplicates of each other, directly or over others; alone or not, each is in
    one group. Positions ascend, and so do the groups' first ones."""
    sets = [shingles(text) for text in texts]
    leader = list(range(len(texts)))

    def first(at: int) -> int:
        while leader[at] != at:
            leader[at] = at = leader[leader[at]]
        return at

    for one, two in sorted(_suspects(sets)):
        if first(one) != first(two) and similarity(sets[one], sets[two]) >= similar:
            low, high = sorted((first(one), first(two)))
            leader[high] = low
    found: dict[int, list[int]] = defaultdict(list)
    for at in range(len(texts)):
        found[first(at)].append(at)
    return list(found.values())


def _suspects(sets: Sequence[frozenset[int]]) -> set[tuple[int, int]]:
    """Pairs of positions that agree in all rows of some band of their signatures."""
    generator = np.random.default_rng(0)
    factors = generator.integers(1, PRIME, BANDS * ROWS, dtype=np.uint64)
    shifts = generator.integers(0, PRIME, BANDS * ROWS, dtype=np.uint64)
    signatures = np.empty((len(sets), BANDS, ROWS), np.uint64)
    for at, each in enumerate(sets):
        hashes = np.fromiter(each, np.uint64, len(each))
        signatures[at] = ((hashes[:, None] * factors + shifts) % PRIME).min(axis=0).reshape(BANDS, ROWS)
    pairs: set[tuple[int, int]] = set()
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for at in range(len(sets)):
            buckets[signatures[at, band].tobytes()].append(at)
        for bucket in buckets.values():
            # Of a bucket of many, neighbours are compared, which joins what is alike; all pairs would be too many.
            pairs.update(combinations(bucket, 2) if len(bucket) <= 50 else pairwise(bucket))
    return pairs
