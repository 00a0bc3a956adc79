"""The catalogue of an endpoint: every version that a caller may ask for by name, whether released or not.

It is a view of the ledger. Each replica reads what is new every second, and keeps it in memory, so that asking for a
version costs no request to the database and works without one.
"""

from datetime import UTC
from typing import TYPE_CHECKING, Any

from workloads.sdk.serving.versions.plan import Version

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

# `catalogue` was a copy of the same rows.
VIEW = """
DROP TABLE IF EXISTS {catalogue};
CREATE OR REPLACE VIEW {versions} AS
    SELECT c.thing AS endpoint, c.id AS candidate, r.id AS release_id, coalesce(r.version, c.number::text) AS version,
           c.artifacts_uri, c.digest, c.number, c.model_uri, c.run_id, c.data_version, c.data_digest, c.code_version,
           c.created_at, c.variant
    FROM {candidate} c LEFT JOIN {release} r ON r.candidate = c.id
"""
COLUMNS = ("release_id", "version", "artifacts_uri", "digest", "number", "model_uri", "run_id", "data_version",
           "data_digest", "code_version")  # fmt: skip
SELECT = "SELECT candidate, created_at, variant, {columns} FROM {versions} WHERE endpoint = %(endpoint)s AND "
NEWER = f"""{SELECT} candidate > %(candidate)s UNION ALL {SELECT} release_id > %(release)s
            ORDER BY release_id NULLS FIRST"""


class Catalogue:
    """The view in one schema; every method takes the connection."""

    def __init__(self, schema: str):
        self.schema = schema

    def _sql(self, text: str, ledger: str = "") -> "Composed":
        from psycopg import sql

        names = {name: sql.Identifier(self.schema, name) for name in ("versions", "catalogue")}
        names |= {name: sql.Identifier(ledger, name) for name in ("candidate", "release")}
        return sql.SQL(text).format(columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), **names)

    def migrate(self, connection: "Connection[Any]", ledger: str) -> None:
        """Create the view of the ledger in a schema; idempotent, safe when several do it at once."""
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema} migrate"])
            connection.execute(self._sql(VIEW, ledger))

    def since(
        self, connection: "Connection[Any]", endpoint: str, candidate: int = 0, release: int = 0
    ) -> list[tuple[int, Version]]:
        """What was entered or released after a candidate and a release (ids), each with its candidate's id.

        What was released stands behind what was not; none where there is no ledger yet. The ledger writes one entry of
        a target at a time, so ids appear in their order.
        """
        from psycopg.errors import UndefinedTable

        values = {"endpoint": endpoint, "candidate": candidate, "release": release}
        try:
            rows = connection.execute(self._sql(NEWER), values).fetchall()
        except UndefinedTable:
            return []
        return [(row[0], _version(row)) for row in rows]

    def released(self, connection: "Connection[Any]", endpoint: str, release: int) -> Version | None:
        """The version of a release (id)."""
        values = {"endpoint": endpoint, "release": release}
        row = connection.execute(self._sql(SELECT + "release_id = %(release)s"), values).fetchone()
        return _version(row) if row else None


def _version(row: tuple[Any, ...]) -> Version:
    _, created, variant, *values = row
    trained = created.astimezone(UTC).isoformat()
    return Version(**dict(zip(COLUMNS, values, strict=True)), trained_at=trained, info={"variant": variant})
