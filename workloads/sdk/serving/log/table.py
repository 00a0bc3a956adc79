"""The prediction log's table: a partition for each day (UTC) of its identities, and one for what belongs to none.

Identities sort by the time they were made (UUID version 7), so a day is a range of them: an answer is looked for in one
partition, and what is kept long enough goes by dropping whole ones.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

COLUMNS = {  # with the types that binary COPY must be told
    "prediction_id": "uuid",
    "endpoint": "text",
    "release_id": "int8",
    "version": "text",
    "plan": "int8",
    "at": "timestamptz",
    "rows": "int4",
    "latency_ms": "float8",
    "inputs": "bytea",
    "outputs": "jsonb",
    "number": "int4",
}
AHEAD = 3  # days, today among them, whose partitions are made before they are needed
OLDEST = 1000  # days ago: identities of an earlier one, in a table that is converted, were not made by a clock

TABLE = """
CREATE TABLE IF NOT EXISTS {predictions} (
    prediction_id uuid PRIMARY KEY,
    endpoint text NOT NULL,
    release_id bigint,  -- null: the version was never released
    version text NOT NULL,
    plan bigint NOT NULL,
    at timestamptz NOT NULL,
    rows integer NOT NULL,
    latency_ms double precision NOT NULL,
    inputs bytea,  -- the request's body as it came: JSON in UTF-8
    outputs jsonb NOT NULL,
    number integer  -- of the version, in the registry; null in rows older than this column
) PARTITION BY RANGE (prediction_id);
CREATE INDEX IF NOT EXISTS predictions_release ON {predictions} (release_id, at);
CREATE INDEX IF NOT EXISTS predictions_unreleased ON {predictions} (endpoint, number) WHERE release_id IS NULL;
CREATE INDEX IF NOT EXISTS predictions_endpoint ON {predictions} (endpoint, at);
CREATE TABLE IF NOT EXISTS {other} PARTITION OF {predictions} DEFAULT;
"""
SET_ASIDE = """
ALTER TABLE {predictions} ADD COLUMN IF NOT EXISTS number integer;
ALTER TABLE {predictions} DROP CONSTRAINT IF EXISTS predictions_pkey;
DROP INDEX IF EXISTS {schema}.predictions_release, {schema}.predictions_unreleased, {schema}.predictions_endpoint,
    {schema}.predictions_at;
ALTER TABLE {predictions} RENAME TO predictions_unpartitioned;
"""
DAYS = """
SELECT DISTINCT (to_timestamp(('x' || left(replace(prediction_id::text, '-', ''), 12))::bit(48)::bigint / 1000)
    AT TIME ZONE 'UTC')::date FROM {old} WHERE prediction_id >= {low} AND prediction_id < {high}
"""
COPY_BACK = """
INSERT INTO {predictions} ({columns}) SELECT {columns} FROM {old};
DROP TABLE {old};
"""
# Writers go on meanwhile, but for those whose rows belong to no day yet.
ADD = """
LOCK TABLE {other} IN ACCESS EXCLUSIVE MODE;
CREATE TABLE {partition} (LIKE {predictions} INCLUDING ALL);
WITH moved AS (DELETE FROM {other} WHERE prediction_id >= {low} AND prediction_id < {high} RETURNING *)
INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved;
ALTER TABLE {predictions} ATTACH PARTITION {partition} FOR VALUES FROM ({low}) TO ({high});
"""
PARTITIONS = (
    "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass(%s)"
)


def statement(schema: str, text: str, first: date = date.min, end: date | None = None) -> "Composed":
    """SQL with the names of tables, `{columns}` and `{marks}` filled in, and those of a day or several."""
    from psycopg import sql

    return sql.SQL(text).format(
        schema=sql.Identifier(schema),
        predictions=sql.Identifier(schema, "predictions"),
        other=sql.Identifier(schema, "predictions_default"),
        old=sql.Identifier(schema, "predictions_unpartitioned"),
        partition=sql.Identifier(schema, f"predictions_{first:%Y%m%d}"),
        columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        marks=sql.SQL(", ").join([sql.Placeholder()] * len(COLUMNS)),
        low=sql.Literal(bound(first)),
        high=sql.Literal(bound(end or first + timedelta(1))),
    )


def bound(day: date) -> UUID:
    """The first identity that a day may have."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=max(0, int(start.timestamp()) * 1000) << 80)


def migrate(connection: "Connection[Any]", schema: str) -> None:
    """Create the table, or convert one without partitions; idempotent, safe when several do it at once."""
    with connection.transaction():
        _lock(connection, schema)
        connection.execute(statement(schema, "CREATE SCHEMA IF NOT EXISTS {schema}"))
        convert = _kind(connection, schema) == "r"
        if convert:
            connection.execute(statement(schema, SET_ASIDE))
        connection.execute(statement(schema, TABLE))
        if convert:
            today = datetime.now(UTC).date()
            span = statement(schema, DAYS, today - timedelta(OLDEST), today + timedelta(AHEAD))
            add_days(connection, schema, [day for (day,) in connection.execute(span)])
            connection.execute(statement(schema, COPY_BACK))
        add_days(connection, schema)


def add_days(connection: "Connection[Any]", schema: str, wanted: Iterable[date] = ()) -> None:
    """Add partitions for some days, or for yesterday and the next ones, where they are missing."""
    today = datetime.now(UTC).date()
    days = set(wanted) or {today + timedelta(ahead) for ahead in range(-1, AHEAD)}
    if days <= set(partitions(connection, schema)) or _kind(connection, schema) != "p":
        return
    with connection.transaction():
        _lock(connection, schema)
        for day in sorted(days - set(partitions(connection, schema))):
            connection.execute(statement(schema, ADD, day))


def drop_days(connection: "Connection[Any]", schema: str, keep: int) -> int:
    """Drop all that is older than `keep` days; the number of rows that went."""
    oldest = datetime.now(UTC).date() - timedelta(keep)
    with connection.transaction():
        _lock(connection, schema)
        text = "DELETE FROM {other} WHERE at < now() - make_interval(days => %s)"
        dropped = connection.execute(statement(schema, text), [keep]).rowcount
    for day in partitions(connection, schema):
        if day < oldest:
            with connection.transaction():
                _lock(connection, schema)
                if day in partitions(connection, schema):
                    row = connection.execute(statement(schema, "SELECT count(*) FROM {partition}", day)).fetchone()
                    dropped += row[0] if row else 0
                    connection.execute(statement(schema, "DROP TABLE {partition}", day))
    return dropped


def partitions(connection: "Connection[Any]", schema: str) -> list[date]:
    """The days that have a partition, oldest first."""
    name = statement(schema, "{predictions}").as_string(connection)
    found = [name.removeprefix("predictions_") for (name,) in connection.execute(PARTITIONS, [name])]
    return sorted(datetime.strptime(day, "%Y%m%d").date() for day in found if day.isdecimal())


def _kind(connection: "Connection[Any]", schema: str) -> str | None:
    name = statement(schema, "{predictions}").as_string(connection)
    row = connection.execute("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", [name]).fetchone()
    return row[0] if row else None


def _lock(connection: "Connection[Any]", schema: str) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{schema} migrate"])
