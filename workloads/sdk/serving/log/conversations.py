"""What people said to an application, kept beside the prediction log: sessions with their turns, and thumbs.

A session's turns are bounded in number and bytes: the oldest go. What nobody used for as long as the log is kept goes
with it (`resources/serving/prediction_log.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection
    from psycopg.sql import Composed

MAX_TURNS = 50  # of a session
MAX_BYTES = 2**17  # of a session's questions and replies

TABLES = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {sessions} (
    session uuid PRIMARY KEY,
    endpoint text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS sessions_used ON {sessions} (used_at);
CREATE TABLE IF NOT EXISTS {turns} (
    session uuid NOT NULL REFERENCES {sessions} ON DELETE CASCADE,
    position bigint GENERATED ALWAYS AS IDENTITY,
    question text NOT NULL,
    reply jsonb NOT NULL,
    prediction_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (session, position)
);
CREATE TABLE IF NOT EXISTS {feedback} (
    prediction_id uuid PRIMARY KEY,
    endpoint text NOT NULL,
    thumbs text NOT NULL CHECK (thumbs IN ('up', 'down')),
    comment text,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS feedback_at ON {feedback} (at);
"""
TRIM = """
DELETE FROM {turns} WHERE session = %(session)s AND position IN (
    SELECT position FROM (
        SELECT position, row_number() OVER newest AS turns,
               sum(octet_length(question) + octet_length(reply::text)) OVER newest AS bytes
        FROM {turns} WHERE session = %(session)s WINDOW newest AS (ORDER BY position DESC)
    ) AS kept WHERE turns > %(turns)s OR bytes > %(bytes)s AND turns > 1)
"""


OLD = (
    "DELETE FROM {sessions} WHERE used_at < now() - make_interval(days => %s)",
    "DELETE FROM {feedback} WHERE at < now() - make_interval(days => %s)",
)


@dataclass(frozen=True)
class Turn:
    """A question, what was replied (JSON), and the thumbs for it, if any were given."""

    question: str
    reply: dict[str, Any]
    prediction_id: UUID
    at: datetime
    thumbs: Literal["up", "down"] | None


def statement(schema: str, text: str) -> "Composed":
    """SQL with the names of the tables filled in."""
    from psycopg import sql

    tables = ("sessions", "turns", "feedback", "predictions")
    names = {name: sql.Identifier(schema, name) for name in tables}
    return sql.SQL(text).format(schema=sql.Identifier(schema), **names)


def migrate(connection: "Connection[Any]", schema: str) -> None:
    """Idempotent; safe when several do it at once."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{schema} migrate"])
        connection.execute(statement(schema, TABLES))


def prune(connection: "Connection[Any]", schema: str, days: int) -> int:
    """Delete what nobody used for some days; the number of sessions and thumbs."""
    return sum(connection.execute(statement(schema, text), [days]).rowcount for text in OLD)


class Conversations:
    """The conversations of one endpoint; every method takes a connection in autocommit mode.

    A session that is not there, or is another endpoint's, is None or False.
    """

    def __init__(self, schema: str, endpoint: str):
        self._schema, self._endpoint = schema, endpoint

    async def create(self, connection: "AsyncConnection[Any]") -> UUID:
        session = uuid4()
        await self._run(
            connection, "INSERT INTO {sessions} (session, endpoint) VALUES (%s, %s)", session, self._endpoint
        )
        return session

    async def remove(self, connection: "AsyncConnection[Any]", session: UUID) -> bool:
        text = "DELETE FROM {sessions} WHERE session = %s AND endpoint = %s"
        return (await self._run(connection, text, session, self._endpoint)).rowcount > 0

    async def turns(
        self, connection: "AsyncConnection[Any]", session: UUID, count: int = MAX_TURNS
    ) -> list[Turn] | None:
        """The last turns, oldest first."""
        text = "SELECT FROM {sessions} WHERE session = %s AND endpoint = %s"
        if not (await self._run(connection, text, session, self._endpoint)).rowcount:
            return None
        text = """SELECT question, reply, turns.prediction_id, turns.at, thumbs
                  FROM {turns} AS turns LEFT JOIN {feedback} AS feedback USING (prediction_id)
                  WHERE session = %s ORDER BY position DESC LIMIT %s"""
        rows = await (await self._run(connection, text, session, count)).fetchall()
        return [Turn(*row) for row in reversed(rows)]

    async def add(self, connection: "AsyncConnection[Any]", session: UUID, question: str, reply: dict[str, Any],
                  prediction_id: UUID) -> bool:  # fmt: skip
        """Add a turn, and forget the oldest beyond the bounds."""
        from psycopg.types.json import Jsonb

        async with connection.transaction():
            # Whoever adds to this session at the same time waits here, so that the bounds hold.
            text = "UPDATE {sessions} SET used_at = now() WHERE session = %s AND endpoint = %s"
            if not (await self._run(connection, text, session, self._endpoint)).rowcount:
                return False
            text = "INSERT INTO {turns} (session, question, reply, prediction_id) VALUES (%s, %s, %s, %s)"
            await self._run(connection, text, session, question, Jsonb(reply), prediction_id)
            bounds = {"session": session, "turns": MAX_TURNS, "bytes": MAX_BYTES}
            await connection.execute(statement(self._schema, TRIM), bounds)
        return True

    async def rate(self, connection: "AsyncConnection[Any]", prediction_id: UUID, thumbs: Literal["up", "down"],
                   comment: str | None) -> bool:  # fmt: skip
        """Keep somebody's thumbs for an answer, the last ones of each; False where no such answer is in the log."""
        text = """INSERT INTO {feedback} (prediction_id, endpoint, thumbs, comment)
                  SELECT prediction_id, endpoint, %s, %s FROM {predictions} WHERE prediction_id = %s AND endpoint = %s
                  ON CONFLICT (prediction_id) DO UPDATE
                  SET thumbs = excluded.thumbs, comment = excluded.comment, at = now()"""
        done = await self._run(connection, text, thumbs, comment, prediction_id, self._endpoint)
        return done.rowcount > 0

    async def _run(self, connection: "AsyncConnection[Any]", text: str, *values: Any) -> Any:
        return await connection.execute(statement(self._schema, text), values)
