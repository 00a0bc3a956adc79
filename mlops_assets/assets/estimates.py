"""What a training is expected to take, from what earlier ones took on the same tier; and what it took against that.

Seconds are those of the program itself, its start is not among them. The cost is hours by tier: what the tier reserves,
for as long as the program runs. There are no prices.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from resources.ledger import Ledger
from workloads.sdk.contract import TIERS, Tier, Workload

LATEST = 10  # earlier trainings that an estimate is made from


@dataclass(frozen=True)
class Took:
    """What an earlier training took: rows of its dataset, and seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What a tier reserves for some seconds."""

    seconds: float
    cpu_hours: float
    gpu_hours: float

    @classmethod
    def of(cls, tier: Tier, seconds: float) -> "Cost":
        hours = tier.workers * seconds / 3600
        return cls(seconds, round(tier.cpus * hours, 6), round(tier.gpus * hours, 6))

    def metadata(self) -> dict[str, float]:
        """As an asset's metadata tells it."""
        gpu = {"cost (GPU-hours)": self.gpu_hours} if self.gpu_hours else {}
        return {"took (s)": round(self.seconds, 3), "cost (CPU-hours)": self.cpu_hours, **gpu}

    def __str__(self) -> str:
        gpu = f", {self.gpu_hours:.3g} GPU-hours" if self.gpu_hours else ""
        return f"{self.seconds:.3g} s, {self.cpu_hours:.3g} CPU-hours{gpu}"


@dataclass(frozen=True)
class Estimate:
    """What training some rows on a tier is expected to take; `cost` is None where nothing of the kind is known.

    Attributes:
        low, high: bounds of the seconds, see `seconds`.
        known: how many earlier trainings it is made from.
    """

    workload: str
    tier: str
    rows: int
    known: int
    cost: Cost | None = None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.cost is None:
            return f"nothing of {self.workload} was trained on the tier {self.tier} yet: what it takes is not known"
        return (
            f"{self.workload} on {self.tier}, {self.rows} rows: {self.cost} expected ({self.low:.3g} to "
            f"{self.high:.3g} s), if time grows as rows do; known there: {self.known}"
        )

    @property
    def short(self) -> str:
        """A few words, for a run's tag: `12.3 s on cpu-small`."""
        return f"{self.cost.seconds:.3g} s on {self.tier}" if self.cost else f"not known on {self.tier}"

    def json(self) -> dict[str, Any]:
        return asdict(self) | {"assumption": "seconds grow as rows do; other parameters are not considered"}


def against(expected: Estimate, took: Cost) -> dict[str, Any]:
    """Metadata: what was expected, what it took, and how far off that was."""
    cost = expected.cost
    difference = {"took more than expected (%)": round(100 * (took.seconds / cost.seconds - 1), 1)} if cost else {}
    return {"expected": str(expected), **took.metadata(), **difference}


def seconds(rows: int, earlier: Sequence[Took]) -> tuple[float, float, float] | None:
    """Expected, least and most seconds for some rows, by what earlier ones took; None where there are none.

    Expected is the median, each scaled by rows: time is taken to grow as they do. Where a fixed part prevails it does
    not grow at all. The truth is between the two: so the bounds are the quickest and the slowest of both.
    """
    shares = [(each.seconds, each.seconds / each.rows * rows) for each in earlier if each.rows > 0]
    if not shares:
        return None
    return median(scaled for _, scaled in shares), min(map(min, shares)), max(map(max, shares))


def estimate(
    workload: Workload, tier: str, rows: int, ledger: Ledger, variants: Sequence[str] | None = None
) -> Estimate:
    """What a training on a tier is expected to take, by the latest of the same workload there.

    Args:
        rows: of all splits of the dataset.
        variants: what is trained, all of the workload's by default; their seconds add up. One that was never trained
            is expected to take what the others do.
    """
    expected, low, high, used = 0.0, 0.0, 0.0, 0
    for variant in variants or list(workload.variants) or [""]:
        own = ledger.candidates.durations(workload.name, tier, LATEST, variant)
        earlier = [Took(*each) for each in own or ledger.candidates.durations(workload.name, tier, LATEST)]
        if (found := seconds(rows, earlier)) is None:
            return Estimate(workload.name, tier, rows, 0)
        expected, low, high = expected + found[0], low + found[1], high + found[2]
        used += len(earlier)
    return Estimate(workload.name, tier, rows, used, Cost.of(TIERS[tier], expected), low, high)
