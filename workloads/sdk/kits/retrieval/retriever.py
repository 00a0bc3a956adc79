"""A retriever: the chunks of an index that answer a question best, by meaning and by words at once.

    from psycopg_pool import ConnectionPool
    from resources.settings import settings
    from workloads.sdk.kits.retrieval.embedder import Embedder
    from workloads.sdk.kits.retrieval.retriever import Retriever

    pool = ConnectionPool(settings().database("mlops"), open=True)
    retriever = Retriever(pool=pool, schema_name="dev_vectors", table_name="corpus_...", embedder=Embedder.load())
    retriever.invoke("How do I open a file?", filters={"source": ["python", "docs"]})

It is a LangChain retriever, so a `Runnable`: `invoke`, `ainvoke`, `batch`, and `retriever | ...`. One round trip to
PostgreSQL searches the vectors and the full text; the two orders are fused by `fusion.py`.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import psycopg
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests
from pydantic import Field, PrivateAttr, model_validator

from workloads.sdk.contract import InvalidInput
from workloads.sdk.kits.retrieval.fusion import K, fuse
from workloads.sdk.kits.retrieval.sql import EF_SEARCH, FURTHER, SET, SHAPE, Shape, in_sql, qualified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.sql import Composed

VECTOR, TEXT = "vector", "text"  # names of the two searches
LARGE = 1000  # chunks, from which on a word that none of them holds tells something


class RetrievalFailed(Exception):
    """The index could not be asked; one sentence says why and what to do. Asking again later may help."""


@runtime_checkable
class Encoder(Protocol):
    """What turns texts into vectors: float32 (n, dimensions), of length 1."""

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Any) -> Any: ...


@dataclass(frozen=True)
class Found:
    """All that the two searches found, for whoever wants to see how an answer came about.

    Attributes:
        documents: best first, as `Retriever` describes them; the retriever answers with the first `top_k` of them.
        terms: the words that chunks were looked up by, the rarest first, as PostgreSQL's dictionary writes them.
        embed_ms, search_ms: how long the question's vector and the round trip took.
    """

    documents: list[Document]
    terms: tuple[str, ...]
    embed_ms: float
    search_ms: float


@dataclass(frozen=True)
class _Asked:
    """One search, ready to be sent; `whole`: reading the whole table may be the quickest way."""

    shape: Shape
    statement: "Composed"
    values: dict[str, Any]
    embed_ms: float
    whole: bool


class Retriever(BaseRetriever):
    """Hybrid search of one table.

    A document has its chunk's `id`, its text, and in `metadata` the chunk's columns (`source`, `path`, `heading`, ...),
    `score` (of the fusion), `similarity` (cosine of question and chunk, -1 to 1; None where no vectors are searched),
    `vector_rank`, `text_rank` (from 1; None where that search did not find it), `text_score`, and `unknown`: words of
    the question that no chunk of a large table holds, as PostgreSQL's dictionary writes them; alike for all documents.

    Raises, when asked:
        InvalidInput: the question is empty or too long, or a filter names no column of the table.
        RetrievalFailed: PostgreSQL does not answer or is too slow, or the table is gone or of another embedder.
    """

    pool: ConnectionPool | AsyncConnectionPool = Field(
        description="Open pool of connections; `invoke` takes a ConnectionPool, `ainvoke` either.", exclude=True
    )
    embedder: Encoder = Field(description="The encoder that the table's vectors come from.", exclude=True)
    schema_name: str = Field(description="Schema of the table.")
    table_name: str = Field(description="The index's table.")
    top_k: int = Field(8, ge=1, le=100, description="How many documents an answer has.")
    depth: int = Field(50, ge=1, le=500, description="How many chunks of each search are fused.")
    fusion_k: float = Field(
        K, gt=0, le=10_000, description="k of the fusion: the larger, the less first ranks stand out."
    )
    vector_weight: float = Field(1.0, ge=0, le=100, description="Weight of the search by vectors; 0: there is none.")
    text_weight: float = Field(1.0, ge=0, le=100, description="Weight of the full text search; 0: there is none.")
    filters: Mapping[str, Any] = Field({}, description="Column to value, or to a list of which any will do.")
    ef_search: int = Field(
        EF_SEARCH, ge=1, le=1000, description="Chunks that HNSW holds in hand as it is walked; twice that with filters."
    )
    common: int = Field(1000, ge=1, description="Words in more chunks than this find none by themselves.")
    terms: int = Field(24, ge=1, le=200, description="How many words are asked at most, the rarest of the question.")
    longest: int = Field(2000, ge=1, le=20_000, description="Longest question, in characters.")
    timeout: float = Field(5.0, gt=0, le=600, description="Seconds to wait for a connection, and for its answer.")

    _shape: Shape | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _searches(self) -> "Retriever":
        if not self.vector_weight and not self.text_weight:
            raise ValueError("vector_weight and text_weight are both 0: there is nothing to search by")
        return self

    # --- asking --------------------------------------------------------------------------------------------------

    def find(self, query: str, filters: Mapping[str, Any] | None = None) -> Found:
        """Everything found, not the first `top_k` alone. `filters` come on top of the retriever's own."""
        if not isinstance(self.pool, ConnectionPool):
            raise TypeError("this retriever has a pool of asynchronous connections: ask it by `ainvoke` or `afind`")
        shape = self._shape = self._shape or self._read(self._execute(SHAPE, [self._qualified]))
        asked = self._ask(shape, query, filters)
        start = perf_counter()
        return self._fused(asked, self._execute(asked.statement, asked.values, asked.whole), start)

    async def afind(self, query: str, filters: Mapping[str, Any] | None = None) -> Found:
        """As `find`. The question is embedded in a thread, and so is all the rest with a synchronous pool."""
        if isinstance(self.pool, ConnectionPool):
            return await asyncio.to_thread(self.find, query, filters)
        shape = self._shape = self._shape or self._read(await self._aexecute(SHAPE, [self._qualified]))
        asked = await asyncio.to_thread(self._ask, shape, query, filters)
        start = perf_counter()
        return self._fused(asked, await self._aexecute(asked.statement, asked.values, asked.whole), start)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, filters: Mapping[str, Any] | None = None
    ) -> list[Document]:
        return self.find(query, filters).documents[: self.top_k]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, filters: Mapping[str, Any] | None = None
    ) -> list[Document]:
        return (await self.afind(query, filters)).documents[: self.top_k]

    # --- before and after ----------------------------------------------------------------------------------------

    @property
    def _qualified(self) -> str:
        return qualified(self.schema_name, self.table_name)

    def _read(self, rows: list[Any]) -> Shape:
        try:
            shape = Shape.of(self.schema_name, self.table_name, rows)
        except LookupError as error:
            raise RetrievalFailed(f"{error}; take the table of a released index") from None
        if self.vector_weight and shape.dimensions != self.embedder.dimensions:
            raise RetrievalFailed(
                f"the vectors of {self.schema_name}.{self.table_name} have {shape.dimensions} dimensions and the "
                f"embedder's {self.embedder.dimensions}; take the embedder that the index was made with"
            )
        return shape

    def _ask(self, shape: Shape, query: str, filters: Mapping[str, Any] | None) -> _Asked:
        self._check(query)
        condition, values = shape.condition({**self.filters, **(filters or {})})
        start = perf_counter()
        if self.vector_weight:
            values["vector"] = in_sql(self.embedder.encode([query])[0])
        embed_ms = (perf_counter() - start) * 1000
        values |= {"query": query, "count": self.depth}
        values |= {"shares": shape.shares, "terms": self.terms, "common": self.common / max(1, shape.chunks)}
        statement = shape.hybrid(condition, by_vector=self.vector_weight > 0, by_words=self.text_weight > 0)
        return _Asked(shape, statement, values, embed_ms, bool(filters or self.filters))

    def _check(self, query: str) -> None:
        if not isinstance(query, str) or not query.strip():
            raise InvalidInput("query", "is empty")
        if len(query) > self.longest:
            raise InvalidInput("query", f"has {len(query)} characters, at most {self.longest} are taken")
        if "\0" in query or any("\ud800" <= char <= "\udfff" for char in query):
            raise InvalidInput("query", "holds a character that no text can hold")

    def _fused(self, asked: _Asked, rows: Iterable[tuple[Any, ...]], start: float) -> Found:
        search_ms = (perf_counter() - start) * 1000
        documents: dict[str, Any] = {}
        places: dict[str, dict[int, str]] = {VECTOR: {}, TEXT: {}}
        terms: tuple[str, ...] = ()
        unknown: tuple[str, ...] = ()
        for identity, content, metadata, *columns, similarity, near, matching, score, lexemes, missing in rows:
            places[VECTOR] |= {near: str(identity)} if near else {}
            places[TEXT] |= {matching: str(identity)} if matching else {}
            terms = tuple(lexemes or ())
            unknown = tuple(missing or ()) if asked.shape.chunks >= LARGE else ()
            found = {"similarity": similarity, "vector_rank": near, "text_rank": matching, "text_score": score}
            found["unknown"] = unknown
            known = dict(zip(asked.shape.filterable, columns, strict=True))
            documents[str(identity)] = Document(
                id=str(identity), page_content=content, metadata={**(metadata or {}), **known, **found}
            )
        rankings = {name: [found[rank] for rank in sorted(found)] for name, found in places.items()}
        fused = fuse(rankings, {VECTOR: self.vector_weight, TEXT: self.text_weight}, self.fusion_k)
        for identity, score in fused:
            documents[identity].metadata["score"] = score
        return Found([documents[identity] for identity, _ in fused], terms, asked.embed_ms, search_ms)

    # --- the round trip ------------------------------------------------------------------------------------------

    def _settings(self, whole: bool) -> dict[str, str]:
        timeout = f"{max(1, round(self.timeout * 1000))}ms"
        ef_search = min(1000, self.ef_search * (FURTHER if whole else 1))
        return {"ef_search": str(ef_search), "timeout": timeout, "whole": "on" if whole else "off"}

    def _execute(self, statement: Any, values: Any, whole: bool = True) -> list[Any]:
        """Rows of a reading statement. Where the server was restarted, the pool's connections are dead: once more."""
        assert isinstance(self.pool, ConnectionPool)
        with self._plainly():
            try:
                return self._send(statement, values, whole)
            except psycopg.OperationalError as error:
                if not _lost(error):
                    raise
                self.pool.check()
                return self._send(statement, values, whole)

    def _send(self, statement: Any, values: Any, whole: bool) -> list[Any]:
        assert isinstance(self.pool, ConnectionPool)
        with self.pool.connection(self.timeout) as connection:
            with connection.pipeline(), connection.transaction():
                connection.execute(SET, self._settings(whole))
                cursor = connection.execute(statement, values)
            return cursor.fetchall()

    async def _aexecute(self, statement: Any, values: Any, whole: bool = True) -> list[Any]:
        assert isinstance(self.pool, AsyncConnectionPool)
        with self._plainly():
            try:
                return await self._asend(statement, values, whole)
            except psycopg.OperationalError as error:
                if not _lost(error):
                    raise
                await self.pool.check()
                return await self._asend(statement, values, whole)

    async def _asend(self, statement: Any, values: Any, whole: bool) -> list[Any]:
        assert isinstance(self.pool, AsyncConnectionPool)
        async with self.pool.connection(self.timeout) as connection:
            async with connection.pipeline(), connection.transaction():
                await connection.execute(SET, self._settings(whole))
                cursor = await connection.execute(statement, values)
            return await cursor.fetchall()

    @contextmanager
    def _plainly(self) -> "Iterator[None]":
        table = f"{self.schema_name}.{self.table_name}"
        try:
            yield
        except PoolClosed:
            raise RetrievalFailed("the pool of connections is closed; open it before asking") from None
        except (PoolTimeout, TooManyRequests):
            text = f"PostgreSQL gave no connection within {self.timeout:g} s; it is away or busy: try again later"
            raise RetrievalFailed(text) from None
        except psycopg.errors.QueryCanceled:
            text = f"the search of {table} took longer than {self.timeout:g} s; ask a shorter question, or later"
            raise RetrievalFailed(text) from None
        except psycopg.errors.UndefinedTable:
            raise RetrievalFailed(f"the table {table} is gone; take the index that is released now") from None
        except psycopg.OperationalError:
            raise RetrievalFailed("PostgreSQL went away while it was asked; try again later") from None


def _lost(error: psycopg.OperationalError) -> bool:
    """Whether the connection is lost, and not merely the statement; of pools and of time-outs it is neither."""
    gone = psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown
    away = PoolTimeout | TooManyRequests | PoolClosed
    return isinstance(error, gone) or (error.sqlstate is None and not isinstance(error, away))
