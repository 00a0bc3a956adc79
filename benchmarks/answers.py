"""How well the application answers without a language model, on the default corpus: by the questions that its settings
were chosen by, and by those that were kept aside.

    mlops up; python -m benchmarks.answers --out DIR [--wrong]

Asks the platform's PostgreSQL, in a schema of its own that is dropped afterwards; vectors are kept in DIR, so that a
second run takes them. `--wrong` names what was answered wrongly, of the first questions only: who reads it of the
others has no figure left that says what to expect.
"""

import argparse
import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import psycopg

import workloads.rag
from benchmarks.retrieval import embedded
from resources.serving.services import PlatformServices
from resources.settings import settings
from workloads.corpus import data
from workloads.corpus.chunks import chunk
from workloads.corpus.data_parameters import CorpusData
from workloads.corpus.documents import Document
from workloads.corpus.workload import CorpusParameters
from workloads.rag.app import App
from workloads.rag.evaluate import score
from workloads.rag.questions import Question, parse
from workloads.sdk.contract.applications import Component, Composition
from workloads.sdk.dataset import read_split
from workloads.sdk.kits.retrieval.chunking import Chunk
from workloads.sdk.kits.retrieval.embedder import Embedder
from workloads.sdk.programs.embedding.table import Vectors, VectorTable, prepared

SCHEMA, TABLE = "benchmark_answers", "corpus"
SETS = {"chosen by": "questions.jsonl", "kept aside": "questions_unseen.jsonl"}
SHOWN = ("passage", "quality", "recall", "reciprocal_rank", "coverage", "groundedness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wrong", action="store_true")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    chunks = corpus()
    vectors = embedded(chunks, Embedder.load(), asked.out / "vectors.npz")
    with psycopg.connect(settings().database("mlops"), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        try:
            tables = Vectors(prepared(connection), SCHEMA)
            table = VectorTable(TABLE, "corpus", "", "", "", Embedder.name, Embedder.digest, Embedder.dimensions)
            tables.migrate()
            tables.create(table)
            tables.copy_in(table, chunks, vectors)
            tables.finish(table)
            for name, file in SETS.items():
                questions = parse(Path(workloads.rag.__file__).with_name(file))
                rows = asyncio.run(answered(questions))
                show(f"{name} ({file})", questions, rows)
                if asked.wrong and name == "chosen by":
                    wrong(questions, rows)
        finally:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def corpus() -> list[Chunk]:
    """The default corpus' chunks."""
    with tempfile.TemporaryDirectory() as folder:
        raw, processed = Path(folder, "raw"), Path(folder, "processed")
        raw.mkdir(), processed.mkdir()
        data.fetch(CorpusData(), raw)
        data.process(CorpusData(), raw, processed)
        rows = read_split(processed / "documents.parquet", list(Document._fields)).to_pylist()
    return [each for row in rows for each in chunk(row, CorpusParameters())]


async def answered(questions: list[Question]) -> list[dict[str, Any]]:
    """What came of each question: its scores, whether it was refused, and the passage that is shown."""
    made = {"name": Embedder.name, "digest": Embedder.digest}
    index = {"schema": SCHEMA, "table": TABLE, "embedder": made, "dimensions": Embedder.dimensions}
    contents = {
        "index": index,
        "prompt": {"template": "{context}{question}", "settings": {}},
        "language_model": {"provider": "extractive", "model": "", "url": ""},
    }
    parts = {role: Component(role, None, "", 0, "", "", content) for role, content in contents.items()}
    app, rows = App.load(Composition("rag", **parts), PlatformServices("rag", settings())), []
    try:
        for question in questions:
            answer = await app.answer(question.question)
            shown = next((each for each in answer.passages if each.id in answer.citations[:1]), None)
            rows.append(
                {**score(question, answer), "refused": answer.refused, "support": answer.support, "shown": shown}
            )
    finally:
        await app.close()
    return rows


def show(name: str, questions: list[Question], rows: list[dict[str, Any]]) -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    refused = [row["refused"] for question, row in zip(questions, rows, strict=True) if not question.answerable]
    for question, row in zip(questions, rows, strict=True):
        if question.answerable:
            groups["all"].append(row)
            groups[question.category].append(row)
    print(f"\n{name}: {len(groups['all'])} that are answered, {len(refused)} that are not")
    for group, several in groups.items():
        figures = {metric: mean(row[metric] for row in several if row[metric] == row[metric]) for metric in SHOWN}
        figures["refused"] = mean(row["refused"] for row in several)
        print(f"  {group:10} {len(several):3}  " + "  ".join(f"{each} {value:.3f}" for each, value in figures.items()))
    print(f"  refused of those that cannot be answered: {mean(refused):.3f}", flush=True)


def wrong(questions: list[Question], rows: list[dict[str, Any]]) -> None:
    for question, row in zip(questions, rows, strict=True):
        if (row["passage"] != 1) if question.answerable else not row["refused"]:
            place = f"{row['shown'].path} > {row['shown'].heading}" if row["shown"] else "refused"
            print(f"    {row['support']:.2f} {question.question[:70]} -> {place}")


if __name__ == "__main__":
    main()
