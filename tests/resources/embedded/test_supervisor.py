"""The supervisor: real processes are killed, and come back by themselves."""

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from homes import kill, ports, temporary_home
from patience import until

from resources.database import connect
from resources.embedded import Platform, PlatformFailed, watch
from resources.embedded.code_servers import CodeServers
from resources.embedded.dagster import DagsterDaemon
from resources.embedded.part import Part
from resources.embedded.postgres import Postgres, prepare
from resources.embedded.process import alive, command_of
from resources.embedded.restarts import LONGEST_WAIT, REMEMBERED, Restarts, Wanted
from resources.embedded.supervisor import WATCH
from resources.http import request
from resources.ledger import Ledger
from resources.serving import Serving
from resources.settings import Settings

BROKEN = "raise RuntimeError('not today')\n"
WHOLE = "import dagster\ndefs = dagster.Definitions()\n"


@pytest.fixture
def supervised() -> Iterator[Platform]:
    """PostgreSQL, kept by a supervisor, in a home of the test's own."""
    platform = Platform(Settings(home=temporary_home(), **ports()))
    Postgres(platform.settings).start()
    platform._migrate()
    Wanted(platform.settings).write({"postgres"})
    platform.supervisor.start()
    yield platform
    platform.down()
    shutil.rmtree(platform.settings.home)


def watcher(platform: Platform) -> psutil.Process | None:
    return next((one for one in platform.supervisor.processes() if command_of(one)[1:3] == WATCH), None)


def test_what_is_killed_comes_back_and_so_does_the_supervisor_until_it_is_taken_down(supervised: Platform) -> None:
    server = Postgres(supervised.settings)
    first = server.daemon.process()
    until(lambda: (supervised.settings.home / "logs" / "supervisor.log").exists() and watcher(supervised))
    kill(*server.processes())
    until(lambda: server.outage() is None)
    assert server.daemon.process() not in (None, first)
    alert = until(lambda: Ledger(supervised.settings).alerts.since())[0]
    assert (alert.thing, alert.kind) == ("postgres", "restart")
    assert alert.text == "PostgreSQL, started again: PostgreSQL does not run"
    shown = {part.name: part for part in supervised.status(0)}
    assert shown["postgres"].restarts == 1
    assert shown["postgres"].since == server.daemon.process().create_time()
    assert shown["supervisor"].state == "answers"

    old = watcher(supervised)
    kill(old)
    until(lambda: watcher(supervised) not in (None, old))
    shell = supervised.supervisor.daemon.process()
    kill(shell)
    until(lambda: supervised.supervisor.daemon.process() not in (None, shell))
    until(lambda: len(supervised.restarts.of("supervisor")) == 2)
    assert supervised.supervisor.outage() is None

    supervised.down()
    assert supervised.supervisor.processes() == server.processes() == []
    assert "supervisor" not in {part.name for part in supervised.status(0)}  # that is all right: nobody wants it


def test_what_waits_for_the_lock_while_all_is_taken_down_starts_nothing(own_postgres: Postgres) -> None:
    platform, told = Platform(own_postgres.settings), []
    Wanted(own_postgres.settings).write({"postgres"})
    own_postgres.stop()
    with platform._lock(lambda title, text: None):
        waiting = threading.Thread(target=lambda: told.append(Platform(own_postgres.settings).revive({"postgres"})))
        waiting.start()
        Wanted(own_postgres.settings).write(set())
    waiting.join()
    assert told == [{}]
    assert not own_postgres.running()


def test_a_part_that_was_not_started_by_a_person_is_not_wanted(own_postgres: Postgres) -> None:
    platform = Platform(own_postgres.settings)
    assert platform.wanted == []
    own_postgres.stop()
    assert platform.revive({"postgres"}) == {}
    assert not own_postgres.running()


def test_each_restart_waits_longer_than_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, restarts, waits = [1e9], Restarts(Settings(home=tmp_path)), []
    monkeypatch.setattr("resources.embedded.restarts.time.time", lambda: now[0])
    assert restarts.wait("mlflow") == 0
    for number in range(1, 12):
        assert restarts.add("mlflow") == number
        waits.append(restarts.wait("mlflow"))
        now[0] += waits[-1]
        assert restarts.wait("mlflow") == 0
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, *[LONGEST_WAIT] * 3]
    now[0] += REMEMBERED
    assert restarts.add("mlflow") == 1
    assert len(restarts.of("mlflow")) == 12
    restarts.forget()
    assert restarts.of("mlflow") == []


class Patient:
    """A platform of one part with a process of this test; it answers or not as it is told."""

    name, title, after = "patient", "Patient", ()

    def __init__(self, settings: Settings, process: psutil.Process):
        self.settings, self.restarts, self.parts, self.wanted = settings, Restarts(settings), [self], [self]
        self.processes, self.fault, self.revived = [process], None, 0
        self.error: Exception | None = None

    def core(self) -> list[psutil.Process]:
        return [process for process in self.processes if alive(process)]

    def outage(self) -> str | None:
        return self.fault

    def revive(self, names: set[str]) -> dict[str, str]:
        self.revived += 1
        if self.error is not None:
            raise self.error
        return dict.fromkeys(names, str(self.fault))


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Patient, watch.Watch]]:
    monkeypatch.setattr(watch, "LOOK", 0.0)
    process = psutil.Popen(["sleep", "1000"])
    found: Any = Patient(Settings(home=tmp_path), process)
    looking = watch.Watch(found)
    monkeypatch.setattr(looking, "tell", lambda: None)
    yield found, looking
    kill(process)


def test_what_lives_and_is_late_is_left_alone_and_what_is_silent_for_long_is_not(
    patient: tuple[Patient, watch.Watch],
) -> None:
    part, looking = patient
    for answers in (False, True):  # late for a while, twice
        part.fault = "no answer"
        for _ in range(watch.SILENT_LOOKS - 1):
            looking.tick()
        part.fault = None
        looking.tick()
        assert part.revived == 0, answers
    part.fault = "no answer"
    for _ in range(watch.SILENT_LOOKS):
        looking.tick()
    assert part.revived == 1
    assert looking._alerts == [("patient", "restart", "Patient, started again: no answer")]


def test_what_lost_its_process_is_started_at_once_and_told_once_when_it_keeps_happening(
    patient: tuple[Patient, watch.Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    part, looking = patient
    looking.tick()
    part.fault = "gone"
    kill(*part.processes)
    looking.tick()
    assert part.revived == 1
    looking.tick()
    assert part.revived == 1  # the next one waits
    part.error = PlatformFailed("the disk is full")
    monkeypatch.setattr(part.restarts, "wait", lambda name: 0.0)
    for _ in range(5):
        looking.tick()
    assert part.revived == 6
    assert [kind for _, kind, _ in looking._alerts] == ["restart", "restart", "restarts"]
    assert looking._alerts[-1][2].endswith("it does not come back: the disk is full")


def test_another_process_in_the_place_of_one_that_ended_is_no_fault(patient: tuple[Patient, watch.Watch]) -> None:
    part, looking = patient
    looking.tick()
    with psutil.Popen(["sleep", "1000"]) as other:  # as Dagster does when it loads code anew
        part.processes.append(other)
        kill(part.processes[0])
        looking.tick()
        looking.tick()
        other.kill()
    assert part.revived == 0
    assert looking._cores == {"patient": [other]}


def test_a_code_location_is_asked_for_its_definitions(own_postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_file: own.py\n")
    (tmp_path / "own.py").write_text(WHOLE)
    servers = CodeServers(own_postgres.settings, tmp_path / "workspace.yaml")
    try:
        servers.start()
        assert servers.trouble() is None
        (child,) = [one for one in servers.core() if "grpc" in command_of(one)]
        kill(child)
        assert servers.running()  # which is all that was looked at once
        assert servers.outage() == "the code location `own.py` has no code server"
        servers.stop()
        (tmp_path / "own.py").write_text(BROKEN)
        servers.start()  # a server that says so is what Dagster's pages need
        assert servers.outage() is None
        assert "the code location `own.py` does not load: " in str(servers.trouble())
        assert "not today" in str(servers.trouble())
        (tmp_path / "own.py").write_text(WHOLE)
        servers.start()
        assert servers.trouble() is None
    finally:
        servers.stop()


def test_a_daemon_is_known_by_its_heartbeats(own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = DagsterDaemon(own_postgres.settings)
    monkeypatch.setattr(daemon.daemon, "process", psutil.Process)
    assert daemon.outage() == "Dagster's daemon has not begun its work"
    with connect(own_postgres.settings, "dagster", autocommit=True) as connection:
        connection.execute("CREATE TABLE daemon_heartbeats (daemon_type text, timestamp timestamp)")
        connection.execute("INSERT INTO daemon_heartbeats VALUES ('SENSOR', now() AT TIME ZONE 'utc')")
        assert daemon.outage() is None
        monkeypatch.setattr("resources.embedded.dagster.SILENT_SECONDS", 0)
        assert daemon.outage() == "Dagster's daemon has given no sign of life for its work SENSOR"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="HAProxy is for Linux only")
def test_haproxy_is_stood_in_for_and_another_of_rays_takes_over(platform: Settings) -> None:
    Serving(platform).deploy("shift", "shift")
    serve = next(part for part in Platform(platform).parts if part.name == "serve")
    before = {process.pid for process in haproxies(serve)}
    kill(*haproxies(serve))
    assert Platform(platform).revive({"serve"}) == {"serve": f"Ray Serve does not answer on {platform.serve}"}
    (instead,) = haproxies(serve)
    assert {one.laddr.ip for one in instead.net_connections() if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    while instead.is_running() and alive(instead):  # until Ray's has taken over, and through that, it answers
        assert request(f"{Serving(platform).address('shift')}/")[0] == 200
        assert request(f"{platform.serve}/nothing")[0] == 404
    assert request(f"{Serving(platform).address('shift')}/")[0] == 200
    assert {process.pid for process in haproxies(serve)} - before
    Serving(platform).remove("shift")


def haproxies(serve: Part) -> list[psutil.Process]:
    return [process for process in serve.core() if "-db" in command_of(process)]


def test_an_alert_about_restarts_is_over_once_the_part_is_steady(
    own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, settings = [1e9], own_postgres.settings
    prepare(settings)
    ledger = Ledger(settings)
    ledger.migrate()
    monkeypatch.setattr("resources.embedded.restarts.time.time", lambda: now[0])
    found: Any = Patient(settings, psutil.Process())

    def standing() -> list[tuple[str, str, int]]:
        return [(alert.thing, alert.kind, alert.count) for alert in ledger.alerts.standing()]

    first = watch.Watch(found)
    for _ in range(2):
        first.note("patient", "Patient", "it ended")
    first.tell()
    now[0] += REMEMBERED - 1
    first.tell()
    assert standing() == [("patient", "restart", 2)]
    now[0] += 2
    watch.Watch(found).tell()  # another supervisor, which has not raised it
    assert standing() == []
