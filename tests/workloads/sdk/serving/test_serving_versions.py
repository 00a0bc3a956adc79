"""`?version=`: any version that is registered or was released answers beside the live one, and never in its way."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from patience import until
from serving_support import Answer, call, enter, replica, version

from resources.serving import Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.versions import cache as cache
from workloads.sdk.serving.versions.loading import Loaded
from workloads.sdk.serving.versions.plan import Version

BODY = {"rows": [[1, 2]]}
LIVE, RELEASED, NEVER, ALTERED, AWAY = 1, 2, 3, 4, 5


def entry(folder: Path, number: int, released: bool = False) -> Version:
    """A version whose answers carry its number; released as `1.0.<number>`, or never."""
    never = {} if released else {"release_id": None, "version": str(number)}
    return replace(version(folder, float(number), number), number=number, **never)


@pytest.fixture
def served(postgres: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """An endpoint with a live version, one that was released before, one that never was, and two that do not load."""
    serving = Serving(postgres)
    serving.migrate()
    PredictionLog(postgres).migrate()
    name = request.node.originalname
    live = entry(tmp_path, LIVE, released=True)
    offered = [live, entry(tmp_path, RELEASED, released=True), entry(tmp_path, NEVER), entry(tmp_path, ALTERED)]
    offered += [replace(entry(tmp_path, AWAY), artifacts_uri="nowhere://model")]
    offered += [entry(tmp_path, number) for number in (6, 7, 8)]
    (tmp_path / "4.0" / "shift.txt").write_text("44")
    enter(postgres, name, offered)
    serving.publish(name, live)
    one = replica(serving, tmp_path, f"{name}-1", name)
    yield Endpoint(one)
    one.close()


def ask(endpoint: Endpoint, name: object) -> Answer:
    return call(endpoint, "POST", f"/predict?version={name}", BODY)


@pytest.mark.parametrize(
    ("name", "number", "said"), [("1.0.2", RELEASED, "1.0.2"), ("2", RELEASED, "1.0.2"), ("3", NEVER, "3")]
)
def test_the_version_that_is_asked_for_answers(served: Endpoint, name: str, number: int, said: str) -> None:
    answer = ask(served, name)
    assert answer.status == 200
    assert answer.json["predictions"] == [{"sum": 3.0 + number, "shift": float(number)}]
    assert answer.json["version"] == answer.headers["x-model-version"] == said
    assert answer.json["model_uri"] == f"models:/dev.shift/{number}"
    assert (answer.json["release_id"] is None) == (number == NEVER)
    assert call(served, "POST", "/predict", BODY).json["version"] == "1.0.1"
    log = PredictionLog(Settings())
    until(lambda: log.find(answer.json["prediction_id"]))
    found = log.find(answer.json["prediction_id"])
    assert found is not None
    assert (found.version, found.number, found.release_id) == (said, number, answer.json["release_id"])


@pytest.mark.parametrize("name", ["1", "1.0.1"])
def test_the_live_one_answers_from_where_it_is(served: Endpoint, name: str) -> None:
    assert ask(served, name).json["version"] == "1.0.1"
    assert not served.replica.cache._places


@pytest.mark.parametrize(
    "query",
    [
        "version=",
        "version=latest",
        "version=1.2",
        "version=-1",
        "version=1;drop",
        "version=1&version=2",
        "verison=1",
        "version=%00",
        "version=1.0.1%20",
        "\u0661",
    ],
)
def test_what_is_no_version_is_refused(served: Endpoint, query: str) -> None:
    answer = call(served, "POST", f"/predict?{query}", BODY)
    assert (answer.status, answer.error["field"]) == (422, "version")


def test_an_unknown_version_is_told_the_known_ones(served: Endpoint) -> None:
    for name in ("9.9.9", "99", "999999999"):
        answer = ask(served, name)
        assert (answer.status, answer.error["code"]) == (404, "unknown_version")
        assert "8, 7, 6, 5, 4, 3, 1.0.2, 1.0.1" in answer.error["message"]


@pytest.mark.parametrize(
    ("number", "status", "code", "reason"),
    [(ALTERED, 409, "broken_version", "was changed"), (AWAY, 503, "not_loaded", "nowhere")],
)
def test_one_that_does_not_load_says_why_and_is_tried_again(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch, number: int, status: int, code: str, reason: str
) -> None:
    tried = counted(served)
    for _ in range(2):
        answer = ask(served, number)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert reason in answer.error["message"]
        assert call(served, "POST", "/predict", BODY).status == 200
    assert tried == [number]
    monkeypatch.setattr(cache, "RETRY_SECONDS", 0)
    assert ask(served, number).status == status
    assert tried == [number, number]


def counted(endpoint: Endpoint, seconds: float = 0) -> list[int]:
    """The numbers of the versions that are loaded from now on, each some seconds later than it would be."""
    loads, load = [], endpoint.replica.cache._load

    def counting(version: Version) -> Loaded:
        loads.append(version.number)
        time.sleep(seconds)
        return load(version)

    endpoint.replica.cache._load = counting
    return loads


def test_first_requests_load_once_and_live_ones_go_on_meanwhile(served: Endpoint) -> None:
    loads = counted(served, seconds=1)
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(served, NEVER))) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: loads)
    while not answers:
        assert call(served, "POST", "/predict", BODY).json["version"] == "1.0.1"
    for thread in threads:
        thread.join()
    assert loads == [NEVER]
    assert {(answer.status, answer.json["version"]) for answer in answers} == {(200, "3")}


def test_the_last_few_are_kept(served: Endpoint) -> None:
    loads = counted(served)
    for number in (2, 3, 6, 2, 7, 2):  # asking for 2 again keeps it
        assert ask(served, number).status == 200
    assert loads == [2, 3, 6, 7]
    told = call(served, "GET", "/versions").json
    assert told["live"] == "1.0.1"
    assert [one["number"] for one in told["versions"]] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [one["version"] for one in told["versions"] if one["loaded"]] == ["7", "6", "1.0.2", "1.0.1"]
    assert [one["version"] for one in told["versions"] if one["released"]] == ["1.0.2", "1.0.1"]
    assert ask(served, 3).status == 200
    assert loads == [2, 3, 6, 7, 3]


def test_more_than_are_kept_at_once_are_put_off(served: Endpoint) -> None:
    counted(served, seconds=0.5)
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(ask(served, n))) for n in (2, 3, 6, 7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 503, 503]
    assert {answer.headers["retry-after"] for answer in answers if answer.status == 503} == {"1"}


def test_none_is_loaded_where_memory_is_short(served: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = counted(served)
    monkeypatch.setattr(cache, "SPARE_BYTES", 2**60)
    answer = ask(served, NEVER)
    assert (answer.status, answer.error["code"]) == (503, "not_loaded")
    assert "MiB of memory are free" in answer.error["message"]
    assert loads == []
    assert call(served, "POST", "/predict", BODY).status == 200
    monkeypatch.setattr(cache, "SPARE_BYTES", 0)
    monkeypatch.setattr(cache, "RETRY_SECONDS", 0)
    assert ask(served, NEVER).status == 200


def test_a_version_that_is_released_answers_under_its_release(
    served: Endpoint, tmp_path: Path, postgres: Settings
) -> None:
    assert ask(served, NEVER).json["version"] == "3"
    enter(postgres, served.replica.config.endpoint, [entry(tmp_path, NEVER, released=True)])
    until(lambda: ask(served, NEVER).json["version"] == "1.0.3")
    assert ask(served, "1.0.3").json["release_id"] > 0


def test_the_documentation_names_it(served: Endpoint) -> None:
    text = call(served, "GET", "/openapi.json").json
    (parameter,) = text["paths"]["/predict"]["post"]["parameters"]
    assert (parameter["name"], parameter["in"]) == ("version", "query")
    assert {"404", "409"} <= set(text["paths"]["/predict"]["post"]["responses"])
    assert "/versions" in text["paths"]
    assert b'<input name="version"' in call(served, "GET", "/docs").body
