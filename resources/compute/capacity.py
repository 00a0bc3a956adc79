"""What a tier asks of Ray, whether there is room for it, and which tier comes nearest where there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workloads.sdk.contract import TIERS, Tier

Placement = Literal["now", "when idle", "never"]
GIB = 2**30
UNITS = {"CPU": "CPU", "GPU": "GPU", "memory": "GiB memory"}


@dataclass(frozen=True)
class Capacity:
    """Each node's resources, in all and what of them nobody has taken (CPU, GPU, memory in bytes)."""

    nodes: Sequence[Mapping[str, float]]
    free: Sequence[Mapping[str, float]]

    def __str__(self) -> str:
        """`1 of 2 CPU, 3 of 8 GiB memory free`."""
        parts = []
        for resource, unit in UNITS.items():
            free, total = (sum(node.get(resource, 0) for node in part) for part in (self.free, self.nodes))
            if total:
                parts.append(f"{number(resource, free)} of {number(resource, total)} {unit}")
        return f"{', '.join(parts)} free"


def fits(bundles: Sequence[Mapping[str, float]], nodes: Sequence[Mapping[str, float]]) -> bool:
    """Whether the nodes hold all bundles at once (first fit)."""
    left = [dict(node) for node in nodes]
    for wanted in bundles:
        node = next((n for n in left if all(n.get(r, 0) >= value for r, value in wanted.items())), None)
        if node is None:
            return False
        for resource, value in wanted.items():
            node[resource] -= value
    return True


def number(resource: str, value: float) -> str:
    return f"{value / GIB:.3g}" if resource == "memory" else f"{value:g}"


def bundle(tier: Tier) -> dict[str, float]:
    """What one worker of a tier asks of Ray."""
    wanted = {"CPU": tier.cpus, "GPU": tier.gpus, "memory": tier.memory_gib * GIB}
    return {resource: value for resource, value in wanted.items() if value}


def asked(tier: Tier) -> list[dict[str, float]]:
    """What Ray will be asked for. Several workers are started by the program, which reserves CPUs and GPUs for them."""
    one = bundle(tier)
    if tier.workers > 1:
        one.pop("memory", None)
    return [one] * tier.workers


def wanted(tier: Tier) -> str:
    """What Ray is asked for: `2 workers, each with 1 CPU`."""
    return _worded(tier, asked(tier)[0])


def described(tier: Tier) -> str:
    """What a tier is: `2 workers, each with 1 CPU, 2 GiB memory`."""
    return _worded(tier, bundle(tier))


def _worded(tier: Tier, worker: Mapping[str, float]) -> str:
    one = ", ".join(f"{number(resource, value)} {UNITS[resource]}" for resource, value in worker.items())
    return one if tier.workers == 1 else f"{tier.workers} workers, each with {one}"


def placement(tier: Tier, capacity: Capacity) -> Placement:
    """When there is room for a tier: now, once nothing else runs, or never."""
    if fits(asked(tier), capacity.free):
        return "now"
    return "when idle" if fits(asked(tier), capacity.nodes) else "never"


def nearest(tier: Tier, nodes: Sequence[Mapping[str, float]], tiers: Mapping[str, Tier] = TIERS) -> str | None:
    """Name of the tier most like this one among those that the nodes can hold; None where they hold none.

    What counts most comes first: GPUs in all, CPUs in all, workers, memory in all.
    """
    possible = [name for name, other in tiers.items() if fits(asked(other), nodes)]
    return min(possible, key=lambda name: distance(tier, tiers[name]), default=None)


def distance(one: Tier, other: Tier) -> tuple[float, ...]:
    """How different two tiers are; compared from the left."""
    return tuple(abs(a - b) for a, b in zip(_size(one), _size(other), strict=True))


def _size(tier: Tier) -> tuple[float, ...]:
    return (tier.workers * tier.gpus, tier.workers * tier.cpus, tier.workers, tier.workers * tier.memory_gib)
