"""What an embedding is asked for (`EmbeddingSpec`), and what it gives back (`EmbeddingResult`)."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from workloads.sdk.programs.embedding.table import VectorTable
from workloads.sdk.programs.spec import RESULT, Task


class EmbeddingSpec(Task):
    """What an embedding is asked for; `data` has one split, the documents.

    Attributes:
        index: name of the declaration.
        parameters: the declaration's parameters.
        embedder, embedder_digest: name and identity of the model that must compute the vectors.
        dimensions: of a vector.
        type: of a vector in the table.
        db_schema: schema of the tables of vectors.
        table: name of the table; it stands for this data, code, model and parameters.
        connection: file, readable by its owner only, that holds the database's URL.
    """

    verb = "Embedding"

    index: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    embedder: str
    embedder_digest: str
    dimensions: int
    type: Literal["vector", "halfvec"] = "vector"
    db_schema: str
    table: str
    connection: Path

    @property
    def program(self) -> str:
        return "workloads.sdk.programs.embedding.embed"

    @property
    def drives(self) -> bool:
        return True

    def finished(self, out: Path) -> "EmbeddingResult | None":
        """The result in a folder, if it is this spec's."""
        try:
            result = EmbeddingResult.model_validate_json((out / RESULT).read_text())
        except (OSError, ValueError):
            return None
        return result if result.spec_hash == self.hash else None

    def vector_table(self) -> VectorTable:
        """The table that is to be made."""
        return VectorTable(
            name=self.table,
            index=self.index,
            data_version=self.data_version,
            data_digest=self.data_digest,
            code=self.code_version,
            embedder=self.embedder,
            embedder_digest=self.embedder_digest,
            dimensions=self.dimensions,
            type=self.type,
            parameters=self.parameters,
        )


class Counts(BaseModel):
    """What became of chunks.

    Attributes:
        embedded: were computed.
        copied: their text had a vector in another table, or stood beside them twice.
        skipped: stood in the table already.
        truncated: of the first two, how many are longer than the encoder reads, so that their end does not count.
    """

    embedded: int = 0
    copied: int = 0
    skipped: int = 0
    truncated: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in Counts.model_fields})


class EmbeddingResult(BaseModel):
    """What an embedding gives back.

    Attributes:
        table: that is whole now.
        documents, chunks: that it holds.
        counts: what became of the chunks in this attempt.
        seconds: duration of each phase: `start` until a worker is ready, `embed` (read, cut, embed, write), `index`.
    """

    spec_hash: str
    table: str
    documents: int
    chunks: int
    counts: Counts
    seconds: dict[str, float]

    @property
    def rate(self) -> float | None:
        """Chunks that were computed in a second of the phase `embed`; None where none were."""
        return self.counts.embedded / self.seconds["embed"] if self.counts.embedded else None
