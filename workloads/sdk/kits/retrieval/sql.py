"""The searches of a table of vectors, as SQL: what a retriever asks, and what a gate judges.

A table is as `resources/vectors.py` makes it: `langchain_id`, `content`, `embedding`, `langchain_metadata`,
columns of metadata, and `search` (a tsvector of heading and content). Names come from PostgreSQL's catalogue, values
are parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import sql

from workloads.sdk.contract import InvalidInput

ID, CONTENT, EMBEDDING, METADATA, SEARCH = "langchain_id", "content", "embedding", "langchain_metadata", "search"
MANY = 100  # values of a filter

SHAPE = """SELECT attname, format_type(atttypid, atttypmod), reltuples, (
               SELECT json_object_agg(lexeme, share) FROM pg_stats, LATERAL
                   unnest(most_common_elems::text::text[], most_common_elem_freqs) AS known (lexeme, share)
               WHERE (schemaname, tablename, pg_stats.attname) = (nspname, relname, pg_attribute.attname)
                   AND lexeme IS NOT NULL AND atttypid = 'tsvector'::regtype)::text
           FROM pg_attribute
               JOIN pg_class ON attrelid = pg_class.oid JOIN pg_namespace ON relnamespace = pg_namespace.oid
           WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""

EF_SEARCH = 200  # chunks that the HNSW index holds in hand as it is walked
FURTHER = 2  # times as many with a filter, since a question may point far away from all that passes it
# For one transaction. Filters are looked at while the index is walked, which goes on until there are enough; a plan is
# made for the values at hand, since how rare they are decides whether the index is the quicker way. Without filters it
# always is, but the planner does not know how long it takes to read and compare a vector: `whole` is `off` then.
SET = """SELECT set_config('hnsw.ef_search', %(ef_search)s, true), set_config('statement_timeout', %(timeout)s, true),
         set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('enable_seqscan', %(whole)s, true),
         set_config('plan_cache_mode', 'force_custom_plan', true)"""

NEAREST = """SELECT {id}, {embedding} <=> {vector} AS distance FROM {table} WHERE {condition}
             ORDER BY {embedding} <=> {vector} LIMIT {count}"""

# The words of a question, the rarest first. A name with dots is one word for PostgreSQL, so its parts are asked too.
# Words that stand in many chunks cost most of the time and tell little, so they find no chunks by themselves, unless
# there are no others. PostgreSQL's rank counts all words alike, so it only chooses what is looked at closer: there a
# word weighs the more the rarer it is (Sparck Jones 1972), and the rank decides between chunks with the same words.
WORDS = """
known AS MATERIALIZED (SELECT {shares}::jsonb AS share),
asked AS MATERIALIZED (
    SELECT lexeme, coalesce((known.share ->> lexeme)::real, 0) AS share,
           ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery AS term
    FROM known, unnest(to_tsvector('english', {query} || ' ' || translate({query}, './_-', '    ')))
    ORDER BY share, lexeme LIMIT {terms}
),
words AS MATERIALIZED (
    SELECT string_agg(term::text, ' | ')::tsquery AS query, array_agg(lexeme ORDER BY share, lexeme) AS lexemes
    FROM asked WHERE share <= greatest({common}, (SELECT min(share) FROM asked))
),
looked_at AS MATERIALIZED (
    SELECT {id}, {search}, ts_rank({search}, words.query) AS rank FROM {table}, words
    WHERE {search} @@ words.query AND {condition} ORDER BY rank DESC, {id} LIMIT 4 * {count}
),
matching AS MATERIALIZED (
    SELECT {id}, (1 + rank) * (SELECT sum(-ln(greatest(share, 0.0005))) FROM asked WHERE {search} @@ term) AS score
    FROM looked_at ORDER BY score DESC, {id} LIMIT {count}
)"""

HYBRID = """
WITH near AS MATERIALIZED ({nearest}), {words}
SELECT chunk.{id}, chunk.{content}, chunk.{metadata}, {columns}, {similarity} AS similarity,
       near.rank, matching.rank, matching.score, (SELECT lexemes FROM words) AS lexemes, (
           SELECT array_agg(lexeme ORDER BY lexeme) FROM asked WHERE share = 0 AND lexeme ~ '^[[:alpha:]]{{3,}}$'
               AND NOT EXISTS (SELECT FROM {table} WHERE {search} @@ term)) AS unknown
FROM (SELECT *, row_number() OVER (ORDER BY distance, {id}) AS rank FROM near) AS near
FULL JOIN (SELECT *, row_number() OVER (ORDER BY score DESC, {id}) AS rank FROM matching) AS matching USING ({id})
JOIN {table} AS chunk USING ({id})"""

Type = Literal["vector", "halfvec"]


@dataclass(frozen=True)
class Shape:
    """What a table is like.

    Attributes:
        columns: SQL type of each column.
        type: of the vectors.
        dimensions: of the vectors.
        chunks: how many there are, about; known from ANALYZE.
        shares: in which share of them the most common words are, a JSON object; known from ANALYZE.
    """

    schema_name: str
    table_name: str
    columns: Mapping[str, str]
    type: Type
    dimensions: int
    chunks: float = 0
    shares: str = "{}"

    @classmethod
    def of(cls, schema_name: str, table_name: str, rows: Sequence[tuple[Any, ...]]) -> "Shape":
        """From what `SHAPE` answers for `qualified`. Raises LookupError where there is no such table of vectors."""
        columns, name = {column: kind for column, kind, *_ in rows}, f"{schema_name}.{table_name}"
        if not columns:
            raise LookupError(f"there is no table {name}")
        if lacking := {ID, CONTENT, EMBEDDING, METADATA, SEARCH} - columns.keys():
            raise LookupError(f"{name} is no table of an index: it lacks {', '.join(sorted(lacking))}")
        kind, _, rest = columns[EMBEDDING].rpartition(".")[2].partition("(")
        if kind not in ("vector", "halfvec") or not rest.rstrip(")").isdigit():
            raise LookupError(f"{name}.{EMBEDDING} holds {columns[EMBEDDING]}, not vectors of a known size")
        shares = next((shares for column, *_, shares in rows if column == SEARCH and shares), "{}")
        return cls(schema_name, table_name, columns, kind, int(rest.rstrip(")")), rows[0][2], shares)

    @property
    def qualified(self) -> str:
        """Its name as `SHAPE` takes it."""
        return qualified(self.schema_name, self.table_name)

    @property
    def filterable(self) -> tuple[str, ...]:
        """Columns of metadata."""
        return tuple(name for name in self.columns if name not in (ID, CONTENT, EMBEDDING, METADATA, SEARCH))

    def condition(self, filters: Mapping[str, Any]) -> tuple[sql.Composable, dict[str, Any]]:
        """SQL and parameters of filters: a column equals a value, or any of a list of values.

        Raises:
            InvalidInput: a name is no column of metadata, or a value is none of its type.
        """
        parts: list[sql.Composable] = []
        values: dict[str, Any] = {}
        for number, (name, asked) in enumerate(filters.items()):
            if name not in self.filterable:
                raise InvalidInput("filters", f"no column {str(name)[:60]!r}; there are {', '.join(self.filterable)}")
            wanted = list(asked) if isinstance(asked, list | tuple | set | frozenset) else [asked]
            if not 0 < len(wanted) <= MANY:
                raise InvalidInput("filters", f"{name!r} takes 1 to {MANY} values, not {len(wanted)}")
            whole = self.columns[name] in ("smallint", "integer", "bigint")
            for value in wanted:
                if (type(value) is not int or abs(value) >= 2**31) if whole else not _text(value):
                    raise InvalidInput("filters", f"{name!r} takes {'whole numbers' if whole else 'text'}")
            values[f"filter_{number}"] = wanted
            text = sql.SQL("{column} = ANY({value}::{type}[])")
            kind = sql.SQL("bigint" if whole else "text")
            parts.append(text.format(column=sql.Identifier(name), value=sql.Placeholder(f"filter_{number}"), type=kind))
        return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true"), values

    def nearest(self, condition: sql.Composable = sql.SQL("true")) -> sql.Composed:  # noqa: B008  a constant
        """Ids and distances of the chunks nearest to `vector`, nearest first; parameters `vector` and `count`."""
        return sql.SQL(NEAREST).format(**self._names(condition))

    def hybrid(self, condition: sql.Composable, by_vector: bool, by_words: bool) -> sql.Composed:
        """Both searches and what they found, each chunk once, in no order.

        Columns: id, content, metadata, those of `filterable`, similarity, rank and rank of both searches, score of the
        words, the words asked, and those of the question that no chunk holds, whatever the filters. Parameters
        `vector`, `query`, `count`, `shares`, `common`, `terms`.
        """
        names = self._names(condition)
        nowhere = sql.SQL("SELECT NULL::uuid AS {id}, NULL::float8 AS distance WHERE false").format(**names)
        names |= {
            "nearest": self.nearest(condition) if by_vector else nowhere,
            "similarity": sql.SQL("1 - (chunk.{embedding} <=> {vector})" if by_vector else "NULL").format(**names),
            "words": sql.SQL(WORDS).format(**names, **self._words(by_words)),
            "columns": sql.SQL(", ").join(sql.Identifier("chunk", name) for name in self.filterable),
        }
        return sql.SQL(HYBRID).format(**names)

    def _names(self, condition: sql.Composable) -> dict[str, sql.Composable]:
        return {
            "table": sql.Identifier(self.schema_name, self.table_name),
            "id": sql.Identifier(ID),
            "content": sql.Identifier(CONTENT),
            "embedding": sql.Identifier(EMBEDDING),
            "metadata": sql.Identifier(METADATA),
            "search": sql.Identifier(SEARCH),
            # Of the column's own type, or the index is not used.
            "vector": sql.SQL("{}::{}").format(sql.Placeholder("vector"), sql.SQL(self.type)),
            "count": sql.Placeholder("count"),
            "condition": condition,
        }

    def _words(self, asked: bool) -> dict[str, sql.Composable]:
        return {
            "shares": sql.Placeholder("shares"),
            "query": sql.SQL("{}::text").format(sql.Placeholder("query") if asked else sql.Literal("")),
            "common": sql.Placeholder("common"),
            "terms": sql.Placeholder("terms"),
        }


def qualified(schema_name: str, table_name: str) -> str:
    """A table's name, quoted as PostgreSQL reads it."""
    return sql.Identifier(schema_name, table_name).as_string()


def in_sql(vector: Any) -> str:
    """A vector, array-like of shape (dimensions,), as pgvector reads it."""
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


def _text(value: Any) -> bool:
    """Whether PostgreSQL takes it as text: no character 0, and no half of a pair."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
