"""Questions about the corpus, answered with citations."""

from workloads.rag.data_parameters import QuestionsData
from workloads.rag.scorers import METRICS
from workloads.rag.settings import PromptSettings
from workloads.sdk.contract import Data, Gates, OnInconclusive, Slice
from workloads.sdk.contract.applications import Application

workload = Application(
    name="rag",
    description="Answers questions from the corpus, and cites the chunks that each answer rests on.",
    data=Data(
        "rag_questions",
        "Questions about the corpus, with what is expected and where it stands; a fifth cannot be answered from it.",
        parameters=QuestionsData,
        splits=("questions",),
    ),
    index="corpus",
    settings=PromptSettings,
    metrics=METRICS,
    # Eighty questions show a difference of 0.1. What they cannot tell from the margin, a person decides.
    gates=Gates(
        metric="quality",
        floor=0.5,
        margin=0.05,
        latency_ms=5000,
        slices=[Slice("category"), Slice("answerable")],
        on_inconclusive=OnInconclusive.HOLD,
    ),
    owners=["team:mlops"],
    kinds=frozenset({"langchain", "postgres"}),
)
