"""The corpus: documentation of this project, of Python and of the libraries, as an index of embedded chunks."""

from typing import Literal

from pydantic import Field, model_validator

from workloads.contract import Data, Parameters
from workloads.corpus.data_parameters import CorpusData
from workloads.generative import Index


class CorpusParameters(Parameters):
    """How documents are cut, embedded and indexed."""

    size: int = Field(600, ge=100, le=4000, description="Most characters of a chunk; the encoder reads 256 tokens.")
    overlap: int = Field(60, ge=0, le=1000, description="Characters that a chunk may share with the one before it.")
    type: Literal["vector", "halfvec"] = Field(
        "vector", description="How vectors are stored: halfvec takes about half the room, and rounds to 11 bits."
    )
    links: int = Field(16, ge=4, le=64, description="HNSW: links of a vector in the index (m).")
    candidates: int = Field(64, ge=8, le=500, description="HNSW: candidates looked at to place one (ef_construction).")

    @model_validator(mode="after")
    def _sizes_fit(self) -> "CorpusParameters":
        if self.overlap > self.size // 2:
            raise ValueError(f"overlap={self.overlap} is more than half of size={self.size}")
        if self.candidates < 2 * self.links:
            raise ValueError(f"candidates={self.candidates} is less than twice links={self.links}")
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
    owners=["team:mlops"],
    kinds=frozenset({"onnx", "ray"}),
)
