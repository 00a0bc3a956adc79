"""A table of vectors as the gates of an index ask it: by its index, and exactly.

Queries are chunks' own vectors, chosen by the chunks' ids, which are hashes: a sample that nobody picked. The chunk
itself is no answer.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from resources.ledger.reports import Check
from workloads.sdk.contract.applications import IndexGates

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from numpy.typing import NDArray

    from workloads.sdk.kits.retrieval.sql import Shape

TIMEOUT = "120s"  # of one statement


@dataclass(frozen=True)
class Query:
    """A chunk that is asked: its id, its vector in the table, and by which value of each column it is filtered."""

    id: Any
    vector: str
    filters: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of vectors, as a gate asks it, within one transaction."""

    connection: "psycopg.Connection[Any]"
    shape: "Shape"
    rows: int

    @classmethod
    def open(cls, connection: "psycopg.Connection[Any]", content: Mapping[str, Any]) -> "Table":
        """Raises LookupError where there is no such table."""
        from psycopg import sql

        from workloads.sdk.kits.retrieval.sql import EF_SEARCH, SET, SHAPE, Shape, qualified

        name = (content["schema"], content["table"])
        connection.execute(SET, {"ef_search": str(EF_SEARCH), "timeout": TIMEOUT, "whole": "off"})
        shape = Shape.of(*name, connection.execute(SHAPE, [qualified(*name)]).fetchall())
        count = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name))).fetchone()
        assert count is not None
        return cls(connection, shape, count[0])

    def whole(self, content: Mapping[str, Any]) -> Check:
        """Whether it holds what the candidate says."""
        found = {"chunks": self.rows, "type": self.shape.type, "dimensions": self.shape.dimensions}
        said = {name: content[name] for name in found}
        wrong = [f"{name} {found[name]} instead of {said[name]}" for name in found if found[name] != said[name]]
        name = f"{self.shape.schema_name}.{self.shape.table_name}"
        text = f"{name} has {', '.join(wrong)}; make the index again" if wrong else f"{name} holds {self.rows} chunks"
        return Check(
            name="table", verdict="refuse" if wrong else "pass", value=self.rows, n=self.rows, text=text, evidence=found
        )

    def queries(self, gates: IndexGates, ids: list[Any] | None = None) -> list[Query]:
        """Its first chunks by id, or those with these ids."""
        from psycopg import sql

        from workloads.sdk.kits.retrieval.sql import EMBEDDING, ID

        if self.rows < 2:
            return []
        if lacking := set(gates.filters) - set(self.shape.filterable):
            raise LookupError(f"it has no column {sorted(lacking)[0]!r}, by which the declaration's gates filter")
        text = sql.SQL("SELECT {id}, {embedding}::text FROM {table} {among} ORDER BY {id} LIMIT %s").format(
            id=sql.Identifier(ID),
            embedding=sql.Identifier(EMBEDDING),
            table=sql.Identifier(self.shape.schema_name, self.shape.table_name),
            among=sql.SQL("" if ids is None else "WHERE {} = ANY(%s)").format(sql.Identifier(ID)),
        )
        values = {column: self._values(column) for column in gates.filters}
        rows = self.connection.execute(text, [*([] if ids is None else [ids]), gates.queries])
        return [
            Query(identity, vector, {column: several[at % len(several)] for column, several in values.items()})
            for at, (identity, vector) in enumerate(rows)
        ]

    def _values(self, column: str) -> list[Any]:
        """What stands in a column, the most common first: one query after the other is filtered by each."""
        from psycopg import sql

        from workloads.sdk.kits.retrieval.sql import MANY

        text = sql.SQL("SELECT {column} FROM {table} GROUP BY {column} ORDER BY count(*) DESC, {column} LIMIT %s")
        names = {
            "column": sql.Identifier(column),
            "table": sql.Identifier(self.shape.schema_name, self.shape.table_name),
        }
        return [value for (value,) in self.connection.execute(text.format(**names), [MANY])]

    def nearest(self, query: Query, column: str | None, k: int) -> list[tuple[Any, float]]:
        """Ids and distances of the `k` chunks nearest to another, among those with its filter's value of a column."""
        statement, values = self._statement(query, column, k)
        rows = self.connection.execute(statement, values).fetchall()
        others = [(identity, distance) for identity, distance in rows if identity != query.id]
        return sorted(others, key=lambda found: found[1])[:k]

    def recalls(self, queries: list[Query], column: str | None, k: int) -> "NDArray[Any]":
        """For each query, the share of the exact search's `k` nearest that is found; float64 (queries,).

        A chunk that is as near as the last of the exact ones is as good.
        """
        import numpy as np

        with self._by("either" if column else "index", column):  # as a retriever asks
            found = [self.nearest(query, column, k) for query in queries]
        with self._by("whole"):
            exact = [self.nearest(query, column, k) for query in queries]
        pairs = zip(found, exact, strict=True)
        values = [sum(gap <= best[-1][1] for _, gap in near) / len(best) if best else 1.0 for near, best in pairs]
        return np.asarray(values)

    def plan(self, query: Query, column: str | None, k: int) -> Check:
        """Whether an HNSW index serves such a query, by EXPLAIN."""
        with self._by("either" if column else "index", column):
            chosen = self._indexes_of(query, column, k)
        with self._by("index"):
            able = self._indexes_of(query, column, k)
        filtered = f", filtered by {column}" if column else ""
        evidence = {"chosen": chosen, "able": able}
        name = f"plan:{column}" if column else "plan"
        if chosen:
            text = f"EXPLAIN shows the HNSW index {chosen[0]}{filtered}"
        elif able and column:
            text = f"every chunk{filtered} is looked at, which is quicker here; the HNSW index {able[0]} serves too"
        else:
            text = f"EXPLAIN shows no HNSW index{filtered}; make the index again, which builds and analyzes it"
            return Check(name=name, verdict="refuse", text=text, evidence=evidence)
        return Check(name=name, verdict="pass", text=text, evidence=evidence)

    def _indexes_of(self, query: Query, column: str | None, k: int) -> list[str]:
        """Names of the HNSW indexes in the plan of a query."""
        from psycopg import sql

        text = """SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
                  WHERE indrelid = to_regclass(%s) AND relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw')"""
        hnsw = {row[0] for row in self.connection.execute(text, [self.shape.qualified])}
        statement, values = self._statement(query, column, k)
        plan = self.connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(statement), values).fetchone()
        assert plan is not None
        return [name for name in _index_names(plan[0]) if name in hnsw]

    def _statement(self, query: Query, column: str | None, k: int) -> tuple[Any, dict[str, Any]]:
        condition, values = self.shape.condition({column: query.filters[column]} if column else {})
        return self.shape.nearest(condition), {**values, "vector": query.vector, "count": k + 1}  # itself besides

    @contextmanager
    def _by(self, way: Literal["index", "whole", "either"], column: str | None = None) -> "Iterator[None]":
        """Let queries go by the HNSW index, which alone needs no sorting; by looking at every chunk; or as is best."""
        from workloads.sdk.kits.retrieval.sql import EF_SEARCH, FURTHER

        switch = """SELECT set_config('enable_sort', %s, true), set_config('enable_indexscan', %s, true),
                    set_config('enable_seqscan', %s, true), set_config('hnsw.ef_search', %s, true)"""
        ways = {"index": ("off", "on", "off"), "whole": ("on", "off", "on"), "either": ("on", "on", "on")}
        self.connection.execute(switch, [*ways[way], str(EF_SEARCH * (FURTHER if column else 1))])
        yield
        self.connection.execute(switch, ["on", "on", "off", str(EF_SEARCH)])


def _index_names(plan: Any) -> list[str]:
    """Names of the indexes in a plan, as EXPLAIN gives it in JSON."""
    if isinstance(plan, list):
        return [name for part in plan for name in _index_names(part)]
    if isinstance(plan, dict):
        own = [plan["Index Name"]] if "Index Name" in plan else []
        return own + [name for part in plan.values() for name in _index_names(part)]
    return []
