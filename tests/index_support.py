"""A small index for tests: real texts and their real vectors, topped up with perturbed copies."""

import pydoc_data.topics
from dataclasses import dataclass
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
from psycopg import sql

from resources.database import connect
from resources.settings import Settings
from workloads.kits.embedding import Embedder
from workloads.kits.retrieval_sql import in_sql

REAL, COPIES = 250, 7  # texts that are embedded, and perturbed copies of each
SCHEMA = "dev_vectors"

TABLE = """CREATE TABLE {table} (
    langchain_id uuid PRIMARY KEY, content text NOT NULL, embedding {type}(384) NOT NULL, langchain_metadata json,
    source text NOT NULL, path text NOT NULL, heading text NOT NULL, position integer NOT NULL, document text NOT NULL,
    text_digest text NOT NULL,
    search tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED)"""


@dataclass(frozen=True)
class Row:
    id: UUID
    content: str
    source: str
    path: str
    position: int


@cache
def embedder() -> Embedder:
    return Embedder.load(threads=2)


@cache
def rows() -> tuple[Row, ...]:
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
            place = f"{name}/{position}/{copy}"
            source = ("language", "library", "more")[copy % 3]
            made.append(Row(uuid5(NAMESPACE_URL, place), content, source, f"{name}.md", position))
    return tuple(made)


@cache
def vectors() -> np.ndarray:
    """Of `rows`, float32 (rows, 384); those of copies are near the original's (cosine about 0.9)."""
    real = embedder().encode([row.content for row in rows()[:REAL]])
    random = np.random.default_rng(0)
    copies = [real + random.normal(0, 0.025, real.shape) for _ in range(COPIES)]
    every = np.concatenate([real, *copies]).astype(np.float32)
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def make(
    settings: Settings, table: str, kind: str = "vector", count: int | None = None, index: str | None = ""
) -> None:
    """Write the rows into a new table, and index it: options of HNSW; None: no index at all."""
    name = sql.Identifier(SCHEMA, table)
    with connect(settings, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        connection.execute(sql.SQL(TABLE).format(table=name, type=sql.SQL(kind)))
        columns = "langchain_id, content, embedding, langchain_metadata, source, path, heading, position, document"
        text = f"COPY {{}} ({columns}, text_digest) FROM STDIN"
        with connection.cursor().copy(sql.SQL(text).format(name)) as copy:
            for row, vector in zip(rows()[:count], vectors()[:count], strict=True):
                heading = row.path.removesuffix(".md")
                known = (row.source, row.path, heading, row.position, "0" * 64, "0" * 64)
                copy.write_row((row.id, row.content, in_sql(vector), "{}", *known))
        if index is not None:
            operators = sql.SQL(f"{kind}_cosine_ops")
            hnsw = "CREATE INDEX ON {} USING hnsw (embedding {})" + (f" WITH ({index})" if index else "")
            connection.execute(sql.SQL("CREATE INDEX ON {} USING gin (search)").format(name))
            connection.execute(sql.SQL(hnsw).format(name, operators))
            connection.execute(sql.SQL("ANALYZE {}").format(name))
