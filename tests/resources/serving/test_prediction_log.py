"""The prediction log: what is kept, what is lost, and that it is in nobody's way."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from patience import until
from serving_support import call, recent, replica, version

from resources.database import connect
from resources.serving import Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.http.ids import uuid7
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.log import table
from workloads.sdk.serving.log import writer as log_module
from workloads.sdk.serving.log.journal import Journal
from workloads.sdk.serving.log.record import Record
from workloads.sdk.serving.log.writer import LogWriter


@pytest.fixture(scope="module")
def log(postgres: Settings) -> PredictionLog:
    log = PredictionLog(postgres)
    log.migrate()
    Serving(postgres).migrate()
    return log


@pytest.fixture
def writer(log: PredictionLog) -> Iterator[LogWriter]:
    writer = LogWriter(lambda: connect(log.settings), log.schema, f"log-{uuid4().hex}", None)
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
    assert len(recent(log, found.endpoint, 3)) == 3


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
    endpoint = recent(log, writer._endpoint, 1)[0].endpoint
    assert log.usage([], [(endpoint, 9_000_001)]).count == 1
    assert log.usage([], [(endpoint, 9_000_001), (endpoint, 9_000_002)]).count == 2
    assert log.usage([9_000_003], [(endpoint, 9_000_001)]).count == 2
    assert log.usage([], [("another", 9_000_001)]).count == 0


def test_bounds_hold_and_losses_are_counted(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> psycopg.Connection:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(log_module, "MAX_RECORDS", 100)
    writer = LogWriter(away, log.schema, "bounds", None)
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
    serving.publish(name, version(tmp_path, 1.0))
    one = replica(serving, tmp_path, name, name, log_inputs=kept, log_sample=0.5)
    endpoint = Endpoint(one)
    ids = [call(endpoint, "POST", "/predict", {"rows": [[n, 2]]}).json["prediction_id"] for n in range(20)]
    one.close()
    found = [log.find(identity) for identity in ids]
    assert share[0] <= sum(row.inputs is not None for row in found) <= share[1]
    assert [row.outputs[0]["sum"] for row in found] == [n + 3.0 for n in range(20)]
    assert all(row.inputs in (None, {"rows": [[n, 2]]}) for n, row in enumerate(found))


def identity(at: datetime) -> UUID:
    """An identity as it would have been made then."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (uuid7().int & (2**80 - 1)))


def ago(days: int) -> Record:
    at = datetime.now(UTC) - timedelta(days=days)
    return replace(record(at=at), prediction_id=identity(at))


def where(log: PredictionLog, one: Record) -> str | None:
    """The partition that holds a record."""
    text = table.statement(log.schema, "SELECT tableoid::regclass::text FROM {predictions} WHERE prediction_id = %s")
    with connect(log.settings) as connection:
        row = connection.execute(text, [one.prediction_id]).fetchone()
    return row[0].rpartition(".")[2].strip('"') if row else None


def test_retention_drops_whole_days(log: PredictionLog, writer: LogWriter) -> None:
    old, new, today = ago(31), ago(29), ago(0)
    with connect(log.settings, autocommit=True) as connection:
        table.add_days(connection, log.schema, {one.at.date() for one in (old, new)})
    for one in (old, new, today):
        writer.put(one)
    written(writer)
    names = {one.at: f"predictions_{one.at:%Y%m%d}" for one in (old, new, today)}
    assert [where(log, one) for one in (old, new, today)] == list(names.values())
    assert log.prune() >= 1
    assert log.find(old.prediction_id) is None
    assert log.find(new.prediction_id).prediction_id == new.prediction_id
    with connect(log.settings) as connection:
        days = table.partitions(connection, log.schema)
    assert old.at.date() not in days
    assert {new.at.date(), today.at.date()} < set(days)
    assert log.prune() == 0


def test_a_row_of_an_unknown_day_is_kept_beside_until_its_day_comes(log: PredictionLog, writer: LogWriter) -> None:
    early, old = ago(-9), ago(40)
    for one in (early, old):
        writer.put(one)
    written(writer)
    assert [where(log, one) for one in (early, old)] == ["predictions_default"] * 2
    with connect(log.settings, autocommit=True) as connection:
        table.add_days(connection, log.schema, [early.at.date()])
    assert where(log, early) == f"predictions_{early.at:%Y%m%d}"
    assert log.find(early.prediction_id).at == early.at
    assert log.prune() == 1
    assert log.find(old.prediction_id) is None


def test_a_writer_makes_the_day_that_is_missing(log: PredictionLog, writer: LogWriter) -> None:
    now = ago(0)
    with connect(log.settings, autocommit=True) as connection:
        connection.execute(table.statement(log.schema, "DROP TABLE {partition}", now.at.date()))
    writer.put(now)
    written(writer)
    assert where(log, now) == f"predictions_{now.at:%Y%m%d}"


def test_a_prediction_is_looked_for_in_one_partition(log: PredictionLog) -> None:
    text = table.statement(
        log.schema, "EXPLAIN (COSTS OFF) SELECT {columns} FROM {predictions} WHERE prediction_id = %s"
    )
    with connect(log.settings) as connection:
        lines = [line for (line,) in connection.execute(text, [uuid7()])]
    assert sum("predictions_" in line and "Scan" in line for line in lines) == 1, lines


OLD_TABLE = """
CREATE SCHEMA {schema};
CREATE TABLE {predictions} (
    prediction_id uuid PRIMARY KEY, endpoint text NOT NULL, release_id bigint NOT NULL, version text NOT NULL,
    plan bigint NOT NULL, at timestamptz NOT NULL, rows integer NOT NULL, latency_ms double precision NOT NULL,
    inputs bytea, outputs jsonb NOT NULL
);
CREATE INDEX predictions_release ON {predictions} (release_id, at);
CREATE INDEX predictions_endpoint ON {predictions} (endpoint, at);
CREATE INDEX predictions_at ON {predictions} USING brin (at);
"""
OLD_ROW = """INSERT INTO {predictions} VALUES (%s, 'old', 1, '1.0.0', 7, %s, 1, 0.5, '{{}}', '[]')"""


def test_a_table_of_before_is_converted_while_replicas_write(log: PredictionLog) -> None:
    settings = log.settings.model_copy(update={"env": f"old{uuid4().hex[:8]}"})
    old = PredictionLog(settings)
    rows = [ago(days) for days in (0, 1, 5, 5, 29)]
    strange = replace(record(), prediction_id=UUID(int=2**128 - 1))
    with connect(settings, autocommit=True) as connection:
        connection.execute(table.statement(old.schema, OLD_TABLE))
        for one in [*rows, strange]:
            connection.execute(table.statement(old.schema, OLD_ROW), [one.prediction_id, one.at])
    writer = LogWriter(lambda: connect(settings), old.schema, "old", None)
    more = []
    with ThreadPoolExecutor(3) as pool:
        migrating = [pool.submit(old.migrate) for _ in range(3)]
        while not all(one.done() for one in migrating) or len(more) < 200:
            more.append(ago(0))
            writer.put(replace(more[-1], release_id=2, number=3))
            time.sleep(0.001)
        for one in migrating:
            one.result()
    written(writer)
    writer.close()
    assert writer.lost == 0
    assert [where(old, one) for one in rows] == [f"predictions_{one.at:%Y%m%d}" for one in rows]
    assert where(old, strange) == "predictions_default"
    assert old.usage([1], []).count == 6
    assert old.usage([2], []).count == len(more)
    assert recent(old, "old", 1)[0].number == 3
    with connect(settings) as connection:
        assert len(table.partitions(connection, old.schema)) == 6  # four days of rows, and the next two
    old.migrate()
    assert old.usage([1], []).count == 6


def test_what_a_killed_replica_had_answered_is_written_by_the_next_one(log: PredictionLog, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MORTAL, str(tmp_path)], stdout=subprocess.PIPE, text=True) as mortal:
        assert mortal.stdout is not None
        answered = [UUID(mortal.stdout.readline().strip()) for _ in range(100)]
        assert list(Journal(tmp_path, "mortal").left_behind()) == []  # its files are its own while it lives
        mortal.kill()
    (file,) = tmp_path.glob("mortal.*.journal")
    with file.open("r+b") as cut:  # a record that it was about to write: all but its first byte
        cut.seek(file.read_bytes().index(b"\0") + 1)
        cut.write(b'"half')
    next_one = LogWriter(lambda: connect(log.settings), log.schema, "mortal", tmp_path)
    until(lambda: not file.exists())
    found = recent(log, "mortal", 1000)
    assert {one.prediction_id for one in found} == set(answered)
    texts = {(one.inputs and one.inputs["text"], str(one.outputs)) for one in found}
    assert texts == {("ab", "['c']"), (None, "['c']")}
    written(next_one)
    next_one.close()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_holds_no_more_than_what_is_not_written(log: PredictionLog, tmp_path: Path) -> None:
    writer = LogWriter(lambda: connect(log.settings), log.schema, "tidy", tmp_path)
    for _ in range(5):
        for _ in range(100):
            writer.put(record())
        written(writer)
        until(lambda: {file.read_bytes()[:1] for file in tmp_path.iterdir()} == {b"\0"})
    writer.put(record(outputs=b'["' + b"x" * 2**21 + b'"]'))  # larger than a file
    written(writer)
    writer.close()
    assert list(tmp_path.iterdir()) == []
    assert len(recent(log, "tidy", 1000)) == 501


def test_with_the_database_away_at_its_end_a_replica_leaves_its_log_to_the_next(
    log: PredictionLog, tmp_path: Path
) -> None:
    def away() -> psycopg.Connection:
        raise psycopg.OperationalError("away")

    first = LogWriter(away, log.schema, "left", tmp_path)
    first.put(record())
    first.close()
    second = LogWriter(lambda: connect(log.settings), log.schema, "left", tmp_path)
    until(lambda: len(recent(log, "left")) == 1)
    second.close()


MORTAL = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from workloads.sdk.serving.http.ids import uuid7
from workloads.sdk.serving.log.record import Record
from workloads.sdk.serving.log.writer import LogWriter

writer = LogWriter(lambda: time.sleep(1000), "unused", "mortal", Path(sys.argv[1]))
for number in range(100):
    body = b'{"text":\\n "ab"}' if number % 2 else None
    one = Record(uuid7(), None, "1.0.0", 7, datetime.now(UTC), 1, 0.5, body, b'["c"]', number)
    writer.put(one)
    print(one.prediction_id, flush=True)
time.sleep(1000)
"""
