"""A small index for tests: real texts and their real vectors, topped up with perturbed copies."""

import pydoc_data.topics
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from resources.settings import Settings
from resources.vectors import VectorStore
from workloads.sdk.kits.retrieval.chunking import Chunk
from workloads.sdk.kits.retrieval.embedder import Embedder
from workloads.sdk.programs.embedding.table import VectorTable

REAL, COPIES = 250, 7  # texts that are embedded, and perturbed copies of each
SCHEMA = "dev_vectors"


@cache
def embedder() -> Embedder:
    return Embedder.load(threads=2)


@cache
def chunks() -> tuple[Chunk, ...]:
    """Paragraphs of Python's own documentation; then copies that lack a word each."""
    found = [
        (name, position, part.strip())
        for name, text in sorted(pydoc_data.topics.topics.items())
        for position, part in enumerate(text.split("\n\n"))
        if 120 < len(part) < 600
    ]
    step = len(found) / REAL
    real = [found[int(number * step)] for number in range(REAL)]
    made = []
    for copy in range(COPIES + 1):
        for name, position, text in real:
            words = text.split(" ")
            content = text if not copy else " ".join(word for at, word in enumerate(words) if at % 11 != copy)
            identity = uuid5(NAMESPACE_URL, f"{name}/{position}/{copy}")
            source = ("language", "library", "more")[copy % 3]
            made.append(Chunk(identity, content, name, position, source, f"{name}.md", "0" * 64))
    return tuple(made)


@cache
def vectors() -> np.ndarray:
    """Of `chunks`, float32 (chunks, 384); those of copies are near the original's (cosine about 0.9)."""
    real = embedder().encode([chunk.text for chunk in chunks()[:REAL]])
    random = np.random.default_rng(0)
    copies = [real + random.normal(0, 0.025, real.shape) for _ in range(COPIES)]
    every = np.concatenate([real, *copies]).astype(np.float32)
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def make(settings: Settings, table: str, links: int = 16, candidates: int = 64, **filled: Any) -> None:
    """Write a new table as `fill` does, and index it."""
    fill(settings, table, **filled)
    store = VectorStore(settings)
    made = store.table(table)
    assert made is not None
    with store.opened() as tables:
        tables.finish(made, links, candidates)


def fill(
    settings: Settings,
    table: str,
    kind: str = "vector",
    count: int | None = None,
    chosen: Sequence[Chunk] | None = None,
) -> None:
    """Write the chunks, or others with the same texts, into a new table without indexes."""
    store, encoder = VectorStore(settings), embedder()
    made = VectorTable(
        table, "of_tests", "1.0.0", "data", "code", encoder.name, encoder.digest, encoder.dimensions, kind
    )
    with store.opened() as tables:
        tables.migrate()
        tables.drop(table)
        tables.create(made)
        tables.copy_in(made, (chosen or chunks())[:count], vectors()[:count])
