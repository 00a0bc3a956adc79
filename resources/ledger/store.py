"""What the ledger's parts share: a transaction in its schema, locks, and rows read as objects."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from resources.database import connect, transaction
from resources.settings import Settings
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    import psycopg

SCHEMA = Path(__file__).with_name("schema.sql")
LOCK_SECONDS = 60
Row = TypeVar("Row")


class NoLedger(PlatformError):
    """The ledger's tables are missing; the message says what to do."""


class Store:
    """One environment's ledger. Each public method is one transaction."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.schema = settings.schema_of("ledger")

    def migrate(self) -> None:
        """Create schema and tables where they are missing."""
        from psycopg import sql

        with self._transaction() as connection:
            self._lock(connection, "")
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))
            connection.execute(SCHEMA.read_text())

    @contextmanager
    def _transaction(self) -> "Iterator[psycopg.Connection[Any]]":
        """A connection whose names are the ledger's; all is committed at the end, or nothing."""
        from psycopg import errors

        try:
            with transaction(self.settings) as connection:
                connection.execute("SELECT set_config('search_path', %s, true)", [self.schema])
                yield connection
        except errors.UndefinedTable:
            raise NoLedger(
                f"the ledger of the environment {self.settings.env} has no tables yet; run `mlops up`"
            ) from None

    def _lock(self, connection: "psycopg.Connection[Any]", what: str) -> None:
        """Let one transaction at a time decide about a target."""
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema}:{what}"])

    @contextmanager
    def projecting(self, target: str) -> Iterator[None]:
        """One process at a time projects a target's aliases. The lock ends with its process, however that ends.

        Raises:
            TimeoutError: another process holds it for longer than a minute.
        """
        from psycopg import errors

        with connect(self.settings, autocommit=True) as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
            try:
                connection.execute(
                    "SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"{self.schema}:project:{target}"]
                )
            except errors.LockNotAvailable:
                raise TimeoutError(
                    f"another process has been setting the aliases of {target} for {LOCK_SECONDS} s; try again"
                ) from None
            yield

    # Rows as objects. `select` is a statement of ours; columns are names of ours; values are always parameters.

    def _query(self, row: type[Row], statement: str, values: Any = None) -> list[Row]:
        from psycopg.rows import class_row

        with self._transaction() as connection, connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(statement, values).fetchall()

    def _one(
        self, connection: "psycopg.Connection[Any]", row: type[Row], select: str, order: str = "", **where: Any
    ) -> Row | None:
        from psycopg.rows import class_row

        with connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(f"{select}{_where(where)} {order}", where).fetchone()

    def _read(self, row: type[Row], select: str, order: str = "", **where: Any) -> Row | None:
        with self._transaction() as connection:
            return self._one(connection, row, select, order, **where)

    def _read_all(self, row: type[Row], select: str, **where: Any) -> list[Row]:
        return self._query(row, f"{select}{_where(where)} ORDER BY id", where)


def _where(columns: dict[str, Any]) -> str:
    return " WHERE " + " AND ".join(f"{column} = %({column})s" for column in columns) if columns else ""


def jsonb(value: Any) -> Any:
    """A value for a jsonb column. What is no number in JSON (NaN, infinity) becomes null."""
    from psycopg.types.json import Jsonb

    return Jsonb(json.loads(json.dumps(value), parse_constant=lambda constant: None))
