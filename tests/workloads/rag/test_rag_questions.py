"""The questions that an application is judged by: whole, and read as they are written; wrong files name the line."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from resources.settings import REPOSITORY
from workloads.corpus import data as corpus
from workloads.corpus.chunks import chunk
from workloads.corpus.data_parameters import CorpusData
from workloads.corpus.workload import CorpusParameters
from workloads.rag import data
from workloads.rag.data_parameters import QuestionsData
from workloads.rag.questions import parse, read
from workloads.rag.scorers import coverage
from workloads.sdk.dataset import read_split

GOOD = {
    "question": "How long?", "expected_answer": "60 s", "key_concepts": ["60 s"], "category": "platform",
    "answerable": True, "gold": [{"path": "a.md", "heading": "Waiting"}],
}  # fmt: skip


UNSEEN = QuestionsData().questions.with_name("questions_unseen.jsonl")


@pytest.mark.parametrize("file", [QuestionsData().questions, UNSEEN], ids=lambda file: file.stem)
def test_there_are_enough_questions_and_a_fourth_has_no_answer(file: Path) -> None:
    questions = parse(file)
    assert sum(question.answerable for question in questions) >= 60
    share = sum(not question.answerable for question in questions) / len(questions)
    assert 0.2 <= share <= 0.3
    assert min(Counter(question.category for question in questions).values()) >= 10


def test_what_is_kept_aside_is_asked_by_the_benchmark_alone() -> None:
    assert not {one.question for one in parse(UNSEEN)} & {one.question for one in parse(QuestionsData().questions)}
    readers = [
        file.relative_to(REPOSITORY).as_posix()
        for room in ("workloads", "resources", "mlops_assets", "jobs", "sensors", "benchmarks")
        for file in (REPOSITORY / room).rglob("*.py")
        if UNSEEN.name in file.read_text()
    ]
    assert readers == ["benchmarks/answers.py"]


def test_the_pipeline_keeps_them_as_they_are(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    fetched = data.fetch(QuestionsData(), raw)
    data.process(QuestionsData(), raw, out)
    assert fetched.source == "file"
    assert read(out / "questions.parquet") == parse(QuestionsData().questions)
    described = data.describe(QuestionsData(), out)
    assert described["splits"]["questions"]["rows"] == sum(described["questions"]["answerable"].values())

    import pandas as pd

    frame = data.schema().validate(pd.read_parquet(out / "questions.parquet"))
    assert frame["row_id"].is_unique


def test_every_answer_stands_in_the_default_corpus(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    corpus.fetch(CorpusData(), raw)
    corpus.process(CorpusData(), raw, out)
    chunks = defaultdict(list)
    for document in read_split(out / "documents.parquet").to_pylist():
        for each in chunk(document, CorpusParameters()):
            chunks[each.path].append(each)
    for question in [*parse(QuestionsData().questions), *parse(UNSEEN)]:
        for gold in question.gold:
            for place in (gold, *gold.also):
                there = [
                    f"{each.heading}\n{each.content}"
                    for each in chunks[place.path]
                    if place.holds(each.path, each.heading)
                ]
                assert there, f"{question.question}: no chunk of {place.path} stands under {place.heading}"
                held = coverage(question.key_concepts, "\n".join(there))
                assert held == 1, f"{question.question}: {place.path} under {place.heading} holds {held:.0%} of it"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": ""}, r"line 2: question"),
        ({"gold": []}, r"line 2: .*gold must be given"),
        ({"answerable": False}, r"line 2: .*must be empty"),
        ({"colour": "red"}, r"line 2: colour"),
        ({"gold": [{"path": "a.md"}]}, r"line 2: gold\.0\.heading"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict, said: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{json.dumps(GOOD | {'question': 'When?'} | change)}\n")
    with pytest.raises(ValueError, match=said):
        parse(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"\n", "no question"),
        (b"{", "line 1"),
        (2 * (json.dumps(GOOD) + "\n").encode(), "line 1 already"),
    ],
)
def test_a_file_that_holds_no_questions_says_so(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        parse(file)
