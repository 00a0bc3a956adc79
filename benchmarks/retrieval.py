"""Retrieval at 100,000 chunks: latency of each search, recall of the index, and what half precision costs.

    mlops up; python benchmarks/retrieval.py --out DIR [--chunks 100000] [--real 10000]

Asks the platform's PostgreSQL, in a schema of its own that is dropped afterwards. The corpus' chunks are embedded as
they are (vectors are kept in DIR, so that a second run takes them), and topped up with perturbed copies: a text without
a word in eleven, a vector turned by about 26 degrees. The questions are those that the RAG application is judged by;
what they find is scored on the real chunks alone. Leave the machine alone meanwhile.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool

import workloads.rag
from resources.settings import settings
from workloads.corpus import data
from workloads.corpus.data_parameters import LIBRARIES, CorpusData
from workloads.corpus.documents import Document
from workloads.corpus.workload import CorpusParameters
from workloads.rag.questions import Question, parse
from workloads.rag.scorers import recall, reciprocal_rank
from workloads.sdk.dataset import read_split
from workloads.sdk.kits.retrieval.chunking import Chunk, chunks_of
from workloads.sdk.kits.retrieval.embedder import Embedder
from workloads.sdk.kits.retrieval.retriever import Retriever
from workloads.sdk.kits.retrieval.sql import EF_SEARCH, FURTHER, SET, in_sql
from workloads.sdk.programs.embedding.table import Vectors, VectorTable, prepared

SCHEMA = "benchmark_retrieval"
K, DEPTH = 10, 50
NOISE = 0.025  # of each component: cosine of a copy and its original about 0.9
BLOCK = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--real", type=int, default=10_000, help="chunks that are embedded")
    parser.add_argument("--asked", type=int, default=1000, help="queries of each latency")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    embedder, url = Embedder.load(), settings().database("mlops")
    chunks = real(asked.real)
    vectors = embedded(chunks, embedder, asked.out / "vectors.npz")
    every, full = copies(chunks, asked.chunks), topped_up(vectors, asked.chunks)
    questions = parse(Path(workloads.rag.__file__).with_name("questions.jsonl"))
    texts = [question.question for question in questions]
    asks, probes = embedder.encode(texts), vectors[:: max(1, len(vectors) // 100)][:100]
    figures: dict[str, Any] = {"chunks": asked.chunks, "real": len(chunks), "ef_search": EF_SEARCH}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        try:
            load(connection, "real", "vector", chunks, vectors)
            with ConnectionPool(url, min_size=1, max_size=2) as pool:
                figures["quality"] = quality(pool, embedder, questions)
            for kind in ("vector", "halfvec"):
                say(f"loading {asked.chunks} chunks as {kind}")
                figures[kind] = load(connection, kind, kind, every, full)
                figures[kind]["questions"] = recalls(connection, kind, asks, full, every)
                figures[kind]["chunks"] = recalls(connection, kind, probes, full, every)
            with ConnectionPool(url, min_size=1, max_size=2) as pool:
                figures["milliseconds"] = latencies(pool, connection, embedder, texts, asked.asked)
        finally:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    print(json.dumps(figures, indent=2))


# --- the chunks -----------------------------------------------------------------------------------------------------


def real(count: int) -> list[Chunk]:
    """The first chunks of the corpus: its default documents, and then the other libraries'."""
    parameters, found = CorpusParameters(), []
    every = CorpusData(libraries=tuple(LIBRARIES), most=None)
    with tempfile.TemporaryDirectory() as folder:
        seen: set[str] = set()
        for number, chosen in enumerate((CorpusData(), every)):
            raw, processed = Path(folder, f"raw{number}"), Path(folder, f"processed{number}")
            raw.mkdir(), processed.mkdir()
            data.fetch(chosen, raw)
            data.process(chosen, raw, processed)
            for row in read_split(processed / "documents.parquet", list(Document._fields)).to_pylist():
                if row["path"] not in seen:
                    seen.add(row["path"])
                    found += chunks_of(row, parameters.size)
                if len(found) >= count:
                    return found[:count]
    return found


def embedded(chunks: list[Chunk], embedder: Embedder, file: Path) -> np.ndarray:
    """Vectors of the chunks, float32 (chunks, 384); kept in a file, by the texts' digests."""
    known: dict[str, np.ndarray] = {}
    if file.exists():
        with np.load(file) as kept:
            known = dict(zip(kept["digests"].tolist(), kept["vectors"], strict=True))
    missing = [chunk for chunk in chunks if chunk.text_digest not in known]
    start = perf_counter()
    for at in range(0, len(missing), BLOCK):
        part = missing[at : at + BLOCK]
        made = embedder.encode([chunk.text for chunk in part])
        known |= dict(zip([chunk.text_digest for chunk in part], made, strict=True))
        say(f"embedded {at + len(part)} of {len(missing)} in {perf_counter() - start:.0f} s")
        np.savez(file, digests=np.asarray(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[chunk.text_digest] for chunk in chunks])


def topped_up(vectors: np.ndarray, count: int) -> np.ndarray:
    """The vectors and perturbed copies of them, float32 (count, 384), each of length 1."""
    random = np.random.default_rng(0)
    parts = [vectors[:count]]
    while sum(map(len, parts)) < count:
        noise = random.normal(0, NOISE, vectors.shape).astype(np.float32)
        parts.append((vectors + noise)[: count - sum(map(len, parts))])
    every = np.concatenate(parts)
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def copies(chunks: list[Chunk], count: int) -> list[Chunk]:
    """The chunks and copies of them, in the order of `topped_up`; a copy lacks a word in eleven."""
    made = chunks[:count]
    for at in range(len(chunks), count):
        copy, chunk = at // len(chunks), chunks[at % len(chunks)]
        words = chunk.content.split(" ")
        content = " ".join(word for place, word in enumerate(words) if place % 11 != copy % 11)
        made.append(replace(chunk, id=uuid5(NAMESPACE_URL, f"{chunk.id}/{copy}"), content=content))
    return made


# --- the tables -----------------------------------------------------------------------------------------------------


def load(connection: Any, name: str, kind: str, chunks: list[Chunk], every: np.ndarray) -> dict[str, Any]:
    """Write and index a table by the platform's own code; how long that took, and how large it is."""
    vectors = Vectors(prepared(connection), SCHEMA)
    vectors.migrate()
    table = VectorTable(name, "benchmark", "", "", "", Embedder.name, Embedder.digest, Embedder.dimensions, kind)
    vectors.create(table)
    start = perf_counter()
    for at in range(0, len(chunks), BLOCK):
        vectors.copy_in(table, chunks[at : at + BLOCK], every[at : at + BLOCK])
    loaded = perf_counter()
    vectors.finish(table)
    seconds = {"copy_s": round(loaded - start, 1), "index_s": round(perf_counter() - loaded, 1)}
    sizes = {"table": f"pg_table_size('{SCHEMA}.{name}')", "hnsw": f"pg_relation_size('{SCHEMA}.{name}_hnsw')"}
    rows = {part: connection.execute(f"SELECT {size}").fetchone() for part, size in sizes.items()}
    return {**seconds, **{f"{part}_mib": round(row[0] / 2**20, 1) for part, row in rows.items()}}


# --- what is measured -----------------------------------------------------------------------------------------------


def recalls(connection: Any, kind: str, probes: np.ndarray, vectors: np.ndarray, chunks: list[Chunk]) -> dict[str, Any]:
    """Recall@10 against the exact search of the vectors in single precision, by NumPy; also with filters."""
    places = {chunk.id: at for at, chunk in enumerate(chunks)}
    sources = np.asarray([chunk.source for chunk in chunks])
    common = [source for source, _ in Counter(sources.tolist()).most_common()]
    found: dict[str, Any] = {}
    for source in (None, common[0], common[len(common) // 2], common[-1]):
        among = sources == source if source else np.ones(len(vectors), bool)
        text = sql.SQL("SELECT {0}, embedding <=> %(vector)s::{1} FROM {2} {3} ORDER BY 2 LIMIT {4}").format(
            sql.Identifier("langchain_id"),
            sql.SQL(kind),
            sql.Identifier(SCHEMA, kind),
            sql.SQL("WHERE source = {}").format(sql.Literal(source)) if source else sql.SQL(""),
            sql.Literal(DEPTH),
        )
        hits, times = [], []
        with connection.transaction():
            asked = {"ef_search": str(EF_SEARCH * (FURTHER if source else 1)), "whole": "on" if source else "off"}
            connection.execute(SET, {**asked, "timeout": "60s"})
            plan = connection.execute(sql.SQL("EXPLAIN {}").format(text), {"vector": in_sql(probes[0])}).fetchall()
            for probe in probes:
                exact = np.sort((vectors @ probe)[among])[-K]  # what is as near as the last of the exact is as good
                start = perf_counter()
                near = connection.execute(text, {"vector": in_sql(probe)}).fetchall()
                times.append(perf_counter() - start)
                best = sorted(near, key=lambda row: row[1])[:K]
                hits.append(np.mean([vectors[places[identity]] @ probe >= exact - 1e-6 for identity, _ in best]))
        found["all" if source is None else f"source_{among.mean():.3f}"] = {
            "recall": round(float(np.mean(hits)), 4),
            "p50_ms": round(float(np.median(times)) * 1000, 2),
            "plan": next(line[0].strip(" ->").partition("  (")[0] for line in plan if "Scan" in line[0]),
        }
    return found


def latencies(pool: Any, connection: Any, embedder: Embedder, texts: list[str], count: int) -> dict[str, Any]:
    """p50 and p99 in milliseconds; `encoder` is added to each search that a user waits for."""

    def retriever(**weights: float) -> Retriever:
        values = {"schema_name": SCHEMA, "table_name": "vector", "embedder": embedder}
        return Retriever(pool=pool, top_k=K, **values, **weights)

    vectors = [in_sql(vector) for vector in embedder.encode(texts)]
    bare = f"SELECT langchain_id FROM {SCHEMA}.vector ORDER BY embedding <=> %s::vector LIMIT {K}"
    connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}; SET enable_seqscan = off")
    found = {
        "psycopg_alone": timed(lambda vector: connection.execute(bare, [vector]).fetchall(), vectors, count),
        "encoder": timed(lambda text: embedder.encode([text]), texts, count),
    }
    for name, weights in {"vector": {"text_weight": 0}, "full_text": {"vector_weight": 0}, "hybrid": {}}.items():
        own = retriever(**weights)
        found[name] = timed(own.find, texts, count, lambda answer: answer.search_ms)
    found["hybrid_invoke"] = timed(retriever().invoke, texts, count)
    return found


def timed(
    call: Callable[[Any], Any], asked: list[Any], count: int, of: Callable[[Any], float] | None = None
) -> dict[str, float]:
    """p50 and p99 of a call over the questions, taken in turn; `of` says what it took, where not all of it counts."""
    times, turn = [], cycle(asked)
    for number in range(count + len(asked)):
        start = perf_counter()
        answer = call(next(turn))
        spent = (perf_counter() - start) * 1000
        if number >= len(asked):  # each was asked once to warm up
            times.append(of(answer) if of else spent)
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def quality(pool: Any, embedder: Embedder, questions: list[Question]) -> dict[str, Any]:
    """Recall@10 and MRR of the gold passages among the real chunks, for each kind of search."""
    answerable = [question for question in questions if question.gold]
    found: dict[str, Any] = {"questions": len(answerable)}
    for name, weights in {
        "vector": {"text_weight": 0},
        "full_text": {"vector_weight": 0},
        "hybrid": {},
        "hybrid_text_half": {"text_weight": 0.5},
    }.items():
        own = Retriever(pool=pool, schema_name=SCHEMA, table_name="real", embedder=embedder, top_k=K, **weights)
        scores = []
        for question in answerable:
            passages = [Passage(one) for one in own.invoke(question.question)]
            scores.append((recall(question.gold, passages, K), reciprocal_rank(question.gold, passages)))
        found[name] = dict(zip(("recall", "mrr"), np.mean(scores, axis=0).round(3).tolist(), strict=True))
    return found


class Passage:
    """A document, as the scorers look at it."""

    def __init__(self, document: Any):
        self.id, self.content = str(document.id), document.page_content
        self.path, self.heading = document.metadata["path"], document.metadata["heading"]


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
