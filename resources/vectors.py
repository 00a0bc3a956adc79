"""Vectors: tables in PostgreSQL, one for each version of a corpus (see `embedding/table.py`).

store = VectorStore(settings)
[newest, *older] = store.tables("corpus")
store.chunk(newest.name, id)
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from resources.database import connect
from resources.files import write_atomically
from resources.settings import Settings
from workloads.sdk.programs.embedding.table import METADATA, Vectors, VectorTable, prepared


class VectorStore:
    """The tables of one environment. Every method raises `DatabaseUnavailable` where PostgreSQL does not answer."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.schema = settings.schema_of("vectors")

    def table(self, name: str) -> VectorTable | None:
        """What is known of a table, whole (`chunks` is a number) or not; None for none."""
        with self.opened() as vectors:
            return vectors.table(name)

    def tables(self, index: str) -> list[VectorTable]:
        """An index' tables that are whole, newest first."""
        with self.opened() as vectors:
            return vectors.tables(index)

    def drop(self, name: str) -> None:
        """Take a table away."""
        with self.opened() as vectors:
            vectors.drop(name)

    def chunk(self, table: str, identity: UUID | str) -> dict[str, Any] | None:
        """A chunk's row without its vector; None where the table has none of this id, or there is no such table."""
        from psycopg import errors, sql
        from psycopg.rows import dict_row

        try:
            wanted = UUID(str(identity))
        except ValueError:
            return None
        text = sql.SQL("SELECT langchain_id::text AS id, {} FROM {} WHERE langchain_id = %s")
        columns = sql.SQL(", ").join(map(sql.Identifier, ("content", *METADATA)))
        query = text.format(columns, sql.Identifier(self.schema, table))
        with connect(self.settings, autocommit=True, row_factory=dict_row) as connection:
            try:
                return connection.execute(query, [wanted]).fetchone()
            except errors.UndefinedTable:
                return None

    def connection_file(self) -> Path:
        """A file, readable by this user only, that holds the database's URL for the jobs that write vectors."""
        file = self.settings.path("embeddings", "connection.json")
        write_atomically(file, json.dumps({"database": self.settings.database("mlops")}))
        return file

    @contextmanager
    def opened(self) -> Iterator[Vectors]:
        """A connection for what is written: tables, rows and indexes."""
        with connect(self.settings, autocommit=True, application_name="mlops vectors") as connection:
            yield Vectors(prepared(connection), self.schema)
