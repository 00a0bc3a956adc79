"""The catalogue of an endpoint: every version that a caller may ask for by name, whether released or not.

The platform offers what was registered or released; each replica reads what is new every second, and keeps it in
memory, so that asking for a version costs no request to the database and works without one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workloads.sdk.serving.versions.plan import Version

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

TABLE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {catalogue} (
    endpoint text NOT NULL,
    number integer NOT NULL,
    entry jsonb NOT NULL,
    revision bigint GENERATED ALWAYS AS IDENTITY,  -- a later change has a higher one
    PRIMARY KEY (endpoint, number)
);
CREATE INDEX IF NOT EXISTS catalogue_revision ON {catalogue} (endpoint, revision);
"""
OFFER = """
INSERT INTO {catalogue} AS old (endpoint, number, entry) VALUES (%s, %s, %s)
ON CONFLICT (endpoint, number) DO UPDATE SET entry = excluded.entry, revision = DEFAULT
WHERE old.entry IS DISTINCT FROM excluded.entry
"""


class Catalogue:
    """The table of one schema; every method takes the connection."""

    def __init__(self, schema: str):
        self.schema = schema

    def _sql(self, text: str) -> "Composed":
        from psycopg import sql

        names = {"schema": sql.Identifier(self.schema), "catalogue": sql.Identifier(self.schema, "catalogue")}
        return sql.SQL(text).format(**names)  # type: ignore[arg-type]

    def migrate(self, connection: "Connection[Any]") -> None:
        """Idempotent; safe when several do it at once."""
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema} migrate"])
            connection.execute(self._sql(TABLE))

    def offer(self, connection: "Connection[Any]", endpoint: str, versions: Sequence[Version]) -> None:
        """Enter versions, by their numbers; what stands there already as it is stays untouched."""
        from psycopg.types.json import Jsonb

        with connection.transaction():
            # Revisions of an endpoint become visible in their order.
            key = f"{self.schema} catalogue {endpoint}"
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
            rows = [(endpoint, version.number, Jsonb(version.json())) for version in versions]
            with connection.cursor() as cursor:
                cursor.executemany(self._sql(OFFER), rows)

    def since(self, connection: "Connection[Any]", endpoint: str, revision: int) -> list[tuple[int, Version]]:
        """What was entered or changed after a revision, with its own; oldest first."""
        text = "SELECT revision, entry FROM {catalogue} WHERE endpoint = %s AND revision > %s ORDER BY revision"
        rows = connection.execute(self._sql(text), [endpoint, revision]).fetchall()
        return [(number, Version.of(entry)) for number, entry in rows]
