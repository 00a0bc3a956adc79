"""The retriever, on real texts and real vectors in PostgreSQL."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from index_support import REAL, SCHEMA, chunks, embedder, make, vectors
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from pydantic import ValidationError

from resources.database import connect
from resources.embedded.postgres import Postgres
from resources.settings import REPOSITORY, Settings
from workloads.sdk.contract import InvalidInput
from workloads.sdk.kits.retrieval.fusion import fuse
from workloads.sdk.kits.retrieval.retriever import RetrievalFailed, Retriever

QUESTION = "How does the with statement use a context manager?"


@pytest.fixture(scope="module")
def database(postgres: Settings) -> str:
    """URL of the database with the table `retrieval`."""
    make(postgres, "retrieval")
    return postgres.database("mlops")


@pytest.fixture(scope="module")
def pool(database: str) -> Iterator[ConnectionPool]:
    with ConnectionPool(database, min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture(scope="module")
def retriever(pool: ConnectionPool) -> Retriever:
    return on(pool)


def on(pool: Any, table: str = "retrieval", **values: Any) -> Retriever:
    return Retriever(pool=pool, schema_name=SCHEMA, table_name=table, embedder=embedder(), **values)


def nearest(question: str, count: int, **wanted: Any) -> list[str]:
    """Ids by exact search in NumPy."""
    distances = 1 - vectors() @ embedder().encode([question])[0]
    order = np.argsort(distances, kind="stable")
    fits = [
        chunks()[at] for at in order if all(getattr(chunks()[at], name) in any_of for name, any_of in wanted.items())
    ]
    return [str(row.id) for row in fits[:count]]


def like(found: list[str], exact: list[str]) -> bool:
    """The index may miss a chunk far down the list."""
    return found[:5] == exact[:5] and len(set(found) & set(exact)) >= 0.9 * len(exact)


def ids(documents: list[Document]) -> list[str]:
    return [str(document.id) for document in documents]


# --- what is found --------------------------------------------------------------------------------------------------


def test_a_text_is_found_by_a_part_of_it(retriever: Retriever) -> None:
    hits = 0
    asked = chunks()[:REAL:10]
    for row in asked:
        found = retriever.invoke(" ".join(row.content.split()[:12]))
        hits += any(document.page_content == row.content for document in found)
    assert hits >= 0.9 * len(asked)


def test_a_document_says_where_it_stands_and_how_it_was_found(retriever: Retriever) -> None:
    found = retriever.find(QUESTION)
    assert len(retriever.invoke(QUESTION)) == retriever.top_k
    assert ids(retriever.invoke(QUESTION)) == ids(found.documents)[: retriever.top_k]
    assert "context" in found.terms
    assert found.search_ms > 0
    known = {str(row.id): row for row in chunks()}
    vector = dict(zip((str(row.id) for row in chunks()), vectors() @ embedder().encode([QUESTION])[0], strict=True))
    for document in found.documents:
        row, facts = known[str(document.id)], document.metadata
        assert document.page_content == row.content
        assert (facts["source"], facts["path"], facts["position"]) == (row.source, row.path, row.position)
        assert facts["similarity"] == pytest.approx(vector[str(document.id)], abs=1e-5)
        assert facts["vector_rank"] or facts["text_rank"]
        assert (facts["text_rank"] is None) == (facts["text_score"] is None)
    by_rank = {
        name: [str(one.id) for one in sorted(ranked, key=lambda one: one.metadata[name])]
        for name in ("vector_rank", "text_rank")
        if (ranked := [one for one in found.documents if one.metadata[name]])
    }
    assert like(by_rank["vector_rank"], nearest(QUESTION, retriever.depth))
    scores = [(str(one.id), one.metadata["score"]) for one in found.documents]
    assert scores == fuse(by_rank, k=retriever.fusion_k)


def test_either_search_alone_and_weighted(pool: ConnectionPool) -> None:
    vector, text = on(pool, text_weight=0).find(QUESTION), on(pool, vector_weight=0).find(QUESTION)
    assert like(ids(vector.documents), nearest(QUESTION, 50))
    assert all(document.metadata["text_rank"] is None for document in vector.documents)
    assert all(document.metadata["similarity"] is None for document in text.documents)
    words = [document.metadata["text_score"] for document in text.documents]
    assert words == sorted(words, reverse=True)
    heavy = on(pool, vector_weight=100, text_weight=0.01, top_k=5).invoke(QUESTION)
    assert ids(heavy) == ids(vector.documents)[:5]
    with pytest.raises(ValidationError, match="nothing to search by"):
        on(pool, vector_weight=0, text_weight=0)


def test_rare_words_are_asked_and_common_ones_are_not(pool: ConnectionPool) -> None:
    words = on(pool, vector_weight=0, common=100)
    assert words.find("How does the object use __getattr__?").terms == ("getattr",)  # `object` is everywhere
    assert set(on(pool).find("How does the object use __getattr__?").terms) == {"getattr", "object", "use"}
    assert words.find("object").terms == ("object",)  # where there is no other
    assert "abc" in words.find("What is collections.abc?").terms  # a part of a name
    assert words.find("what is the").documents == []
    assert len(words.find(" ".join(row.content for row in chunks()[:3])).terms) <= words.terms


# --- filters --------------------------------------------------------------------------------------------------------


def test_filters_by_one_value_and_by_any_of_several(retriever: Retriever) -> None:
    library = retriever.find(QUESTION, {"source": "library"})
    assert {document.metadata["source"] for document in library.documents} == {"library"}
    wanted = {"source": ["library", "more"], "position": [0, 1, 2, 3]}
    found = retriever.find(QUESTION, wanted).documents
    assert all(document.metadata[name] in any_of for document in found for name, any_of in wanted.items())
    ranked = [one for one in found if one.metadata["vector_rank"]]
    ranked.sort(key=lambda one: one.metadata["vector_rank"])
    assert like(ids(ranked), nearest(QUESTION, retriever.depth, **wanted))
    assert retriever.invoke(QUESTION, filters={"source": "' OR true --"}) == []


def test_filters_of_the_retriever_hold_beside_those_asked(pool: ConnectionPool) -> None:
    narrow = on(pool, filters={"source": "library"})
    assert {one.metadata["source"] for one in narrow.invoke(QUESTION)} == {"library"}
    found = narrow.bind(filters={"position": [0, 1, 2]}).invoke(QUESTION)
    assert {one.metadata["source"] for one in found} == {"library"}
    assert {one.metadata["position"] for one in found} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("question", "filters", "said"),
    [
        ("", None, "query: is empty"),
        (" \n ", None, "query: is empty"),
        ("x" * 1_000_000, None, "query: has 1000000 characters, at most 2000 are taken"),
        ("null\0", None, "query: holds a character that no text can hold"),
        ("half \ud83d", None, "query: holds a character that no text can hold"),
        ("x", {"embedding": "x"}, "filters: no column 'embedding'; there are source, path"),
        ("x", {"source = source OR path": "x"}, "filters: no column"),
        ("x", {"source": 3}, "filters: 'source' takes text"),
        ("x", {"source": None}, "filters: 'source' takes text"),
        ("x", {"source": "\0"}, "filters: 'source' takes text"),
        ("x", {"source": []}, "filters: 'source' takes 1 to 100 values, not 0"),
        ("x", {"source": ["x"] * 101}, "filters: 'source' takes 1 to 100 values, not 101"),
        ("x", {"position": "1"}, "filters: 'position' takes whole numbers"),
        ("x", {"position": 2**40}, "filters: 'position' takes whole numbers"),
    ],
)
def test_bad_input_is_said(retriever: Retriever, question: str, filters: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        retriever.invoke(question, filters=filters)
    assert str(error.value).startswith(said)


@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60))
def test_any_text_can_be_asked(pool: ConnectionPool, question: str) -> None:
    if question.strip():
        assert len(on(pool, vector_weight=0, text_weight=1).find(f"{question} getattr").terms) >= 1


# --- as LangChain has it --------------------------------------------------------------------------------------------


def test_it_is_a_runnable_and_asynchronous(database: str, retriever: Retriever) -> None:
    chain = {
        "context": retriever | RunnableLambda(lambda found: [one.metadata["path"] for one in found]),
        "question": RunnablePassthrough(),
    } | RunnableLambda(lambda given: (given["question"], given["context"]))
    expected = retriever.invoke(QUESTION)
    assert chain.invoke(QUESTION) == (QUESTION, [one.metadata["path"] for one in expected])

    async def ask() -> None:
        assert ids(await retriever.ainvoke(QUESTION)) == ids(expected)  # a synchronous pool: in a thread
        async with AsyncConnectionPool(database, min_size=1, max_size=3) as pool:
            own = on(pool)
            answers = await asyncio.gather(*(own.ainvoke(QUESTION) for _ in range(12)))
            assert all(ids(found) == ids(expected) for found in answers)
            assert ids((await own.afind(QUESTION, {"source": "more"})).documents) == ids(
                retriever.find(QUESTION, {"source": "more"}).documents
            )
            with pytest.raises(InvalidInput, match="is empty"):
                await own.ainvoke("")
            with pytest.raises(TypeError, match="ask it by `ainvoke`"):
                own.invoke(QUESTION)

    asyncio.run(ask())


def test_langchain_postgres_reads_the_same_table(database: str, pool: ConnectionPool) -> None:
    from langchain_postgres import PGEngine, PGVectorStore
    from langchain_postgres.v2.indexes import HNSWQueryOptions

    engine = PGEngine.from_connection_string(database.replace("postgresql://", "postgresql+psycopg://"))
    try:
        store = PGVectorStore.create_sync(
            engine,
            embedder(),
            "retrieval",
            schema_name=SCHEMA,
            metadata_columns=["source", "path", "position"],
            index_query_options=HNSWQueryOptions(ef_search=100),
        )
        theirs = store.similarity_search(QUESTION, k=8)
        ours = on(pool, text_weight=0).invoke(QUESTION)
        assert [str(one.id) for one in theirs] == ids(ours)
        assert [one.page_content for one in theirs] == [one.page_content for one in ours]
        assert [one.metadata["path"] for one in theirs] == [one.metadata["path"] for one in ours]
        (filtered,) = store.similarity_search(QUESTION, k=1, filter={"source": "library"})
        assert str(filtered.id) == nearest(QUESTION, 1, source=["library"])[0]
    finally:
        asyncio.run_coroutine_threadsafe(engine._pool.dispose(), engine._loop).result(10)


def test_the_notebook_of_the_documentation(postgres: Settings, database: str, capsys: pytest.CaptureFixture) -> None:
    text = (REPOSITORY / "docs" / "retrieval.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert '"corpus"' in code
    names: dict[str, Any] = {}
    try:
        exec(code.replace('"corpus"', '"of_tests"'), names)
    finally:
        names["pool"].close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == names["retriever"].top_k
    assert all(line.split()[1].endswith(".md") for line in lines)


# --- what is wrong with a table -------------------------------------------------------------------------------------


def test_half_precision_is_searched_by_its_own_index(postgres: Settings, pool: ConnectionPool) -> None:
    make(postgres, "retrieval_half", kind="halfvec")
    half = on(pool, "retrieval_half", text_weight=0).find(QUESTION)
    assert len(set(ids(half.documents)[:10]) & set(nearest(QUESTION, 10))) >= 9
    shape = on(pool, "retrieval_half")
    shape.invoke(QUESTION)
    assert shape._shape is not None
    assert shape._shape.type == "halfvec"


def test_a_table_that_is_missing_dropped_or_of_another_embedder(postgres: Settings, pool: ConnectionPool) -> None:
    with pytest.raises(RetrievalFailed, match=r"there is no table dev_vectors\.nowhere; take the table of a released"):
        on(pool, "nowhere").invoke(QUESTION)
    with connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {SCHEMA}.short (LIKE {SCHEMA}.retrieval)")
        connection.execute(f"ALTER TABLE {SCHEMA}.short ALTER embedding TYPE vector(3)")
        connection.execute(f"CREATE TABLE {SCHEMA}.other (id int)")
        with pytest.raises(RetrievalFailed, match="have 3 dimensions and the embedder's 384; take the embedder"):
            on(pool, "short").invoke(QUESTION)
        with pytest.raises(RetrievalFailed, match="is no table of an index: it lacks content"):
            on(pool, "other").invoke(QUESTION)
        connection.execute(f"ALTER TABLE {SCHEMA}.short ALTER embedding TYPE vector(384)")
        gone = on(pool, "short")
        assert gone.invoke(QUESTION) == []
        connection.execute(f"DROP TABLE {SCHEMA}.short, {SCHEMA}.other")
    with pytest.raises(RetrievalFailed, match="short is gone; take the index that is released now"):
        gone.invoke(QUESTION)


def test_a_search_that_takes_too_long_and_a_pool_that_is_closed(database: str, pool: ConnectionPool) -> None:
    with pool.connection() as held:
        held.execute(f"LOCK TABLE {SCHEMA}.retrieval IN ACCESS EXCLUSIVE MODE")
        slow = on(pool, timeout=0.2)
        slow._shape = None
        with pytest.raises(RetrievalFailed, match=r"took longer than 0\.2 s"):
            slow.invoke(QUESTION)
    assert slow.invoke(QUESTION)
    with ConnectionPool(database, min_size=1, max_size=1) as narrow:
        with narrow.connection(), pytest.raises(RetrievalFailed, match=r"gave no connection within 0\.2 s"):
            on(narrow, timeout=0.2).invoke(QUESTION)
        closed = on(narrow)
    with pytest.raises(RetrievalFailed, match="pool of connections is closed"):
        closed.invoke(QUESTION)


# --- under load -----------------------------------------------------------------------------------------------------


class Load:
    """Threads that ask without a pause, whatever retriever is current; each answer is checked."""

    def __init__(self, retriever: Retriever, threads: int = 3):
        self.retriever, self.answered, self.errors = retriever, 0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(threads)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            asked = self.retriever
            try:
                assert len(asked.invoke(QUESTION)) == asked.top_k
                self.answered += 1
            except Exception as error:
                self.errors.append(error)

    def more(self, count: int, patience: float = 60) -> None:
        """Wait until so many more were answered."""
        wanted, deadline = self.answered + count, time.monotonic() + patience
        while self.answered < wanted:
            assert time.monotonic() < deadline, f"{self.answered} answers of {wanted}: {self.errors[-3:]}"
            time.sleep(0.02)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_queries_go_on_while_another_version_is_made_and_switched_to(postgres: Settings, pool: ConnectionPool) -> None:
    before = on(pool)
    with Load(before) as load:
        load.more(10)
        for table in ("retrieval_next", "retrieval_after"):
            asked = load.answered
            make(postgres, table, count=1000)
            assert load.answered > asked  # while it was made
            load.retriever = on(pool, table)
            load.more(10)
        with connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP TABLE {SCHEMA}.retrieval_next")
        load.more(10)
    assert load.errors == []


@pytest.mark.last
def test_postgres_restarted_under_load(postgres: Settings, database: str) -> None:
    with ConnectionPool(database, min_size=3, max_size=3) as own, Load(on(own, timeout=2)) as load:
        load.more(10)
        server = Postgres(postgres)
        server.stop()
        deadline = time.monotonic() + 30
        while not load.errors and time.monotonic() < deadline:
            time.sleep(0.05)  # somebody fell into the gap
        server.start()
        load.more(30)
        lost = list(load.errors)
        load.more(30)
        assert load.errors == lost  # and nobody after it
    assert lost
    assert {type(error) for error in lost} == {RetrievalFailed}
    said = {str(error) for error in lost}
    assert all(text.startswith(("PostgreSQL gave no connection", "PostgreSQL went away")) for text in said), said
