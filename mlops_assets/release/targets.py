"""The targets of a declaration: what is judged and released under a name of its own.

A workload has one, its model. An index is one. An application has its prompt and its language model; the index that it
reads belongs to another declaration, and the composition of all three is what its endpoint serves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from workloads.sdk.contract import Declared, Workload
from workloads.sdk.contract.applications import Application, Index

Role = Literal["model", "index", "prompt", "language_model"]

STAGES: dict[Role, str] = {
    "model": "models",
    "index": "embeddings",
    "prompt": "prompts",
    "language_model": "language_models",
}


def stage_key(name: str, stage: str) -> dg.AssetKey:
    """The asset of a declaration's stage, which is last: of a key, Dagster's graph shows only the last word."""
    return dg.AssetKey([name, stage])


def released_key(target: str) -> dg.AssetKey:
    """The asset of what is released of a target; of an application, of each of its targets."""
    role, _, name = target.rpartition("/")
    return stage_key(name, f"{role}_releases" if role in ("prompt", "language_model") else "releases")


@dataclass(frozen=True)
class ReleaseTarget:
    """Something that is released.

    Attributes:
        name: in the ledger and on the command line: `wine`, `index/corpus`.
        role: what it is.
        declared: the declaration that it belongs to.
    """

    name: str
    role: Role
    declared: Declared

    @property
    def word(self) -> str:
        """Its name where no slash may stand: `index_corpus`."""
        return self.name.replace("/", "_")

    @property
    def made(self) -> dg.AssetKey:
        """The asset that makes its candidates."""
        return stage_key(self.declared.name, STAGES[self.role])

    @property
    def released(self) -> dg.AssetKey:
        """The asset of what is released."""
        return released_key(self.name)

    @property
    def aliases(self) -> dg.AssetKey:
        """The asset of its aliases in the registry."""
        path = self.released.path
        return dg.AssetKey([*path, path[-1].replace("releases", "aliases")])

    @property
    def partitioned(self) -> bool:
        """Whether each data version makes candidates of its own; else the newest candidate is what counts."""
        return self.role in ("model", "index")


def targets_of(declared: Declared) -> list[ReleaseTarget]:
    """The targets that belong to a declaration."""
    match declared:
        case Workload():
            return [ReleaseTarget(declared.name, "model", declared)]
        case Index():
            return [ReleaseTarget(declared.thing, "index", declared)]
        case Application():
            names = declared.things()
            return [ReleaseTarget(names[role], role, declared) for role in ("prompt", "language_model")]
    raise TypeError(f"{type(declared).__name__} is no declaration that anything here knows")


def model_of(workload: Workload) -> ReleaseTarget:
    """A workload's only target."""
    (target,) = targets_of(workload)
    return target


def served(declared: Iterable[Declared]) -> list[Workload | Application]:
    """The declarations that have an endpoint."""
    return [one for one in declared if isinstance(one, Workload | Application)]


def followers(target: ReleaseTarget, declared: Sequence[Declared]) -> list[Workload | Application]:
    """The declarations whose endpoints follow what is released of a target."""
    return [one for one in served(declared) if target.name in served_targets(one).values()]


def served_targets(declared: Workload | Application) -> dict[str, str]:
    """The targets that an endpoint serves, by role."""
    return {"model": declared.name} if isinstance(declared, Workload) else declared.things()


def find(name: str, declared: Iterable[Declared]) -> ReleaseTarget | None:
    """The target of a name."""
    return next((target for one in declared for target in targets_of(one) if target.name == name), None)
