"""The corpus: documentation of this project and of Python, and what else is chosen, as an index of embedded chunks."""

from pydantic import Field

from workloads.corpus.data_parameters import CorpusData
from workloads.sdk.contract import Data
from workloads.sdk.contract.applications import Index, IndexParameters


class CorpusParameters(IndexParameters):
    """How documents are cut, embedded and indexed."""

    size: int = Field(1000, ge=100, le=4000, description="Most characters of a chunk; the encoder reads 256 tokens.")


workload = Index(
    name="corpus",
    description="Documentation of this project and of Python, and what else is chosen, as an index of embedded chunks.",
    data=Data(
        "corpus",
        "Markdown: this project's documentation, settings and commands, and Python's reference.",
        parameters=CorpusData,
        splits=("documents",),
    ),
    parameters=CorpusParameters,
    tier="cpu-small-distributed",
    owners=["team:mlops"],
    kinds=frozenset({"onnx", "ray"}),
)
