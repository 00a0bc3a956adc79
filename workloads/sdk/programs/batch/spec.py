"""What a scoring is asked for (`BatchSpec`), and what it leaves (`Scored` for each split, `BatchResult` in all).

<destination>/<split>/
    part-00000.parquet ...    a row for each input row, in the input's order
    _scored.json              what the parts hold, with their digests
"""

from pathlib import Path

from pydantic import BaseModel

from workloads.sdk.artifacts import File, digest_of, sha256
from workloads.sdk.programs.spec import RESULT, Task

SCORED = "_scored.json"  # readers of a folder of Parquet files pass over what begins so


class BatchSpec(Task):
    """What a scoring is asked for.

    Attributes:
        artifacts_uri: where the model's artifacts are.
        model_digest: their digest.
        destination: folder of the scored splits; it stands for this data, model and code.
    """

    verb = "Scoring"

    artifacts_uri: str
    model_digest: str
    destination: Path

    @property
    def program(self) -> str:
        return "workloads.sdk.programs.batch.score"

    @property
    def drives(self) -> bool:
        return True

    def finished(self, out: Path) -> "BatchResult | None":
        """The result in a folder, if it is this spec's, and what it wrote is whole."""
        try:
            result = BatchResult.model_validate_json((out / RESULT).read_text())
        except (OSError, ValueError):
            return None
        return result if result.spec_hash == self.hash and result.splits == self.scored() else None

    def scored(self) -> dict[str, "Scored"]:
        """The splits whose scores lie at the destination, whole."""
        found = {split: Scored.read(self.destination / split) for split in self.data}
        return {split: scored for split, scored in found.items() if scored}


class Scored(BaseModel):
    """A split's scores.

    Attributes:
        rows: in all parts.
        parts: each part's file.
        columns: type of each column, as Arrow writes it.
        source: SHA-256 of the split that was scored.
    """

    rows: int
    parts: list[File]
    columns: dict[str, str]
    source: str

    @property
    def digest(self) -> str:
        """Identity of the scores."""
        return digest_of([part.model_dump() for part in self.parts])

    @classmethod
    def read(cls, folder: Path) -> "Scored | None":
        """What a folder holds, every digest computed again; None where it is absent or not whole."""
        try:
            scored = cls.model_validate_json((folder / SCORED).read_text())
            whole = all(sha256(folder / part.path) == part.sha256 for part in scored.parts)
        except (OSError, ValueError):
            return None
        return scored if whole else None


class BatchResult(BaseModel):
    """What a scoring gives back.

    Attributes:
        splits: the scores of every split that was asked for.
        reused: the splits whose scores lay there already.
        seconds: duration of each phase: `start` of the workers, `score`.
    """

    spec_hash: str
    splits: dict[str, Scored]
    reused: list[str]
    seconds: dict[str, float]

    @property
    def rows(self) -> int:
        return sum(scored.rows for scored in self.splits.values())

    @property
    def digest(self) -> str:
        """Identity of all scores together."""
        return digest_of({split: scored.digest for split, scored in self.splits.items()})
