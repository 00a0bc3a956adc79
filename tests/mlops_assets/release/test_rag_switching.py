"""Compositions that change while people ask: every answer is wholly of one, and what was asked is answered."""

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from patience import until
from rag_support import Endpoint, Model, composition, events, make_table, migrate, running, with_part
from serving_support import enter

from resources.embedded.postgres import Postgres
from resources.serving import RolloutFailed
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings

QUESTION = "What does the lambda expression yield?"


@pytest.fixture(scope="module")
def database(postgres: Settings) -> Settings:
    migrate(postgres)
    for table in ("corpus_rag", "corpus_rag_2"):
        make_table(postgres, table)
    return postgres


class Crowd:
    """People who ask all the time, some of them for streams.

    Attributes:
        answers: whole answers, and what was refused with an error.
    """

    def __init__(self, client: httpx.Client, people: int = 4):
        self.answers: list[dict] = []
        self.errors: list[tuple[int, str]] = []
        self._client, self._stop = client, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[number % 2 == 0]) for number in range(people)]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, stream: bool) -> None:
        while not self._stop.is_set():
            body = {"question": QUESTION, "stream": stream}
            with self._client.stream("POST", "/query", json=body) as response:
                if response.status_code != 200:
                    self.errors.append((response.status_code, response.read().decode()))
                elif stream:
                    name, data = list(events(response.iter_lines()))[-1]
                    self.answers.append(data) if name == "done" else self.errors.append((200, str(data)))
                else:
                    response.read()
                    self.answers.append(response.json())


def test_a_switch_under_load_fails_no_request(database: Settings, tmp_path: Path) -> None:
    endpoint = Endpoint(database, tmp_path, "rag_switch", composition())
    with endpoint.client() as client, Crowd(client) as crowd:
        until(lambda: len(crowd.answers) > 5)
        for release in (2, 3, 4):
            old = endpoint.replica.current
            made = composition("corpus_rag_2" if release % 2 else "corpus_rag", release, sentences=release)
            endpoint.serving.wait("rag_switch", endpoint.publish(made, release))
            old.use.closed.result(timeout=20)
            assert old.use.count == 0
            before = len(crowd.answers)
            until(lambda before=before: len(crowd.answers) > before + 5)
    assert crowd.errors == []
    for answer in crowd.answers:
        release = answer["release_id"]
        assert answer["version"] == answer["prompt_version"] == f"1.0.{release}"
        assert answer["parts"]["prompt"]["release"] == 20 + release
    assert {answer["release_id"] for answer in crowd.answers} == {1, 2, 3, 4}
    assert endpoint.replica.log.lost == 0


def test_a_stream_ends_with_what_it_began_with(database: Settings, tmp_path: Path) -> None:
    model = Model({"endless": None})
    with running(model) as url:
        slow = {"provider": "openai", "model": "endless", "url": f"{url}/v1", "temperature": 0.0}
        endpoint = Endpoint(database, tmp_path, "rag_stream", composition(model=slow))
        with endpoint.client() as client:
            old = endpoint.replica.current
            body = {"question": QUESTION, "stream": True}
            with client.stream("POST", "/query", json=body) as response:
                stream = events(response.iter_lines())
                next(stream)
                endpoint.serving.wait("rag_stream", endpoint.publish(composition(release=2), 2))
                assert client.post("/query", json={"question": QUESTION}).json()["version"] == "1.0.2"
                assert [next(stream)[0] for _ in range(3)] == ["token"] * 3
                assert response.headers["x-model-version"] == "1.0.1"
                assert not old.use.closed.done(), "somebody still reads from it"
            old.use.closed.result(timeout=20)


def gone(made):
    return with_part(made, "index", table="corpus_gone")


def of_another_embedder(made):
    return with_part(made, "index", embedder={"name": "other", "digest": "f" * 64})


def without_placeholder(made):
    return with_part(made, "prompt", template="Just answer {question}")


def with_wrong_settings(made):
    return with_part(made, "prompt", settings={"sentences": 0})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (gone, "corpus_gone is gone"),
        (of_another_embedder, "was embedded by other ffffffffffff"),
        (without_placeholder, "lacks {context}"),
        (with_wrong_settings, "sentences"),
    ],
)
def test_a_composition_that_does_not_load_leaves_the_old_one(
    database: Settings, tmp_path: Path, request: pytest.FixtureRequest, spoil: Callable, reason: str
) -> None:
    endpoint = Endpoint(database, tmp_path, request.node.name, composition())
    number = endpoint.publish(spoil(composition(release=2)), 2)
    with pytest.raises(RolloutFailed, match=reason):
        endpoint.serving.wait(endpoint.name, number)
    with endpoint.client() as client:
        answer = client.post("/query", json={"question": QUESTION}).json()
        assert (answer["version"], answer["refused"]) == ("1.0.1", False)
        enter(database, endpoint.name, endpoint.entries.values())
        until(lambda: len(client.get("/versions").json()["versions"]) == 2)
        asked = client.post("/query?version=1.0.2", json={"question": QUESTION})
        assert (asked.status_code // 100, "1.0.2" in asked.json()["error"]["message"]) in ((4, True), (5, True))
        assert client.post("/query?version=1.0.1", json={"question": QUESTION}).status_code == 200


def test_postgres_restarted_under_load_loses_nothing(own_postgres: Postgres, tmp_path: Path) -> None:
    migrate(own_postgres.settings)
    make_table(own_postgres.settings)
    endpoint = Endpoint(own_postgres.settings, tmp_path, "rag_restart", composition())
    log = PredictionLog(own_postgres.settings)
    with endpoint.client() as client:
        session = client.post("/session/create").json()["session_id"]
        with Crowd(client, people=3) as crowd:
            until(lambda: len(crowd.answers) > 5)
            own_postgres.stop()
            until(lambda: crowd.errors)
            assert client.get("/health").json()["status"] == "healthy"
            own_postgres.start()
            before = len(crowd.answers)
            until(lambda: len(crowd.answers) > before + 10, seconds=40)
        remembered = client.post("/query", json={"question": QUESTION, "session_id": session}).json()
        turns = client.get(f"/session/{session}/history").json()["turns"]
        assert [turn["prediction_id"] for turn in turns] == [remembered["prediction_id"]]
    for status, text in crowd.errors:
        assert status == 503, text
        assert "PostgreSQL" in text
    given = {answer["prediction_id"] for answer in crowd.answers}
    until(lambda: all(log.find(identity) for identity in given))
    assert endpoint.replica.log.lost == 0
