"""An endpoint on Ray Serve, behind its HTTP proxy: switches under load, failures, and a crash."""

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from patience import until
from serving_support import version

from resources.database import connect
from resources.serving import NotServed, RolloutFailed, Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.log import table

pytestmark = pytest.mark.platform


@dataclass(frozen=True)
class Seen:
    status: int
    header: str | None
    identity: str | None
    body: dict


class Client:
    """One connection to an endpoint, kept open."""

    def __init__(self, serving: Serving, endpoint: str):
        place = urlsplit(serving.address(endpoint))
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        self.path = place.path

    def attempt(self) -> Seen:
        """As `predict`; status 0 where the connection was closed without an answer."""
        try:
            return self.predict()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return Seen(0, None, None, {})

    def predict(self, *row: float) -> Seen:
        body = json.dumps({"rows": [row or (1, 2)]})
        self.connection.request("POST", self.path + "/predict", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        content = response.read()
        headers = response.headers
        answer = json.loads(content) if headers.get_content_type() == "application/json" else {"text": content}
        return Seen(response.status, headers["X-Model-Version"], headers["X-Prediction-Id"], answer)


@pytest.fixture(scope="module")
def serving(platform: Settings) -> Iterator[Serving]:
    serving = Serving(platform)
    serving.migrate()
    PredictionLog(platform).migrate()
    serving.deploy("shift", "shift")
    yield serving
    serving.remove("shift")
    assert serving.status().get("shift", "DELETING") == "DELETING"


def test_no_request_fails_while_versions_switch(serving: Serving, tmp_path: Path) -> None:
    shifts = [1.0, 2.0, 3.0, 4.0]
    entries = [version(tmp_path, shift, release_id=int(shift)) for shift in shifts]
    serving.wait("shift", serving.publish("shift", entries[0]))
    seen: list[list[Seen]] = [[] for _ in range(4)]
    stop = threading.Event()

    def load(mine: list[Seen]) -> None:
        client = Client(serving, "shift")
        while not stop.is_set():
            mine.append(client.predict())

    threads = [threading.Thread(target=load, args=[mine]) for mine in seen]
    for thread in threads:
        thread.start()
    for entry in entries[1:]:
        before = sum(map(len, seen))
        until(lambda before=before: sum(map(len, seen)) > before + 100)
        serving.wait("shift", serving.publish("shift", entry))
    before = sum(map(len, seen))
    until(lambda: sum(map(len, seen)) > before + 100)
    stop.set()
    for thread in threads:
        thread.join()
    answers = [one for mine in seen for one in mine]
    assert {one.status for one in answers} == {200}
    assert {one.body["version"] for one in answers} == {entry.version for entry in entries}
    for one in answers:
        assert one.header == one.body["version"] == f"1.0.{one.body['release_id']}"
        assert one.identity == one.body["prediction_id"]
        assert one.body["predictions"] == [{"sum": 3.0 + one.body["release_id"], "shift": one.body["release_id"]}]
    for mine in seen:  # nobody is sent back to an older version
        releases = [one.body["release_id"] for one in mine]
        assert releases == sorted(releases)
    logged = in_the_log(serving, answers)
    for one in answers:
        assert logged[one.identity] == (one.header, one.body["release_id"], one.body["predictions"])


def in_the_log(serving: Serving, answers: list[Seen]) -> dict[str | None, tuple]:
    """Version, release and outputs of each answer by its identity, as soon as the log has them all."""
    text = "SELECT prediction_id::text, version, release_id, outputs FROM {predictions} WHERE endpoint = 'shift'"
    log, logged = PredictionLog(serving.settings), {}
    with connect(serving.settings) as connection:

        def complete() -> bool:
            logged.update({row[0]: row[1:] for row in connection.execute(table.statement(log.schema, text))})
            return {one.identity for one in answers} <= set(logged)

        until(complete)
    return logged


def test_a_version_that_does_not_load_fails_its_rollout_only(serving: Serving, tmp_path: Path) -> None:
    serving.wait("shift", serving.publish("shift", version(tmp_path, 5.0, release_id=5)))
    bad = version(tmp_path, 6.0, release_id=6)
    (tmp_path / "6.0" / "shift.txt").write_text("7")
    number = serving.publish("shift", bad)
    with pytest.raises(RolloutFailed, match="was changed"):
        serving.wait("shift", number)
    assert Client(serving, "shift").predict().body["version"] == "1.0.5"
    assert {one.release_id for one in serving.live("shift").values()} == {5}


def test_a_killed_replica_comes_back_with_the_current_plan(serving: Serving, tmp_path: Path) -> None:
    serving.wait("shift", serving.publish("shift", version(tmp_path, 8.0, release_id=8)))
    (before,) = serving.live("shift").values()
    os.kill(before.pid, 9)

    def back() -> bool:
        try:
            answer = Client(serving, "shift").predict()
        except (OSError, http.client.HTTPException):
            return False
        return answer.status == 200 and answer.body["version"] == "1.0.8"

    until(back)
    until(lambda: before.replica not in serving.live("shift"))
    assert [one.release_id for one in serving.live("shift").values()] == [8]


def test_of_two_replicas_one_is_killed_and_only_what_it_had_in_hand_fails(serving: Serving, tmp_path: Path) -> None:
    serving.wait("shift", serving.publish("shift", version(tmp_path, 8.0, release_id=8)))
    (single,) = serving.live("shift")
    serving.deploy("shift", "shift", replicas=2)  # which replaces the one that there is
    first, _ = until(lambda: len(live := serving.live("shift")) == 2 and single not in live and list(live))
    seen: list[list[Seen]] = [[] for _ in range(4)]
    stop = threading.Event()

    def load(mine: list[Seen]) -> None:
        client = Client(serving, "shift")
        while not stop.is_set():
            mine.append(client.attempt())

    threads = [threading.Thread(target=load, args=[mine]) for mine in seen]
    for thread in threads:
        thread.start()
    until(lambda: all(len(mine) > 50 for mine in seen))
    killed = serving.live("shift")[first]
    os.kill(killed.pid, 9)
    until(lambda: len(serving.live("shift").keys() - {first}) == 2)
    stop.set()
    for thread in threads:
        thread.join()
    for mine in seen:  # each waits for its answer, so at most one of each was in its hands
        assert len([one for one in mine if one.status != 200]) <= 1
    in_the_log(serving, [one for mine in seen for one in mine if one.status == 200])  # what it had answered, too
    serving.deploy("shift", "shift")
    until(lambda: len(serving.live("shift")) == 1)


def test_without_a_replica_the_caller_is_told_to_try_again(serving: Serving) -> None:
    (before,) = serving.live("shift").values()
    os.kill(before.pid, 9)
    answers = []

    def refused() -> Seen | None:
        answers.append(Client(serving, "shift").attempt())
        return answers[-1] if answers[-1].status == 503 else None

    assert until(refused).body["error"]["code"] == "no_replica"
    until(lambda: Client(serving, "shift").attempt().status == 200)
    assert 404 not in {one.status for one in answers}


def raw(serving: Serving, body: bytes, *headers: bytes, length: int | None = None) -> socket.socket:
    """A connection on which a prediction is asked for, with these bytes."""
    place = urlsplit(serving.address("shift"))
    client = socket.create_connection((place.hostname, place.port), 120)
    head = [b"POST %s/predict HTTP/1.1" % place.path.encode(), b"Host: a", b"Connection: close", *headers]
    head += [b"Content-Type: application/json", b"Content-Length: %d" % (length or len(body))]
    client.sendall(b"\r\n".join([*head, b"", body]))
    return client


def told(client: socket.socket) -> tuple[int, dict]:
    """Status and body of what is answered."""
    with client:
        response = http.client.HTTPResponse(client)
        response.begin()
        return response.status, json.loads(response.read())


def test_odd_clients_are_answered(serving: Serving) -> None:
    body = b'{"rows": [[1, 2]]}'
    for name in (b"X-Request-Id", b"serve_multiplexed_model_id", b"X-Request-Timeout-Seconds"):
        status, answer = told(raw(serving, body, name + b": \xff"))
        assert (status, answer["error"]["code"]) == (400, "invalid_header")
        assert answer["error"]["field"] == name.decode().lower()
    assert told(raw(serving, body, b"X-Request-Id: mine", b"User-Agent: \xff"))[0] == 200
    status, answer = told(raw(serving, b'{"\\ud800": NaN}'))
    assert (status, answer["error"]["field"]) == (422, "\\ud800")
    client = raw(serving, body)
    client.shutdown(socket.SHUT_WR)
    assert told(client)[0] == 200, "all was sent, the answer is waited for"


def test_bodies_that_do_not_end_keep_nobody_from_being_answered(serving: Serving) -> None:
    short = [raw(serving, b"{", length=1000) for _ in range(150)]
    long = [raw(serving, b" " * 40_000, length=50_000) for _ in range(300)]  # more than HAProxy waits for
    health = httpx.get(f"{serving.address('shift')}/health", trust_env=False, timeout=10)
    assert health.status_code == 200
    assert Client(serving, "shift").predict().status == 200
    for client in (*short, *long):
        status, answer = told(client)
        assert (status, answer["error"]["code"]) == (408, "request_timeout")


def test_deploying_again_changes_nothing(serving: Serving) -> None:
    before = set(serving.live("shift"))
    serving.deploy("shift", "shift")
    assert set(serving.live("shift")) == before
    assert serving.status()["shift"] == "RUNNING"


def test_an_application_that_cannot_start_says_why(serving: Serving) -> None:
    with pytest.raises(NotServed, match="Missing"):
        serving.deploy("shift", "broken", serves="predict:Missing", timeout=60)
    serving.remove("broken")
    assert Client(serving, "shift").predict().status == 200
