"""The corpus: documentation of this project, of Python and of the libraries, as an index of embedded chunks."""

from pydantic import Field, model_validator

from workloads.corpus.data_parameters import CorpusData
from workloads.sdk.contract import Data
from workloads.sdk.contract.applications import Index, IndexParameters


class CorpusParameters(IndexParameters):
    """How documents are cut, embedded and indexed."""

    size: int = Field(600, ge=100, le=4000, description="Most characters of a chunk; the encoder reads 256 tokens.")
    overlap: int = Field(60, ge=0, le=1000, description="Characters that a chunk may share with the one before it.")

    @model_validator(mode="after")
    def _overlap_fits(self) -> "CorpusParameters":
        if self.overlap > self.size // 2:
            raise ValueError(f"overlap={self.overlap} is more than half of size={self.size}")
        return self


workload = Index(
    name="corpus",
    description="Documentation of this project, of Python and of its libraries, as an index of embedded chunks.",
    data=Data(
        "corpus",
        "Markdown: this project's documentation, Python's language reference, and docstrings of libraries.",
        parameters=CorpusData,
        splits=("documents",),
    ),
    parameters=CorpusParameters,
    tier="cpu-small-distributed",
    owners=["team:mlops"],
    kinds=frozenset({"onnx", "ray"}),
)
