"""Connections to the platform's PostgreSQL, with errors that say what to do."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from resources.settings import Settings
from workloads.sdk.errors import Unavailable

if TYPE_CHECKING:
    import psycopg


KEPT = 2  # connections for each database: one for each of the threads that ask at once


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer, or refuses; the message says which server and what to do."""


def connect(
    settings: Settings, database: Literal["dagster", "mlflow", "mlops", "postgres"] = "mlops", **kw: Any
) -> "psycopg.Connection[Any]":
    """A new connection to one of the platform's databases; `kw` goes to `psycopg.connect`.

    Raises:
        DatabaseUnavailable: the server does not answer, refuses the password, or lacks the database; also at the end
            of a `with` block of the connection, where that was lost meanwhile.
    """
    import psycopg

    if settings.postgres_url is None:
        _forget_variables()
    kw.setdefault("connect_timeout", 5)
    kw.setdefault("application_name", "mlops")
    try:
        connection = _class().connect(settings.database(database), **kw)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(explain(settings, database, str(error))) from None
    connection.loss = explain(settings, database, "")
    return connection


def _forget_variables() -> None:
    """What somebody has set for another server (`PGSSLMODE`, `PGSERVICE`, ...) does not hold for our own.

    libpq reads it from the process itself, for every connection that this process makes, Dagster's too.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


_idle: dict[tuple[int, str], "list[psycopg.Connection[Any]]"] = {}  # by process and URL


@contextmanager
def transaction(settings: Settings) -> "Iterator[psycopg.Connection[Any]]":
    """One transaction in the database `mlops`, committed at the end of the block, or not at all.

    Its connection is kept for the process's next one, since making one costs more than most of what is asked by it.

    Raises:
        DatabaseUnavailable: as `connect`.
    """
    from psycopg import OperationalError

    kept = _idle.setdefault((os.getpid(), settings.database("mlops")), [])
    connection = _alive(kept) or connect(settings, autocommit=True, prepare_threshold=None)
    try:
        with connection.transaction():
            yield connection
    except OperationalError:
        if connection.broken:
            raise DatabaseUnavailable(explain(settings, settings.database("mlops"), "")) from None
        raise
    finally:
        if connection.closed or len(kept) >= KEPT:
            connection.close()
        else:
            kept.append(connection)


def _alive(kept: "list[psycopg.Connection[Any]]") -> "psycopg.Connection[Any] | None":
    """One of the kept connections that still answers; the server may have been restarted since."""
    from psycopg import OperationalError

    while kept:
        connection = kept.pop()
        try:
            connection.execute("SELECT 1")
            return connection
        except OperationalError:
            connection.close()
    return None


@atexit.register
def close() -> None:
    """Close the connections that this process keeps."""
    for (process, _), kept in _idle.items():
        while process == os.getpid() and kept:
            kept.pop().close()


@cache
def _class() -> Any:
    from psycopg import Connection, OperationalError

    class Losable(Connection):
        """Says in a sentence that it was lost."""

        loss = ""

        def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
            if isinstance(error, OperationalError) and self.broken:
                raise DatabaseUnavailable(self.loss) from None
            try:
                super().__exit__(kind, error, trace)
            except OperationalError:
                if not self.broken:
                    raise
                raise DatabaseUnavailable(self.loss) from None

    return Losable


def address(settings: Settings) -> str:
    """`host:port` of the server, without user and password."""
    if settings.postgres_url is None:
        return f"127.0.0.1:{settings.postgres_port}"
    parts = urlsplit(settings.postgres_url)
    return f"{parts.hostname}:{parts.port or 5432}"


def explain(settings: Settings, database: str, error: str) -> str:
    """One sentence for a failed connection. The driver's own text can hold the URL, so it is not passed on."""
    server, external = address(settings), settings.postgres_url is not None
    if "password authentication failed" in error:
        place = "MLOPS_POSTGRES_URL" if external else str(settings.home / "secrets" / "postgres-password")
        return f"PostgreSQL on {server} refuses the user and password of {place}; correct them there"
    if "does not exist" in error:
        return f"PostgreSQL on {server} has no database `{database}`; run `mlops up`, which creates it"
    if "too many clients" in error or "remaining connection slots" in error:
        return f"PostgreSQL on {server} has no free connection; end some clients and try again"
    if "starting up" in error or "shutting down" in error or "recovery mode" in error:
        return f"PostgreSQL on {server} is starting or stopping; try again in a few seconds"
    mend = "check the server and MLOPS_POSTGRES_URL" if external else "run `mlops up`"
    return f"PostgreSQL does not answer on {server}; {mend}"
