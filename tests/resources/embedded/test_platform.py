"""The embedded platform: real processes, killed for real."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from homes import kill, ports, temporary_home

from resources.database import DatabaseUnavailable, connect
from resources.embedded import Platform, PlatformFailed
from resources.embedded.code_servers import CodeServers
from resources.embedded.doctor import examine
from resources.embedded.network import free_ports, listeners
from resources.embedded.postgres import RELOCATED, Postgres
from resources.embedded.ray import Ray
from resources.embedded.serve import Serve
from resources.embedded.variables import environment, setting_variables, socket_folder
from resources.http import request
from resources.serving import Serving
from resources.settings import REPOSITORY, Settings

ROOT = os.getuid() == 0


@pytest.fixture
def own() -> Iterator[Settings]:
    """A home of this test alone; nothing runs."""
    settings = Settings(home=temporary_home(), **ports())
    yield settings
    Postgres(settings).stop()
    shutil.rmtree(settings.home)


def pids(settings: Settings) -> dict[str, list[int]]:
    """The main process of each part."""
    parts = Platform(settings).parts
    return {part.name: [process.pid] if (process := part.daemon.process()) else [] for part in parts}


def named(settings: Settings, part: str, text: str) -> psutil.Process:
    """The process of a part whose command line holds a text."""
    processes = next(one for one in Platform(settings).parts if one.name == part).processes()
    return next(process for process in processes if text in " ".join(process.cmdline()))


def leftovers(settings: Settings) -> list[str]:
    """Command lines of all processes that have to do with a home, however they came to be."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            inside = str(settings.home) in command or process.environ().get("MLOPS_HOME") == str(settings.home)
            if inside and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(command)
        except psutil.Error:
            continue
    return found


def test_a_killed_postgres_is_mended_with_all_that_was_committed(own: Settings) -> None:
    server = Postgres(own)
    server.start()
    with connect(own) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    kill(*server.processes())  # as when the power fails: nobody removes the lock file
    lock = server.data / "postmaster.pid"
    lock.write_text(lock.read_text().replace(lock.read_text().split("\n")[0], str(os.getpid()), 1))
    server.start()
    with connect(own) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(42,)]
    server.stop()
    assert leftovers(own) == []
    with pytest.raises(DatabaseUnavailable, match=f"does not answer on 127.0.0.1:{own.postgres_port}; run `mlops up`"):
        connect(own)


@pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as another user, who may not enter every folder")
def test_root_may_have_its_home_where_nobody_else_may_go(tmp_path: Path) -> None:
    home = tmp_path / "closed" / "home"
    home.parent.mkdir(mode=0o700)
    settings = Settings(home=home, **ports())
    server = Postgres(settings)
    try:
        server.start()
        assert connect(settings).execute("SELECT 1").fetchone() == (1,)
        assert server.base.is_relative_to(RELOCATED)
        assert users(server) == {"nobody"}
    finally:
        server.stop()
        shutil.rmtree(server.base)


@pytest.mark.skipif(not ROOT, reason="as an ordinary user all other tests show this")
def test_an_ordinary_user_runs_postgres_in_a_home_of_its_own(own: Settings) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
    paths = [path for path in sys.path if "site-packages" in path]
    env = setting_variables(own) | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *paths]), "HOME": str(own.home)}
    shutil.chown(own.home, nobody.pw_uid)
    code = "from resources.embedded.postgres import Postgres as P; from resources.settings import settings as s"
    system = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (sys.executable, system):
        try:
            if subprocess.run([python, "-c", code], env=env, capture_output=True, **user).returncode == 0:
                break
        except OSError:
            continue
    else:
        pytest.skip("another user may run no Python of this version here, or not read this repository")
    code += "; import psutil; P(s()).start(); pids = {p.pid for p in P(s()).processes()}"
    code += "; print({p.info['username'] for p in psutil.process_iter(['username']) if p.pid in pids}); P(s()).stop()"
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, **user)
    assert done.stdout.strip() == "{'nobody'}", done.stderr
    assert leftovers(own) == []


def test_a_port_in_use_is_named_with_its_owner_before_anything_starts(own: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own.mlflow_port))
        taken.listen()
        with pytest.raises(PlatformFailed) as failure:
            Platform(own).up()
    assert f"port {own.mlflow_port}, which MLflow needs, is used by" in str(failure.value)
    assert f"(pid {os.getpid()}, user" in str(failure.value)
    assert "set MLOPS_MLFLOW_PORT" in str(failure.value)
    assert leftovers(own) == []


def test_an_external_service_is_looked_at_and_not_started(own: Settings) -> None:
    settings = own.model_copy(update={"mlflow_url": f"http://127.0.0.1:{own.mlflow_port}"})
    with pytest.raises(PlatformFailed, match=f"^MLflow does not answer on {settings.mlflow_url}$"):
        Platform(settings).up()
    assert next(part for part in Platform(settings).status(0) if part.name == "mlflow").state == "external"
    assert leftovers(own) == []


def test_serve_gets_a_ray_with_other_inner_ports_where_a_stranger_took_one(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[list[int]] = []
    words: list[str] = []
    say = Serve.last_words

    def choose(count: int) -> list[int]:
        chosen.append(free_ports(count))
        if len(chosen) == 1:  # before HAProxy listens there, for its statistics
            stranger.bind(("127.0.0.1", chosen[0][4]))
            stranger.listen()
        return chosen[-1]

    monkeypatch.setattr("resources.embedded.ray.free_ports", choose)
    monkeypatch.setattr(Serve, "seconds", 20)
    monkeypatch.setattr(Serve, "last_words", lambda serve: words.append(say(serve)) or words[-1])
    ray, serve = Ray(own), Serve(own)
    with socket.socket() as stranger:
        try:
            ray.start()
            serve.start()
            assert serve.fault() is None
        finally:
            ray.stop()
    assert f"cannot bind socket (Address already in use) for [127.0.0.1:{chosen[0][4]}]" in words[0]
    assert len(chosen) == 2
    assert leftovers(own) == []
    shutil.rmtree(socket_folder(own), ignore_errors=True)


@pytest.mark.platform
def test_every_part_answers_and_a_second_up_starts_nothing(platform: Settings) -> None:
    before = pids(platform)
    assert Platform(platform).up() is False
    assert pids(platform) == before
    parts = Platform(platform).status(0)
    assert {part.state for part in parts} == {"answers"}
    assert all(part.memory > 0 for part in parts if part.name != "serve")  # Serve's processes are counted as Ray's


@pytest.mark.platform
def test_it_listens_on_loopback_only_and_shows_no_secret(platform: Settings) -> None:
    own = {process.pid for part in Platform(platform).parts for process in part.processes()}
    open_to_all = {
        port: owner
        for port, address, owner, pid in listeners()
        if pid in own and address not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
    }
    # Ray binds a replica's gRPC port to all interfaces and has no setting for it: the token guards it, and the doctor
    # and the README say so. Nothing else may be open.
    of_replicas = ("ServeReplica", ":endpoint.")  # the second is what one is called that ends
    assert all(any(name in owner for name in of_replicas) for owner in open_to_all.values()), open_to_all
    warned = " ".join(finding.text for finding in examine(platform) if finding.subject == "network")
    assert all(str(port) in warned for port in open_to_all)
    commands = subprocess.run(["ps", "-A", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert platform.postgres_password not in commands
    assert platform.ray_token not in commands
    assert request(f"{platform.ray}/api/jobs/")[0] in (401, 403)
    assert request(f"{platform.ray}/api/jobs/", token=platform.ray_token)[0] == 200


@pytest.mark.platform
def test_dagster_dev_refuses_to_be_a_second_daemon(platform: Settings) -> None:
    done = dagster_dev(platform).communicate(timeout=120)[0]
    assert "Dagster's daemon already runs on this home, started by `mlops up`" in done
    assert "mlops down --dagster" in done
    assert "Traceback" not in done


@pytest.mark.platform
@pytest.mark.last
def test_plain_dagster_dev_uses_the_same_home(platform: Settings) -> None:
    Platform(platform).down(services=False)
    before = last_heartbeat(platform)
    first = dagster_dev(platform)
    try:
        while request(f"{platform.dagster}/server_info")[0] != 200:
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.2)
        query = {"query": "{ instance { info } }"}
        info = request(f"{platform.dagster}/graphql", method="POST", body=query)[1].decode()
        assert str(platform.home / "dagster") in info
        while last_heartbeat(platform) == before:  # its daemon works on the platform's own database
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.2)
        second = dagster_dev(platform).communicate(timeout=120)[0]
        assert f"`dagster dev` already runs on this home (pid {first.pid})" in second
        assert Platform(platform).up() is False  # its Dagster is left to do its work
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=120)
    assert Platform(platform).up() is True


@pytest.mark.platform
@pytest.mark.last
def test_what_is_killed_is_mended_and_what_is_well_is_left_alone(platform: Settings) -> None:
    Serving(platform).deploy("workloads.wine", "wine")
    before = pids(platform)
    kill(named(platform, "postgres", "bin/postgres -D"))
    kill(named(platform, "mlflow", "mlflow server"))
    kill(named(platform, "ray", "raylet/raylet"))
    kill(named(platform, "dagster-code", "code-server start"))
    kill(named(platform, "dagster-daemon", "dagster._daemon"))
    with ThreadPoolExecutor(2) as pool:  # two at once: the second finds nothing left to do
        started = list(pool.map(lambda _: Platform(platform).up(), range(2)))
    assert sorted(started) == [False, True]
    after = pids(platform)
    assert after["dagster-webserver"] == before["dagster-webserver"]
    assert all(
        after[name] not in ([], before[name]) for name in ("postgres", "mlflow", "dagster-code", "dagster-daemon")
    )
    assert Serving(platform).status()["wine"] == "RUNNING"  # Ray forgot it
    assert {part.state for part in Platform(platform).status(0)} == {"answers"}


@pytest.mark.platform
@pytest.mark.last
def test_down_leaves_no_process_behind_even_after_a_crash(platform: Settings) -> None:
    core = [named(platform, "ray", text) for text in ("gcs/gcs_server", "raylet/raylet")]
    for process in [*core, named(platform, "dagster-webserver", "dagster_webserver")]:
        kill(process)
    Platform(platform).down()
    assert leftovers(platform) == []
    Platform(platform).down()
    assert {part.state for part in Platform(platform).status(0)} == {"stopped"}


def last_heartbeat(settings: Settings) -> tuple:
    with connect(settings, "dagster") as connection:
        return connection.execute("SELECT max(timestamp) FROM daemon_heartbeats").fetchone()


def dagster_dev(settings: Settings) -> subprocess.Popen[str]:
    """`dagster dev` as a person types it in the repository: the platform's settings, and nothing of Dagster's set."""
    env = {name: value for name, value in environment(settings).items() if name != "DAGSTER_HOME"}
    command = ["dagster", "dev", "--port", str(settings.dagster_port)]
    rest = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # it may be ignored where the tests were started
    return subprocess.Popen(command, env=env, cwd=REPOSITORY, preexec_fn=heard, **rest)


def test_code_servers_start_with_the_instance_of_today(own_postgres: Postgres) -> None:
    """What a home still holds of an earlier version may name classes that are gone since."""
    settings = own_postgres.settings
    old = settings.home / "dagster" / "dagster.yaml"
    old.parent.mkdir(parents=True)
    old.write_text("instance_class:\n  module: resources.dagster_instance\n  class: PlatformInstance\n")
    servers = CodeServers(settings)
    try:
        servers.start()
        assert "resources.dagster.instance" in old.read_text()
        assert "ModuleNotFoundError" not in servers.daemon.log.read_text()
    finally:
        servers.stop()


def users(server: Postgres) -> set[str]:
    """Of all of its processes that live, some of which end at any time."""
    found = set()
    for process in server.processes():
        with suppress(psutil.NoSuchProcess):
            found.add(process.username())
    return found
