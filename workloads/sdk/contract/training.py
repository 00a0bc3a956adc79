"""What a training is handed, what it asks of the machine, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """Base of a workload's parameters: one field each, with description and bounds.

    From it come the Dagster launchpad, the flags of `python -m <workload>.train`, and the search space of a tuning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(42, ge=0, le=2**31 - 1, description="Seed of every random generator in training.")


@dataclass(frozen=True)
class Tier:
    """What a job asks of the machine; counts are per worker, `gpus` may be a fraction of one, memory is in GiB."""

    workers: int = 1
    cpus: float = 1
    gpus: float = 0
    memory_gib: float = 1


TIERS: Mapping[str, Tier] = {
    "cpu-small": Tier(cpus=1, memory_gib=1),
    "cpu-medium": Tier(cpus=2, memory_gib=4),
    "cpu-large": Tier(cpus=4, memory_gib=8),
    "cpu-small-distributed": Tier(workers=2, cpus=1, memory_gib=2),
    "cpu-medium-distributed": Tier(workers=2, cpus=2, memory_gib=4),
    "cpu-large-distributed": Tier(workers=2, cpus=4, memory_gib=8),
    "gpu-bronze": Tier(cpus=1, gpus=0.25, memory_gib=4),
    "gpu-silver": Tier(cpus=2, gpus=0.5, memory_gib=8),
    "gpu-gold": Tier(cpus=4, gpus=1, memory_gib=16),
    "gpu-gold-distributed": Tier(workers=2, cpus=4, gpus=1, memory_gib=16),
}


@dataclass(frozen=True)
class TrainingJob:
    """What `train` is handed. The test split is not among it: it is for the gates only.

    Attributes:
        data: file of each split, `train` and `validation`.
        parameters: the workload's own parameters.
        artifacts: empty folder; what is written there is the model, preprocessing and labels included.
        plots: folder for pictures (PNG).
        checkpoints: folder that survives a lost process; a checkpoint found there is resumed from.
        tier: what the job was given.
        progress: called with (done share in [0, 1], one line of text).
    """

    data: Mapping[str, Path]
    parameters: Any
    artifacts: Path
    plots: Path
    checkpoints: Path
    tier: Tier
    progress: Callable[[float, str], None] = lambda share, text: None


@dataclass(frozen=True)
class Trial:
    """One try of a search for good parameters. Any workload may search: the platform draws and tracks what it tried.

    Attributes:
        name: unlike that of the search's other trials.
        parameters: what was tried, by name, as plain JSON values.
        metrics: finite values by name; a search goes by `validation_<metric that decides>`.
        curves: one list of finite values per name, a value per epoch or round.
        state: `stopped` early, since others promised more; `failed` for good, after it was tried again.
        best: whether this one became the model.
        seconds: how long it trained.
    """

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    state: Literal["finished", "stopped", "failed"] = "finished"
    best: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainingResult:
    """What `train` returns.

    Attributes:
        metrics: final values by name, measured on train and validation, for example `validation_accuracy`.
        curves: one list of values per name, a value per epoch or round.
        resumed_from: what checkpoint the training went on from, if any.
        trials: what a search tried, where there was one.
    """

    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    resumed_from: str | None = None
    trials: Sequence[Trial] = ()
