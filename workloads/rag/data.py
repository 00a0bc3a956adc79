"""The data of the application: questions with what is to be answered; one split, which nothing is trained on."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from workloads.rag.data_parameters import QuestionsData
from workloads.rag.questions import Question, columns, parse
from workloads.sdk.contract import Fetched
from workloads.sdk.dataset import ROW_ID, identity, read_split, write_split

SPLIT, RAW = "questions", "questions.jsonl"


def fetch(parameters: QuestionsData, out: Path) -> Fetched:
    """Put the file of questions into `out`, once it can be read as a whole. Raises ValueError naming a wrong line."""
    parse(parameters.questions)
    shutil.copyfile(parameters.questions, out / RAW)
    return Fetched(source="file", uri=parameters.questions.name)


def process(parameters: QuestionsData, raw: Path, out: Path) -> None:
    """Write `questions.parquet`: a row for each question, in the file's order."""
    questions = parse(raw / RAW)
    ids = [identity(question.question.encode()) for question in questions]
    write_split({ROW_ID: ids, **columns(questions)}, out / f"{SPLIT}.parquet")


def describe(parameters: QuestionsData, processed: Path) -> dict[str, Any]:
    """Schema, rows, and how many questions there are of each kind."""
    table = read_split(processed / f"{SPLIT}.parquet")
    kinds = {name: dict(sorted(Counter(map(str, table[name].to_pylist())).items())) for name in KINDS}
    return {
        "schema": {field.name: {"dtype": str(field.type)} for field in table.schema},
        "splits": {SPLIT: {"rows": table.num_rows}},
        "statistics": {},
        "questions": kinds,
    }


KINDS = ("category", "answerable")


def schema() -> Any:
    """What the split must satisfy (a pandera `DataFrameSchema`)."""
    import pandera.pandas as pa

    texts = {name: pa.Column(str) for name in (ROW_ID, *Question.model_fields) if name not in ("answerable",)}
    return pa.DataFrameSchema({**texts, "answerable": pa.Column(bool)}, strict=True)
