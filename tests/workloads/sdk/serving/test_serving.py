"""An endpoint without Serve: requests and refusals, the plan and its swaps, and what a replica survives."""

import asyncio
import contextlib
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from homes import kill
from hypothesis import HealthCheck, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from patience import until
from pydantic import ValidationError
from serving_support import call, migrated, replica, version

from resources.database import connect
from resources.embedded.postgres import Postgres
from resources.serving import RolloutFailed, Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import REPOSITORY, Settings
from workloads.sdk.serving.http import request as reading
from workloads.sdk.serving.http import service
from workloads.sdk.serving.http.cors import shared_with
from workloads.sdk.serving.http.ids import uuid7
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.replica import Replica


@pytest.fixture(scope="module")
def serving(postgres: Settings) -> Serving:
    return migrated(postgres)


@pytest.fixture
def replicas(serving: Serving, tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    """Starts replicas of the endpoint `name`, which is the test's own."""
    started: list[Replica] = []

    def start(name: str, **config: object) -> Replica:
        started.append(replica(serving, tmp_path, uuid4().hex, name, **config))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def served(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint that serves the shift 5."""
    folder = tmp_path_factory.mktemp("served")
    serving.publish("served", version(folder, 5.0))
    one = replica(serving, folder, "served", "served")
    yield Endpoint(one)
    one.close()


MLFLOW = [  # of the model whose only field is `rows`, lists of numbers
    {"inputs": [[1, 2], [3, 4.5]]},
    {"instances": [[1, 2], [3, 4.5]], "params": {}},
    {"dataframe_records": [{"pair": [1, 2]}, {"pair": [3, 4.5]}]},
    {"dataframe_split": {"columns": ["pair"], "index": [0, 1], "data": [[[1, 2]], [[3, 4.5]]]}},
]


@pytest.mark.parametrize("body", MLFLOW)
def test_mlflow_s_clients_get_the_same_answer(served: Endpoint, body: dict) -> None:
    answer = call(served, "POST", "/invocations", body)
    assert answer.status == 200, answer.body
    assert (
        answer.json["predictions"] == call(served, "POST", "/predict", {"rows": [[1, 2], [3, 4.5]]}).json["predictions"]
    )
    assert call(served, "GET", "/ping").status == 200
    assert "/invocations" in served.openapi["paths"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"no JSON", 400, None),
        ({}, 422, None),
        ({"rows": [[1, 2]]}, 422, None),
        ({"inputs": [[1, 2]], "instances": [[1, 2]]}, 422, None),
        ({"inputs": [[1, 2]], "params": {"a": 1}}, 422, "params"),
        ({"inputs": [[1, 2]], "more": 1}, 422, "more"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, 422, "dataframe_split.data[0]"),
        ({"dataframe_split": [[1, 2]]}, 422, "dataframe_split"),
        ({"inputs": {"a": [1], "b": [1, 2]}}, 422, "inputs"),
        ({"inputs": [["x", 1]]}, 422, "rows[0][0]"),
    ],
)
def test_what_no_client_of_mlflow_sends_is_refused(served: Endpoint, body, status: int, field: str | None) -> None:
    answer = call(served, "POST", "/invocations", body)
    assert answer.status == status, answer.body
    assert answer.json["error"]["field"] == field


def test_prediction(served: Endpoint) -> None:
    answer = call(served, "POST", "/predict", {"rows": [[1, 2], [3, 4.5]]})
    assert answer.status == 200
    assert answer.json["predictions"] == [{"sum": 8.0, "shift": 5.0}, {"sum": 12.5, "shift": 5.0}]
    assert answer.json["version"] == answer.headers["x-model-version"] == "1.0.1"
    assert UUID(answer.json["prediction_id"]).version == 7
    assert answer.json["prediction_id"] == answer.headers["x-prediction-id"]
    assert answer.json["release_id"] == 1
    assert answer.json["model_uri"] == "models:/dev.shift/1"
    assert answer.json["processing_time_ms"] > 0


@pytest.mark.parametrize(
    ("body", "status", "code", "field", "reason"),
    [
        ({"rows": [[1, 2], [1]]}, 422, "invalid_input", "rows[1]", "1 numbers instead of 2"),
        (b'{"rows": [[1, NaN]]}', 422, "invalid_input", "rows[0][1]", "finite"),
        (b'{"rows": [[1, -Infinity]]}', 422, "invalid_input", "rows[0][1]", "finite"),
        (b'{"rows": [[1, 1e999]]}', 422, "invalid_input", "rows[0][1]", "finite"),
        ({"rows": [[1, "2"]]}, 422, "invalid_input", "rows[0][1]", "not a string"),
        ({"rows": [[1, True]]}, 422, "invalid_input", "rows[0][1]", "not a boolean"),
        ({"rows": [[1, None]]}, 422, "invalid_input", "rows[0][1]", "not null"),
        ({"rows": [[1, 1001]]}, 422, "invalid_input", "rows[0][1]", "from -1000 to 1000"),
        ({"rows": [[1, 10**400]]}, 422, "invalid_input", "rows", "finite|too large"),
        ({"rows": []}, 422, "invalid_input", "rows", "at least one row"),
        ({"rows": [[1, 2]] * 1001}, 422, "invalid_input", "rows", "at most 1000"),
        ({"rows": [[666, 2]]}, 422, "invalid_input", "rows", "not known to this model"),
        ({"rows": [[1, 2]], "extra": 1}, 422, "invalid_input", "extra", "is not a field"),
        ({}, 422, "invalid_input", "rows", "required"),
        ([1], 422, "invalid_input", None, "JSON object"),
        (b"", 400, "not_json", None, "not JSON"),
        (b"rows=1", 400, "not_json", None, "line 1, column 1"),
        (b'{"rows": NaN', 400, "not_json", None, "not JSON"),
        (b'{"rows": "\xff"}', 400, "not_json", None, "not JSON"),
        (b"[" * 100_000, 400, "not_json", None, "not JSON"),
    ],
)
def test_bad_input_is_refused_with_field_and_reason(served, body, status, code, field, reason) -> None:
    answer = call(served, "POST", "/predict", body)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert (answer.error["field"] or "").startswith(field or "")
    assert (answer.error["field"] is None) == (field is None)
    assert any(part in answer.error["message"] for part in reason.split("|"))


def test_wrong_content_and_size(served: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"rows": [[1, 2]]}
    assert call(served, "POST", "/predict", body, {"content-type": "text/csv"}).status == 415
    assert call(served, "POST", "/predict", body, {"content-encoding": "gzip"}).status == 415
    assert call(served, "POST", "/predict", body, {"content-type": "application/json; charset=utf-8"}).status == 200
    monkeypatch.setattr(reading, "MAX_BODY", 10)
    assert call(served, "POST", "/predict", body).status == 413
    assert call(served, "POST", "/predict", body, {"content-length": ""}).status == 413  # found while reading


def test_bodies_are_bounded_in_sum(served: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"rows": [[1, 2]]}'
    monkeypatch.setattr(service, "MAX_HELD", 2 * len(body) - 1)
    scope = {"type": "http", "method": "POST", "path": "/shift/predict", "root_path": "/shift", "headers": []}

    async def ask(sent: asyncio.Event, go: asyncio.Event) -> tuple[int, dict[bytes, bytes]]:
        messages, parts = [], [body, b""]

        async def receive() -> dict:
            if len(parts) == 1:
                sent.set()
                await go.wait()
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: dict) -> None:
            messages.append(message)

        await served(scope, receive, send)
        return messages[0]["status"], dict(messages[0]["headers"])

    async def ask_all() -> None:
        sent, go, at_once = asyncio.Event(), asyncio.Event(), asyncio.Event()
        at_once.set()
        first = asyncio.ensure_future(ask(sent, go))
        await sent.wait()
        status, headers = await ask(asyncio.Event(), at_once)
        assert (status, headers[b"retry-after"]) == (503, b"1")
        go.set()
        assert (await first)[0] == 200
        assert (await ask(asyncio.Event(), at_once))[0] == 200

    asyncio.run(ask_all())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["rows", "a", ""]) | st.text(), inner),
    max_leaves=20,
)
ROWS = st.lists(st.lists(st.integers() | st.floats() | st.booleans() | st.none() | st.text(), max_size=3), max_size=4)


@property_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | ROWS.map(lambda rows: {"rows": rows}) | st.binary())
def test_no_body_gives_a_server_error(served: Endpoint, body: object) -> None:
    answer = call(served, "POST", "/predict", body)
    assert answer.status in (200, 400, 422)
    assert answer.status == 200 or answer.error["message"]


def test_routes(served: Endpoint) -> None:
    assert call(served, "GET", "/health").json["status"] == "healthy"
    info = call(served, "GET", "/info").json
    assert {info["run_id"], info["data_version"], info["release_id"]} == {"run-1", "1.0.0", 1}
    assert info["request_schema"]["properties"]["rows"]["items"]["maxItems"] == 2
    assert "artifacts_uri" not in info
    example = call(served, "GET", "/example")
    assert call(served, "POST", "/predict", example.json).status == 200
    assert call(served, "GET", "").json["links"]["docs"] == "/shift/docs"
    assert call(served, "GET", "/nothing").status == 404
    assert call(served, "GET", "/nothing").error["code"] == "not_found"
    wrong = call(served, "GET", "/predict")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert call(served, "POST", "/health").status == 405
    assert call(served, "POST", "/health").headers["allow"] == "GET, HEAD"


def test_head_is_answered_where_get_is(served: Endpoint) -> None:
    for path in ("", "/health", "/ping", "/versions", "/info", "/example", "/docs", "/openapi.json", "/nothing"):
        whole, head = call(served, "GET", path), call(served, "HEAD", path)
        assert (head.status, head.body) == (whole.status, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        assert int(head.headers["content-length"]) > 0
    assert call(served, "HEAD", "/predict").status == 405


def test_pages_of_other_sites_ask_only_where_a_setting_says_so(served: Endpoint) -> None:
    body, origin = {"rows": [[1, 2]]}, {"origin": "https://app.example.org"}
    asking = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}

    def allowed(endpoint: Any) -> list[str | None]:
        answers = (call(endpoint, "POST", "/predict", body, origin), call(endpoint, "OPTIONS", "/predict", b"", asking))
        return [answer.headers.get("access-control-allow-origin") for answer in answers]

    assert allowed(served) == [None, None]
    assert call(served, "OPTIONS", "/predict", b"", asking).status == 405
    assert allowed(shared_with(["https://app.example.org"], served)) == ["https://app.example.org"] * 2
    assert allowed(shared_with(["https://other.example.org"], served)) == [None, None]
    assert allowed(shared_with(["*"], served)) == ["*", "*"]
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins="https://app.example.org/page")


def test_docs_need_no_network_and_openapi_says_what_is_validated(served: Endpoint) -> None:
    text = call(served, "GET", "/openapi.json").json
    rows = text["components"]["schemas"]["Request"]["properties"]["rows"]
    assert (rows["maxItems"], rows["items"]["items"]["maximum"]) == (1000, 1000)
    assert text["servers"] == [{"url": "/shift"}]
    page = call(served, "GET", "/docs").body.decode()
    assert not any(sign in page for sign in ("http:", "https:", "src=", "@import", "$title", "$server"))
    assert "{&quot;rows&quot;: [[1, 2]]}" in page


def test_ids_sort_by_time() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert len(set(ids)) == 1000
    milliseconds = [one.int >> 80 for one in ids]
    assert milliseconds == sorted(milliseconds)
    assert abs(milliseconds[-1] / 1000 - time.time()) < 60
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}


# --- the plan ---


def test_every_replica_follows_the_plan(serving: Serving, replicas, tmp_path: Path) -> None:
    both = [replicas("follow"), replicas("follow")]
    assert [one.health for one in both] == ["not_ready"] * 2
    assert call(Endpoint(both[0]), "GET", "/health").status == 503
    refused = call(Endpoint(both[0]), "POST", "/predict", {"rows": [[1, 2]]})
    assert (refused.status, refused.error["code"]) == (503, "not_ready")
    one = version(tmp_path, 1.0)
    first = serving.publish("follow", one)
    assert serving.publish("follow", one) == first
    assert [ack.error for ack in serving.wait("follow", first)] == [None, None]
    second = serving.publish("follow", version(tmp_path, 2.0, release_id=2))
    assert second > first
    serving.wait("follow", second)
    for each in both:
        assert call(Endpoint(each), "POST", "/predict", {"rows": [[0, 0]]}).json["predictions"][0]["shift"] == 2.0
    until(lambda: {live.release_id for live in serving.live("follow").values()} == {2})
    assert len(serving.live("follow")) == 2


def test_no_replica_is_an_error(serving: Serving, tmp_path: Path) -> None:
    number = serving.publish("nobody", version(tmp_path, 1.0))
    with pytest.raises(RolloutFailed, match="no replica lives"):
        serving.wait("nobody", number, timeout=0.2)


def spoil_file(folder: Path) -> None:
    (folder / "shift.txt").write_text("9")


def remove_file(folder: Path) -> None:
    (folder / "shift.txt").unlink()


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(spoil_file, "was changed"), (remove_file, "lacks the file"), (remove_manifest, "manifest.json")],
)
def test_a_version_that_does_not_load_leaves_the_old_one(serving, replicas, tmp_path, spoil, reason, request) -> None:
    name = request.node.name
    one = replicas(name)
    serving.wait(name, serving.publish(name, version(tmp_path, 1.0)))
    bad = version(tmp_path, 2.0, release_id=2)
    spoil(tmp_path / "2.0")
    number = serving.publish(name, bad)
    with pytest.raises(RolloutFailed, match=reason):
        serving.wait(name, number)
    assert one.health == "healthy"
    assert call(Endpoint(one), "POST", "/predict", {"rows": [[0, 0]]}).json["version"] == "1.0.1"
    # The plan that failed is withdrawn: a replica that starts now serves the one before.
    assert replicas(name, state=str(tmp_path / "other")).current.version.version == "1.0.1"
    until(lambda: one.error is None)


def test_golden_rows_must_be_answered_as_they_were(serving, replicas, tmp_path: Path) -> None:
    replicas("golden")
    entry = version(tmp_path, 3.0)
    golden = tmp_path / "3.0" / "golden.json"
    golden.write_text(golden.read_text().replace("6.0", "6.001"))
    from shift.predict import Predictor

    from workloads.sdk.artifacts import Manifest

    entry = replace(entry, digest=Manifest.write(tmp_path / "3.0", "shift", Predictor).digest)
    with pytest.raises(RolloutFailed, match="golden row 0"):
        serving.wait("golden", serving.publish("golden", entry))


def test_a_replica_that_starts_serves_what_loads(serving, replicas, tmp_path: Path) -> None:
    """The publisher died before it could withdraw its plan: better the version before than none."""
    serving.publish("start", version(tmp_path, 1.0))
    bad = serving.publish("start", version(tmp_path, 2.0, release_id=2))
    remove_file(tmp_path / "2.0")
    one = replicas("start")
    assert one.current.version.version == "1.0.1"
    assert "lacks the file" in one.error
    with connect(serving.settings) as connection:
        assert [ack.error is None for ack in serving.plans.acks(connection, bad)] == [False]


def test_without_postgres_the_last_plan_stays(own_postgres: Postgres, tmp_path: Path) -> None:
    serving, log = Serving(own_postgres.settings), PredictionLog(own_postgres.settings)
    serving.migrate()
    log.migrate()
    one = replica(serving, tmp_path, "one", "away")
    serving.wait("away", serving.publish("away", version(tmp_path, 1.0)))
    kill(*own_postgres.processes())
    identity = call(Endpoint(one), "POST", "/predict", {"rows": [[1, 0]]}).json["prediction_id"]
    restarted = replica(serving, tmp_path, "restarted", "away")
    assert restarted.current.version.version == "1.0.1"
    own_postgres.start()
    serving.wait("away", serving.publish("away", version(tmp_path, 2.0, release_id=2)))
    for each in (one, restarted):
        until(lambda each=each: each.current.version.version == "1.0.2")  # it may still be reconnecting
    until(lambda: log.find(identity))
    assert one.log.lost == 0
    for each in (one, restarted):
        each.close()


def test_artifacts_come_from_any_file_system(serving, replicas, tmp_path: Path) -> None:
    import fsspec

    entry = version(tmp_path, 4.0)
    memory = fsspec.filesystem("memory")
    memory.put(f"{tmp_path}/4.0/", "/models/4/", recursive=True)
    one = replicas("remote")
    serving.wait("remote", serving.publish("remote", replace(entry, artifacts_uri="memory://models/4")))
    assert one.current.predictor.shift == 4.0
    assert (tmp_path / "state" / "artifacts" / entry.digest / "manifest.json").is_file()


def test_connection_file_is_the_owners_only(serving: Serving) -> None:
    serving._write_connection()
    assert serving._connection_file.stat().st_mode & 0o777 == 0o600
    arguments = serving._application("shift", "shift", "predict:Predictor", "", {}, 1)
    assert serving.settings.postgres_password not in str(arguments)
    with contextlib.suppress(KeyError):
        assert arguments["args"]["paths"] == [str(REPOSITORY / "tests" / "support")]
