"""The application's connections to PostgreSQL: a pool of the event loop that asks, and failures as sentences."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from workloads.sdk.artifacts import BrokenArtifacts
from workloads.sdk.contract.applications import Failed
from workloads.sdk.kits.retrieval.retriever import RetrievalFailed

logger = logging.getLogger(__name__)

POOL = 8  # connections
PATIENCE = 5.0  # seconds to wait for one


class Database:
    """The pool. It is opened by whoever asks first, and belongs to that event loop."""

    def __init__(self, url: str):
        self.pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            url, min_size=1, max_size=POOL, open=False, timeout=PATIENCE, name="rag",
            kwargs={"autocommit": True, "connect_timeout": 3, "application_name": "mlops rag"},
            check=AsyncConnectionPool.check_connection,  # a restarted server leaves dead ones behind
        )  # fmt: skip
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        if self.pool.closed:
            async with self._opening:
                if self.pool.closed:
                    await self.pool.open()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection in autocommit mode; whatever happens to it meanwhile is said in a sentence."""
        await self.open()
        with clean_errors():
            async with self.pool.connection() as connection:
                yield connection

    async def close(self) -> None:
        await self.pool.close()


@contextmanager
def clean_errors() -> Iterator[None]:
    """Failures of the database as the application's."""
    try:
        yield
    except RetrievalFailed as error:
        raise Failed(503, "retrieval_failed", str(error)) from None
    except (PoolTimeout, PoolClosed):
        why = f"PostgreSQL gave no connection within {PATIENCE:g} s; it is away or busy: try again"
        raise Failed(503, "database_away", why) from None
    except psycopg.OperationalError:
        raise Failed(503, "database_away", "PostgreSQL went away while it was asked; try again") from None


def check_table(url: str, schema: str, table: str) -> None:
    """Raises `BrokenArtifacts` where the index's table is gone. With PostgreSQL away nobody knows, and a replica that
    starts now serves what it served before."""
    try:
        with psycopg.connect(url, connect_timeout=3, application_name="mlops rag") as connection:
            name = sql.Identifier(schema, table).as_string(connection)
            row = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
    except psycopg.OperationalError:
        logger.warning("PostgreSQL is away: whether %s.%s is there is not known", schema, table)
        return
    if row is None or row[0] is None:
        raise BrokenArtifacts(f"the index's table {schema}.{table} is gone; embed that version of the corpus again")
