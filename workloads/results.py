"""What a training is asked for (`Spec`), and what it gives back (`Result`, the content of `result.json`)."""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workloads.artifacts import BrokenArtifacts, Manifest, digest_of
from workloads.contract import Tier, Trial

RESULT = "result.json"


class DataFile(BaseModel):
    """A split's file, and the SHA-256 that it must have."""

    path: Path
    sha256: str


class Spec(BaseModel):
    """What a training is asked for.

    Attributes:
        package: Python package of the workload, for example `workloads.wine`.
        data: file of each split: train, validation and test.
        data_version: version of the data, for people.
        data_digest: digest of the data, its identity.
        code_version: digest of the code that trains.
        parameters: the workload's parameters, seed included.
        tier: what the training may use of the machine.
        checkpoints: folder that survives a lost process (None: `checkpoints` beside the result); emptied when done.
    """

    model_config = ConfigDict(extra="forbid")

    package: str
    data: dict[str, DataFile]
    data_version: str = ""
    data_digest: str = ""
    code_version: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    tier: Tier = Tier()
    checkpoints: Path | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of what determines the result, and of nothing else."""
        determines = self.model_dump(mode="json", exclude={"checkpoints", "data_version", "data"})
        return digest_of({**determines, "data": {split: file.sha256 for split, file in self.data.items()}})


class ParityFigures(BaseModel):
    """Served against trained form on all held-out rows (validation and test).

    `max_difference` is the largest absolute difference of any output, `differing` the rows with one above `tolerance`.
    """

    rows: int
    max_difference: float
    differing: int
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.differing == 0


class Result(BaseModel):
    """What a training gives back.

    Attributes:
        metrics: what `train` measured, and every declared metric of the served form as `validation_*` and `test_*`.
        curves: a value per epoch or round.
        plots: names of the pictures in `plots/`.
        artifacts: what `artifacts/` holds; `digest` is its digest, the model's identity.
        signature: digest of the schemas of request and prediction.
        parity: None where trained and served form are one.
        seconds: duration of each phase.
        resumed_from: checkpoint that the training went on from, if any.
        versions: of the libraries that took part.
        trials: what a search for good parameters tried, where there was one.
    """

    spec_hash: str
    metrics: dict[str, float]
    curves: dict[str, list[float]]
    plots: list[str]
    artifacts: Manifest
    digest: str
    signature: str
    parity: ParityFigures | None
    seconds: dict[str, float]
    resumed_from: str | None
    versions: dict[str, str]
    trials: list[Trial] = []


def finished(spec: Spec, out: Path) -> Result | None:
    """The result that stands in `out`, if it is this spec's and its artifacts are whole."""
    try:
        result = Result.model_validate_json((out / RESULT).read_text())
        result.artifacts.verify(out / "artifacts")
    except (OSError, ValueError, BrokenArtifacts):  # absent or damaged: there is no result
        return None
    return result if result.spec_hash == spec.hash else None


def write_last(file: Path, text: str) -> None:
    """Whole or not at all, also when the power fails: temporary file, fsync, rename, fsync of the folder."""
    temporary = file.with_suffix(".tmp")
    with temporary.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
