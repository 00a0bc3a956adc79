"""The indexes of a table of vectors, built when it is filled."""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from psycopg import Connection

MEMORY = "512MB"  # of building an index: a hundred thousand vectors fit
# Of a source with fewer chunks all are compared, in milliseconds. Of any other, HNSW over the whole table finds too
# little where a question points elsewhere: its neighbours are of other sources. So such a source has its own.
OWN = 1000
MOST = 16  # sources with one of their own

WHOLE = """
CREATE INDEX IF NOT EXISTS {hnsw} ON {table} USING hnsw (embedding {operators})
    WITH (m = {links}, ef_construction = {candidates});
CREATE INDEX IF NOT EXISTS {words} ON {table} USING gin (search);
CREATE INDEX IF NOT EXISTS {source} ON {table} (source);
CREATE INDEX IF NOT EXISTS {digest} ON {table} (text_digest);
"""
PART = """
CREATE INDEX IF NOT EXISTS {hnsw} ON {table} USING hnsw (embedding {operators})
    WITH (m = {links}, ef_construction = {candidates}) WHERE source = {value}
"""
SOURCES = """
SELECT source FROM {table} GROUP BY source
HAVING count(*) >= {own} AND count(*) < (SELECT count(*) FROM {table}) ORDER BY count(*) DESC, source LIMIT {most}
"""


def build(
    connection: "Connection[Any]",
    schema: str,
    table: str,
    kind: Literal["vector", "halfvec"],
    links: int,
    candidates: int,
) -> None:
    """Build what is missing of a full table's indexes, in one transaction.

    Args:
        links, candidates: HNSW's `m` and `ef_construction`.
    """
    from psycopg import sql

    parts = {
        "table": sql.Identifier(schema, table),
        "operators": sql.Identifier(f"{kind}_cosine_ops"),
        "links": sql.Literal(int(links)),
        "candidates": sql.Literal(int(candidates)),
    }
    names = {name: sql.Identifier(f"{table}_{name}") for name in ("hnsw", "words", "source", "digest")}
    asked = sql.SQL(SOURCES).format(table=parts["table"], own=sql.Literal(OWN), most=sql.Literal(MOST))
    with connection.transaction():
        connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", [MEMORY])
        connection.execute(sql.SQL(WHOLE).format(**parts, **names))
        for number, (value,) in enumerate(connection.execute(asked).fetchall()):
            own = {"hnsw": sql.Identifier(f"{table}_hnsw_{number}"), "value": sql.Literal(value)}
            connection.execute(sql.SQL(PART).format(**parts, **own))
