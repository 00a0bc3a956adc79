"""What clients send that no client should: half characters, numbers beyond numbers, bodies that never end."""

import json
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from rag_support import running
from serving_support import call, migrated, replica, version
from square.predict import Predictor as Squares

from resources.settings import Settings
from workloads.sdk.artifacts import Manifest, write_golden
from workloads.sdk.serving.http import request as reading
from workloads.sdk.serving.http.guard import middlewares
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.versions.plan import Version


@pytest.fixture(scope="module")
def served(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint that serves the shift 5."""
    serving, folder = migrated(postgres), tmp_path_factory.mktemp("odd")
    serving.publish("odd", version(folder, 5.0))
    one = replica(serving, folder, "odd", "odd")
    yield Endpoint(one)
    one.close()


# --- bodies ---


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize(
    "body",
    [
        rb'{"\ud800":NaN}',
        rb'{"\ud800":1}',
        rb'{"rows": [[1, "\ud800"]], "inputs": [[1, "\udfff"]]}',
        rb'{"inputs": [["\ud800", NaN]]}',
        b'{"inputs": [[1, NaN]]}',
        b'{"inputs": [[1, 1e999]]}',
        b'{"inputs": [[NaN, 1e999]]}',
        b'{"inputs": [[NaN, 1' + b"0" * 400 + b"]]}",
        b'{"inputs": [[NaN, 1' + b"0" * 5000 + b"]]}",
        b'{"inputs": [[1, 1' + b"0" * 400 + b"]]}",
        b'\xed\xa0\x80{"inputs": 1}',
        b'{"inputs": ' + b"[" * 50_000 + b"NaN" + b"]" * 50_000 + b"}",
    ],
)
def test_what_json_cannot_mean_is_refused_with_a_reason(served: Endpoint, path: str, body: bytes) -> None:
    answer = call(served, "POST", path, body)
    assert answer.status in (400, 422), answer.body
    assert answer.error["message"]


TOKENS = st.sampled_from(
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "1" + "0" * 400, "0.1", "-0", "1", "null", "true", '""',
     r'"\ud800"', r'"\udfff\u0000"', '"666"', "[]", "{}"]
)  # fmt: skip
NAMES = st.sampled_from(["rows", "inputs", "instances", "dataframe_split", "dataframe_records", "columns", "data",
                         "params", "a", r"\ud83d", r"\u0000"])  # fmt: skip
TEXTS = st.recursive(
    TOKENS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(NAMES, inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
        )
    ),
    max_leaves=12,
)


@property_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=TEXTS, path=st.sampled_from(["/predict", "/invocations"]))
def test_no_text_gives_a_server_error(served: Endpoint, body: str, path: str) -> None:
    answer = call(served, "POST", path, body.encode())
    assert answer.status in (200, 400, 422), answer.body
    assert answer.status == 200 or answer.error["message"]


# --- numbers beyond numbers ---


def test_an_answer_that_is_not_finite_is_refused_with_the_columns_to_blame(postgres: Settings, tmp_path: Path) -> None:
    """By the server, whatever the model: outputs that are not finite, and answers made of finite ones."""
    serving, artifacts = migrated(postgres), tmp_path / "artifacts"
    artifacts.mkdir()
    write_golden(artifacts, Squares(), [{"rows": [[1, 2]]}])
    digest = Manifest.write(artifacts, "square", Squares).digest
    serving.publish("square", Version(1, "1.0.1", artifacts.as_uri(), digest))
    one = replica(serving, tmp_path, "square", "square", package="square")
    endpoint = Endpoint(one)

    def told(*rows: list[float]) -> tuple[int, str | None, str]:
        answer = call(endpoint, "POST", "/predict", {"rows": rows})
        error = answer.json.get("error") or {"field": None, "message": str(answer.json["predictions"])}
        return answer.status, error["field"], error["message"]

    assert told([1, 2])[::2] == (200, "[{'sum': 5.0, 'note': None}]")
    for fill in (1e20, 9.97e36, -3.4e38):
        status, field, message = told([1, 2], [3, fill])
        assert (status, field) == (422, "rows[1][1]")
        assert f"{fill:g} in column width" in message
        assert "length" not in message
    status, field, message = told([1e20, -1e30])
    assert (status, field) == (422, "rows[0][1]")
    assert "-1e+30 in column width, 1e+20 in column length" in message
    status, field, _ = told([1.8e19, 1.8e19])  # both squares are finite, their sum is not
    assert (status, field) == (422, "rows[0][0]")
    one.close()


# --- headers ---


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own code
def test_a_header_that_ray_could_not_read_is_refused_before_it(served: Endpoint) -> None:
    from ray.serve._private.http_util import _apply_middlewares

    guarded = _apply_middlewares(served, middlewares())  # as Ray's proxy and its replicas do
    for name in ("x-request-id", "X-Request-Timeout-Seconds", "serve_multiplexed_model_id", "x-session-id"):
        answer = call(guarded, "GET", "/health", headers={name: "\N{LATIN SMALL LETTER E WITH ACUTE}"})
        assert (answer.status, answer.error["code"], answer.error["field"]) == (400, "invalid_header", name)
        assert call(guarded, "GET", "/health", headers={name: "1"}).status == 200
    assert call(guarded, "GET", "/health", headers={"user-agent": "\N{SNOWMAN}"}).status == 200


# --- bodies that take their time ---


def begun(address: str, sent: bytes) -> socket.socket:
    """A connection with a request whose body does not end."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    connection.sendall(head.encode() + sent)
    return connection


def test_a_body_that_does_not_arrive_is_given_up_and_all_others_are_answered(
    postgres: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 5)
    serving = migrated(postgres)
    serving.publish("slow", version(tmp_path, 5.0))
    endpoint = Endpoint(replica(serving, tmp_path, "slow", "slow"))
    with running(endpoint) as address, ThreadPoolExecutor(32) as pool:
        answers = [pool.submit(dripped, connection) for connection in [begun(address, b"{") for _ in range(260)]]
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            assert client.get("/health").status_code == 200
            assert client.post("/predict", json={"rows": [[1, 2]]}).status_code == 200
        assert not any(answer.done() for answer in answers), "nobody waits for them"
        for answer in answers:
            head, _, body = answer.result().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in head
            assert json.loads(body)["error"]["code"] == "request_timeout"


def dripped(connection: socket.socket) -> bytes:
    """What is answered to a body that is sent a byte at a time: head and body, which may come in packets of their own.

    A byte that is sent after the server has hung up is answered by a reset, which takes nothing from what had arrived.
    """
    answer = b""
    with connection, suppress(ConnectionError):
        while not select.select([connection], [], [], 0.2)[0]:
            connection.sendall(b" ")
        while more := connection.recv(2**16):
            answer += more
    return answer
