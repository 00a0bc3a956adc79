"""Questions about the corpus, answered with citations."""

from workloads.contract import Data, Gates, Slice
from workloads.generative import Application
from workloads.rag.data_parameters import QuestionsData
from workloads.rag.scorers import METRICS
from workloads.rag.settings import PromptSettings

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
    gates=Gates("quality", floor=0.5, margin=0.03, latency_ms=5000, slices=[Slice("category"), Slice("answerable")]),
    owners=["team:mlops"],
    kinds=frozenset({"langchain", "postgres"}),
)
