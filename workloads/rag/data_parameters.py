"""Parameters of the pipeline of the questions; they import nothing heavy, so that the declaration may name them."""

from pathlib import Path

from pydantic import Field

from workloads.sdk.contract import DataParameters


class QuestionsData(DataParameters):
    """Which questions an application is judged by."""

    questions: Path = Field(
        Path(__file__).with_name("questions.jsonl"),
        description="File of questions, one JSON object a line: question, expected_answer, key_concepts, category, "
        "answerable, gold; see `questions.py`.",
        json_schema_extra={"fetch": True},
    )
