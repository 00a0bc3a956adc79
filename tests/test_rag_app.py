"""The RAG application's endpoint by real HTTP, with PostgreSQL and without Ray: answers, streams, sessions."""

from collections.abc import Iterator

import httpx
import pytest
from rag_support import Endpoint, composition, make_table, migrate

from resources.settings import Settings

QUESTION = "What does the lambda expression yield?"


@pytest.fixture(scope="module")
def rag(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    migrate(postgres)
    make_table(postgres)
    return Endpoint(postgres, tmp_path_factory.mktemp("rag"), "rag_app", composition())


@pytest.fixture(scope="module")
def client(rag: Endpoint) -> Iterator[httpx.Client]:
    with rag.client() as client:
        yield client


def test_an_answer_cites_the_chunk_that_it_rests_on(client: httpx.Client) -> None:
    answer = client.post("/query", json={"question": QUESTION}).json()
    assert answer["answer"].startswith('The expression "lambda parameters: expression" yields a function object. [1]')
    assert answer["citations"][0]["path"] == "lambda.md"
