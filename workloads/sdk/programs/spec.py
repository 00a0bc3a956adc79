"""What a job is asked for (`Task`; `Spec` of a training), and what it gives back (`Result`, in `result.json`)."""

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workloads.sdk.artifacts import BrokenArtifacts, Manifest, digest_of
from workloads.sdk.contract import Tier, Trial

FAILED = "training failed: "  # begins the last line of a program that failed
RESULT = "result.json"


class InputFile(BaseModel):
    """A split's file, and the SHA-256 that it must have."""

    path: Path
    sha256: str


class Task(BaseModel):
    """What a job is asked for: the specification of any program that writes its result into a folder, and that last.

    The program is run as `python -m <program> --spec spec.json --out DIR`.

    Attributes:
        package: Python package of the workload, for example `workloads.wine`.
        data: file of each split that it works on.
        data_version: version of the data, for people.
        data_digest: digest of the data, its identity.
        code_version: digest of the code that does it.
        tier: what the job may use of the machine.
        checkpoints: folder that survives a lost process (None: `checkpoints` beside the result); emptied when done.
    """

    model_config = ConfigDict(extra="forbid")
    verb: ClassVar[str]  # what it does, as the errors begin: "Training"

    package: str
    data: dict[str, InputFile]
    data_version: str = ""
    data_digest: str = ""
    code_version: str = ""
    tier: Tier = Tier()
    checkpoints: Path | None = None

    @property
    def program(self) -> str:
        """Module of the program."""
        raise NotImplementedError

    @property
    def drives(self) -> bool:
        """Whether the program only starts workers, which ask for what the tier grants; else it is the worker itself."""
        return self.tier.workers > 1

    @property
    def hash(self) -> str:
        """SHA-256 of what determines the result, and of nothing else."""
        determines = self.model_dump(mode="json", exclude={"checkpoints", "data_version", "data"})
        return digest_of({**determines, "data": {split: file.sha256 for split, file in self.data.items()}})

    def finished(self, out: Path) -> Any:
        """The result that stands in a folder, if it is this task's and whole; else None."""
        raise NotImplementedError


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
        warnings: what did not work, though the model is whole: a picture that could not be drawn.
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
    warnings: list[str] = []


class Spec(Task):
    """What a training is asked for; `data` has the splits train, validation and test.

    Attributes:
        parameters: the workload's parameters, seed included.
    """

    verb = "Training"

    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def program(self) -> str:
        return f"{self.package}.train"

    def finished(self, out: Path) -> Result | None:
        return finished(self, out)


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
