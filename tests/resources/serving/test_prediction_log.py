"""The prediction log: what is kept, what is lost, and that it is in nobody's way."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from serving_support import call, replica, version

from resources.database import connect
from resources.serving import Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.http.ids import uuid7
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.log import writer as log_module
from workloads.sdk.serving.log.writer import LogWriter, Record


@pytest.fixture(scope="module")
def log(postgres: Settings) -> PredictionLog:
    log = PredictionLog(postgres)
    log.migrate()
    Serving(postgres).migrate()
    return log


@pytest.fixture
def writer(log: PredictionLog) -> Iterator[LogWriter]:
    writer = LogWriter(lambda: connect(log.settings), log.schema, f"log-{uuid4().hex}")
    yield writer
    writer.close()


def record(release_id: int | None = 1, at: datetime | None = None, outputs: bytes = b'[{"a": 1}]') -> Record:
    at = at or datetime.now(UTC)
    return Record(uuid7(), release_id, "1.0.0", 7, at, 1, 0.5, b'{"rows": [[1, 2]]}', outputs)


def written(writer: LogWriter) -> None:
    deadline = time.monotonic() + 20
    while writer.counts()["queued"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_prediction_is_found_again(log: PredictionLog, writer: LogWriter) -> None:
    records = [record() for _ in range(5000)]
    for one in records:
        writer.put(one)
    writer.close()
    assert writer.counts() == {"queued": 0, "written": 5000, "lost": 0}
    found = log.find(str(records[17].prediction_id))
    assert (found.release_id, found.version, found.plan, found.rows) == (1, "1.0.0", 7, 1)
    assert found.inputs == {"rows": [[1, 2]]}
    assert found.outputs == [{"a": 1}]
    assert found.at == records[17].at
    assert log.find(uuid4()) is None
    assert log.find("no id") is None
    assert len(log.recent(found.endpoint, 3)) == 3


def test_usage_of_releases(log: PredictionLog, writer: LogWriter) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for hour in range(3):
        writer.put(record(release_id=9_000_001 + hour % 2, at=start + timedelta(hours=hour)))
    written(writer)
    usage = log.usage([9_000_001, 9_000_002], [])
    assert (usage.count, usage.first, usage.last) == (3, start, start + timedelta(hours=2))
    assert log.usage([9_000_001], []).count == 2
    assert log.usage([], []).count == 0


def test_usage_of_versions_that_were_never_released(log: PredictionLog, writer: LogWriter) -> None:
    for release, number in ((None, 9_000_001), (None, 9_000_002), (9_000_003, 9_000_001)):
        writer.put(replace(record(release_id=release), number=number))
    written(writer)
    endpoint = log.recent(writer._endpoint, 1)[0].endpoint
    assert log.usage([], [(endpoint, 9_000_001)]).count == 1
    assert log.usage([], [(endpoint, 9_000_001), (endpoint, 9_000_002)]).count == 2
    assert log.usage([9_000_003], [(endpoint, 9_000_001)]).count == 2
    assert log.usage([], [("another", 9_000_001)]).count == 0


def test_bounds_hold_and_losses_are_counted(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> psycopg.Connection:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(log_module, "MAX_RECORDS", 100)
    writer = LogWriter(away, log.schema, "bounds")
    for _ in range(250):
        writer.put(record())
    counts = writer.counts()
    assert counts["queued"] + counts["lost"] == 250
    assert counts["lost"] >= 50
    monkeypatch.setattr(log_module, "MAX_RECORDS", 1000)
    monkeypatch.setattr(log_module, "MAX_BYTES", 100)
    writer.put(record(outputs=b"[" + b" " * 200 + b"]"))
    assert writer.lost == counts["lost"] + 1
    writer.close(timeout=3)


def test_a_broken_connection_loses_and_doubles_nothing(log: PredictionLog, writer: LogWriter) -> None:
    total = 0
    for _ in range(5):
        for _ in range(300):
            writer.put(record(release_id=9_000_010))
        total += 300
        time.sleep(0.15)
        with connect(log.settings, autocommit=True) as connection:
            text = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE pid <> pg_backend_pid() AND query ILIKE %s"""
            connection.execute(text, [f"%{log.schema}%predictions%"])
    written(writer)
    assert writer.lost == 0
    assert log.usage([9_000_010], []).count == total


def test_one_record_that_cannot_be_stored_is_lost_alone(log: PredictionLog, writer: LogWriter) -> None:
    good = [record(), record(outputs=b'["\\u0000"]'), record()]
    bad = record(outputs=b"this is not JSON")
    for one in [*good[:2], bad, good[0], good[2]]:  # one of them twice, as after a lost acknowledgement
        writer.put(one)
    written(writer)
    assert [log.find(one.prediction_id) is not None for one in [*good, bad]] == [True, True, True, False]
    assert writer.lost == 1


@pytest.mark.parametrize(("kept", "share"), [("all", (20, 20)), ("none", (0, 0)), ("sample", (1, 19))])
def test_what_is_kept_of_inputs_is_a_setting(log, tmp_path: Path, kept: str, share: tuple[int, int]) -> None:
    serving, name = Serving(log.settings), f"kept-{kept}"
    serving.publish(name, [version(tmp_path, 1.0)])
    one = replica(serving, tmp_path, name, name, log_inputs=kept, log_sample=0.5)
    endpoint = Endpoint(one)
    ids = [call(endpoint, "POST", "/predict", {"rows": [[n, 2]]}).json["prediction_id"] for n in range(20)]
    one.close()
    found = [log.find(identity) for identity in ids]
    assert share[0] <= sum(row.inputs is not None for row in found) <= share[1]
    assert [row.outputs[0]["sum"] for row in found] == [n + 3.0 for n in range(20)]
    assert all(row.inputs in (None, {"rows": [[n, 2]]}) for n, row in enumerate(found))


def test_retention(log: PredictionLog, writer: LogWriter) -> None:
    old, new = record(at=datetime.now(UTC) - timedelta(days=31)), record(at=datetime.now(UTC) - timedelta(days=29))
    writer.put(old)
    writer.put(new)
    written(writer)
    assert log.prune() >= 1
    assert log.find(old.prediction_id) is None
    assert isinstance(log.find(new.prediction_id).prediction_id, UUID)
