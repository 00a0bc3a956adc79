"""A table of vectors: a row for each chunk of one version of a corpus, and what a query needs to find it.

langchain-postgres reads it (`PGVectorStore`). A table is made once and never changed after: it is filled by binary
COPY, then its indexes are built, and only then it counts as whole. `corpora` says of each table what it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from workloads.sdk.kits.retrieval.chunking import Chunk
from workloads.sdk.programs.embedding.indexes import build

if TYPE_CHECKING:
    import numpy as np
    from psycopg import Connection
    from psycopg.sql import Composed

COLUMNS = {  # of a chunk, with the types that binary COPY must be told; the vector's is the table's own
    "langchain_id": "uuid",
    "content": "text",
    "embedding": "",
    "source": "text",
    "path": "text",
    "heading": "text",
    "position": "int4",
    "document": "text",
    "text_digest": "text",
    "asked": "text",
}
METADATA = ["source", "path", "heading", "position", "document"]  # columns that LangChain shows and filters by

CATALOGUE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {corpora} (
    name text PRIMARY KEY,
    index text NOT NULL,
    data_version text NOT NULL,
    data_digest text NOT NULL,
    code text NOT NULL,
    embedder text NOT NULL,
    embedder_digest text NOT NULL,
    dimensions integer NOT NULL,
    type text NOT NULL,
    parameters jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    chunks bigint,  -- null: it is not whole
    finished_at timestamptz
);
"""
TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    langchain_id uuid PRIMARY KEY,
    content text NOT NULL,
    embedding {type} NOT NULL,
    langchain_metadata json NOT NULL DEFAULT '{{}}',
    source text NOT NULL,
    path text NOT NULL,
    heading text NOT NULL,
    position integer NOT NULL,
    document text NOT NULL,
    text_digest text NOT NULL,
    asked text NOT NULL DEFAULT '',
    search tsvector GENERATED ALWAYS AS (to_tsvector('english', heading || ' ' || content || ' ' || asked)) STORED
)
"""


@dataclass(frozen=True)
class VectorTable:
    """What a table is.

    Attributes:
        name: of the table.
        index: of the declaration, `corpus`.
        data_version, data_digest: the corpus that it holds.
        code: digest of the code that made it.
        embedder, embedder_digest: name and identity of the model.
        dimensions: of a vector.
        type: of a vector; `halfvec` rounds each number to 11 bits.
        parameters: of cutting, embedding and indexing.
        chunks: rows; None: it is not whole.
        finished_at: when it became whole.
    """

    name: str
    index: str
    data_version: str
    data_digest: str
    code: str
    embedder: str
    embedder_digest: str
    dimensions: int
    type: Literal["vector", "halfvec"] = "vector"
    parameters: dict[str, Any] = field(default_factory=dict)
    chunks: int | None = None
    finished_at: datetime | None = None


class Vectors:
    """The tables of one schema, by a connection that commits by itself."""

    def __init__(self, connection: "Connection[Any]", schema: str):
        self.connection, self.schema = connection, schema

    def migrate(self) -> None:
        """Schema and catalogue; idempotent, safe when several do it at once."""
        with self.connection.transaction():
            self.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema} migrate"])
            self.connection.execute(self._sql(CATALOGUE))

    def create(self, table: VectorTable) -> None:
        """The table, empty, where there is none of its name; what an attempt before wrote stays."""
        from psycopg import sql
        from psycopg.types.json import Jsonb

        columns = [name for name in VectorTable.__dataclass_fields__ if name not in ("chunks", "finished_at")]
        values = [Jsonb(table.parameters) if name == "parameters" else getattr(table, name) for name in columns]
        kind = sql.SQL(f"{_known(table.type)}({int(table.dimensions)})")
        enter = "INSERT INTO {corpora} ({columns}) VALUES ({marks}) ON CONFLICT (name) DO NOTHING"
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        named = sql.SQL(", ").join(map(sql.Identifier, columns))
        with self.connection.transaction():
            self.connection.execute(self._sql(TABLE, table.name, type=kind))
            self.connection.execute(self._sql(enter, columns=named, marks=marks), values)

    def lock(self, name: str, waiting: Callable[[], None]) -> None:
        """Be the only one that fills a table, until the connection ends; `waiting` is called where another does."""
        key = [f"{self.schema} {name}"]
        row = self.connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key).fetchone()
        assert row is not None
        if not row[0]:
            waiting()
            self.connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", key)

    def table(self, name: str) -> VectorTable | None:
        """What is known of a table, whole or not; None for none."""
        return next(iter(self._tables("WHERE name = %s", [name])), None)

    def tables(self, index: str) -> list[VectorTable]:
        """An index' tables that are whole, newest first."""
        return self._tables("WHERE index = %s AND chunks IS NOT NULL ORDER BY finished_at DESC", [index])

    def drop(self, name: str) -> None:
        """Take a table away."""
        with self.connection.transaction():
            self.connection.execute(self._sql("DELETE FROM {corpora} WHERE name = %s"), [name])
            self.connection.execute(self._sql("DROP TABLE IF EXISTS {table}", name))

    # --- filling ----------------------------------------------------------------------------------------------------

    def there(self, table: str, ids: Sequence[UUID]) -> set[UUID]:
        """Those of the chunks that the table holds already."""
        rows = self.connection.execute(
            self._sql("SELECT langchain_id FROM {table} WHERE langchain_id = ANY(%s)", table), [list(ids)]
        )
        return {row[0] for row in rows}

    def known(self, table: VectorTable, digests: Sequence[str]) -> "dict[str, np.ndarray]":
        """Vectors of texts (by `text_digest`, float32) that other tables hold, made by the same embedder."""
        found: dict[str, Any] = {}
        others = [one for one in self.tables(table.index) if one.embedder_digest == table.embedder_digest]
        for other in others:
            # A rounded vector must not come to stand where exact ones do.
            left = [digest for digest in digests if digest not in found]
            if left and other.name != table.name and other.type in ("vector", table.type):
                query = "SELECT text_digest, embedding::vector FROM {table} WHERE text_digest = ANY(%s)"
                found.update(self.connection.execute(self._sql(query, other.name), [left], binary=True).fetchall())
        return found

    def copy_in(self, table: VectorTable, chunks: Sequence[Chunk], vectors: "np.ndarray") -> int:
        """Write chunks with their vectors, float32 (chunks, dimensions), in one transaction, by binary COPY.

        Returns how many of them were not there yet. Raises ValueError where the vectors' shape is another.
        """
        if vectors.shape != (len(chunks), table.dimensions):
            raise ValueError(
                f"{len(chunks)} chunks for a table of {table.dimensions} dimensions got vectors of shape "
                f"{vectors.shape}; a table holds the vectors of one encoder"
            )
        from pgvector.psycopg import HalfVector, Vector
        from psycopg import sql

        kind = {"vector": Vector, "halfvec": HalfVector}[table.type]
        columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        with self.connection.transaction():
            # By way of a table of the session's own: COPY has no answer to a row that is there already.
            self.connection.execute("DROP TABLE IF EXISTS pg_temp.incoming")
            self.connection.execute(
                self._sql("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {columns} FROM {table} LIMIT 0",
                          table.name, columns=columns)
            )  # fmt: skip
            into = sql.SQL("COPY pg_temp.incoming ({}) FROM STDIN (FORMAT BINARY)").format(columns)
            with self.connection.cursor().copy(into) as copy:
                copy.set_types([type_ or table.type for type_ in COLUMNS.values()])
                for chunk, vector in zip(chunks, vectors, strict=True):
                    copy.write_row(
                        (chunk.id, chunk.content, kind(vector), chunk.source, chunk.path, chunk.heading,
                         chunk.position, chunk.document, chunk.text_digest, "\n".join(chunk.asked))
                    )  # fmt: skip
            return self.connection.execute(
                self._sql("INSERT INTO {table} ({columns}) SELECT {columns} FROM pg_temp.incoming"
                          " ON CONFLICT (langchain_id) DO NOTHING", table.name, columns=columns)
            ).rowcount  # fmt: skip

    def finish(self, table: VectorTable, links: int = 16, candidates: int = 64) -> int:
        """Build what is missing of the indexes, and declare the table whole; returns its rows.

        Args:
            links, candidates: HNSW's `m` and `ef_construction`.
        """
        build(self.connection, self.schema, table.name, _known(table.type), links, candidates)
        self.connection.execute(self._sql("VACUUM (ANALYZE) {table}", table.name))
        row = self.connection.execute(
            self._sql("UPDATE {corpora} SET chunks = (SELECT count(*) FROM {table}), finished_at = now()"
                      " WHERE name = %s RETURNING chunks", table.name), [table.name]
        ).fetchone()  # fmt: skip
        assert row is not None
        return row[0]

    def _tables(self, where: str, values: list[Any]) -> list[VectorTable]:
        from psycopg.errors import UndefinedTable
        from psycopg.rows import dict_row

        names = ", ".join(VectorTable.__dataclass_fields__)
        cursor = self.connection.cursor(row_factory=dict_row)
        try:
            found = cursor.execute(self._sql(f"SELECT {names} FROM {{corpora}} {where}"), values)  # noqa: S608
        except UndefinedTable:  # nothing was ever embedded here
            return []
        return [VectorTable(**row) for row in found]

    def _sql(self, text: str, table: str = "corpora", **parts: Any) -> "Composed":
        from psycopg import sql

        return sql.SQL(text).format(
            schema=sql.Identifier(self.schema),
            corpora=sql.Identifier(self.schema, "corpora"),
            table=sql.Identifier(self.schema, table),
            **parts,
        )


def opened(url: str, **more: Any) -> "Connection[Any]":
    """A connection that commits by itself and knows vectors."""
    import psycopg

    return prepared(psycopg.connect(url, autocommit=True, connect_timeout=5, **more))


def prepared(connection: "Connection[Any]") -> "Connection[Any]":
    """The same connection, which knows vectors now."""
    from pgvector.psycopg import register_vector

    register_vector(connection)
    return connection


def _known(kind: str) -> Literal["vector", "halfvec"]:
    known: dict[str, Literal["vector", "halfvec"]] = {"vector": "vector", "halfvec": "halfvec"}
    if kind not in known:
        raise ValueError(f"{kind!r} is no type of a vector: vector or halfvec")
    return known[kind]
