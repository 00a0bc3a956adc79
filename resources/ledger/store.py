"""What the ledger's parts share: a transaction in its schema, locks, and rows read as objects."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from resources.database import transaction
from resources.settings import Settings
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    import psycopg

MIGRATIONS = sorted((Path(__file__).parent / "migrations").glob("*.sql"))  # 001.sql, 002.sql, ...: each is done once
DONE = """
    CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, done_at timestamptz NOT NULL DEFAULT now());
    SELECT coalesce(max(number), 0) FROM migration
"""
Row = TypeVar("Row")


class NoLedger(PlatformError):
    """The ledger's tables are missing, or of a newer version; the message says what to do."""


class Store:
    """Where one environment's ledger is kept."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.schema = settings.schema_of("ledger")
        self._inside = threading.local()  # `connection`: of the transaction that this thread is in

    def migrate(self) -> None:
        """Bring the tables to this version: all that is missing is done, or nothing.

        Raises:
            NoLedger: a newer version has been here, whose tables this one does not know.
        """
        from psycopg import sql

        with self.transaction() as connection:
            self.lock("")
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))
            (done,) = connection.execute(DONE).set_result(-1).fetchone() or (0,)
            if done > len(MIGRATIONS):
                raise NoLedger(
                    f"the ledger of the environment {self.settings.env} is of a newer version ({done}; this one knows "
                    f"{len(MIGRATIONS)}): use the version of this project that made it"
                )
            for number, file in enumerate(MIGRATIONS[done:], done + 1):
                connection.execute(file.read_text())
                connection.execute("INSERT INTO migration (number) VALUES (%s)", [number])

    @contextmanager
    def transaction(self) -> "Iterator[psycopg.Connection[Any]]":
        """A connection whose names are the ledger's; all is committed at the end, or nothing.

        Within another transaction of the same thread it is that one, so that what is asked of any part of the ledger
        belongs to it.
        """
        from psycopg import errors

        if (outer := getattr(self._inside, "connection", None)) is not None:
            yield outer
            return
        try:
            with transaction(self.settings) as connection:
                connection.execute("SELECT set_config('search_path', %s, true)", [self.schema])
                self._inside.connection = connection
                yield connection
        except errors.UndefinedTable:
            raise NoLedger(
                f"the ledger of the environment {self.settings.env} has no tables yet; run `mlops up`"
            ) from None
        finally:
            self._inside.connection = None

    def lock(self, what: str) -> None:
        """Let one transaction at a time decide about a target, until the one around this ends."""
        self.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema}:{what}"])

    # `select` is a statement of ours; columns are names of ours; values are always parameters.

    def execute(self, statement: str, values: Any = None) -> "psycopg.Cursor[Any]":
        with self.transaction() as connection:
            return connection.execute(statement, values)

    def insert(self, table: str, values: Mapping[str, Any], conflict: str = "") -> Any:
        """Write a row; its id, or None where it stands there already (`conflict`). Lists and mappings become JSON."""
        columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
        row = self.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) {conflict} RETURNING id",  # noqa: S608 - names of ours
            {name: jsonb(value) if isinstance(value, dict | list) else value for name, value in values.items()},
        ).fetchone()
        return row[0] if row else None

    def query(self, row: Callable[..., Row], statement: str, values: Any = None) -> list[Row]:
        """Rows as objects: `row` is called with the columns by name."""
        from psycopg.rows import kwargs_row

        with self.transaction() as connection, connection.cursor(row_factory=kwargs_row(row)) as cursor:
            return cursor.execute(statement, values).fetchall()

    def read(self, row: Callable[..., Row], select: str, order: str = "", **where: Any) -> Row | None:
        """The first row where columns have these values."""
        return next(iter(self.query(row, f"{select}{_where(where)} {order} LIMIT 1", where)), None)

    def read_all(self, row: Callable[..., Row], select: str, **where: Any) -> list[Row]:
        return self.query(row, f"{select}{_where(where)} ORDER BY id", where)


def _where(columns: dict[str, Any]) -> str:
    return " WHERE " + " AND ".join(f"{column} = %({column})s" for column in columns) if columns else ""


def jsonb(value: Any) -> Any:
    """A value for a jsonb column. What is no number in JSON (NaN, infinity) becomes null."""
    from psycopg.types.json import Jsonb

    return Jsonb(json.loads(json.dumps(value), parse_constant=lambda constant: None))
