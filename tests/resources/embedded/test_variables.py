"""What the user has set for himself does not reach the platform's processes, nor its connections."""

import json
import os
from pathlib import Path

import psutil
import pytest

from resources.database import connect
from resources.embedded.mlflow import Mlflow
from resources.embedded.part import PartFailed
from resources.embedded.postgres import Postgres
from resources.embedded.process import Daemon
from resources.embedded.variables import environment, socket_folder
from resources.settings import EmptySecret, Settings

FOREIGN = {
    "PGSSLMODE": "require",
    "PGOPTIONS": "-c search_path=nowhere -c default_transaction_read_only=on",
    "PGSERVICE": "none",
    "PGHOSTADDR": "192.0.2.1",
    "DAGSTER_HOME": "/elsewhere",
    "DAGSTER_IS_DEV_CLI": "1",
    "GIT_DIR": "/elsewhere",
    "DVC_ROOT": "/elsewhere",
    "RAY_ADDRESS": "192.0.2.1:6379",
    "MLFLOW_TRACKING_URI": "http://192.0.2.1",
    "MLFLOW_RUN_ID": "abc",
    "MLOPS_SERVE_PORT": "1234",
    "PYTHONPATH": "/elsewhere",
    "PYTHONSTARTUP": "/elsewhere.py",
    "SHELL": "/bin/false",
    "no_proxy": "example.org",
    "http_proxy": "http://192.0.2.1",
}


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("foreign")
def test_a_process_of_ours_gets_nothing_of_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, serve_port=8000)
    given = environment(settings)
    left = {name for name, value in FOREIGN.items() if given.get(name) == value}
    assert left == {"http_proxy"}  # a way out, as for data from elsewhere
    assert given["NO_PROXY"] == given["no_proxy"]
    assert sorted(given["NO_PROXY"].split(",")) == ["127.0.0.1", "example.org", "localhost"]
    assert given["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert given["MLFLOW_TRACKING_URI"] == settings.mlflow


@pytest.mark.usefixtures("foreign")
def test_what_is_meant_for_an_external_service_reaches_it(tmp_path: Path) -> None:
    given = environment(Settings(home=tmp_path, postgres_url="postgresql://u:p@db", mlflow_url="http://mlflow"))
    assert (given["PGSSLMODE"], given["MLFLOW_RUN_ID"]) == ("require", "abc")


@pytest.mark.usefixtures("foreign")
def test_our_own_server_is_reached_whatever_is_set_for_another(own_postgres: Postgres) -> None:
    with connect(own_postgres.settings, "postgres") as connection:
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_an_empty_secret_is_made_anew_where_nothing_knows_it(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in ("ray-token", "postgres-password"):
        (tmp_path / "secrets" / name).touch()
    settings = Settings(home=tmp_path)
    assert len(settings.ray_token) > 30
    assert settings.ray_token == Settings(home=tmp_path).ray_token
    assert len(settings.postgres_password) > 30


def test_an_empty_password_of_a_database_that_is_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "secrets" / "postgres-password").touch()
    with pytest.raises(EmptySecret, match=r"postgres-password is empty or gone, and .*data knows what it held"):
        _ = Settings(home=tmp_path).postgres_password


@pytest.mark.parametrize("left", ["empty", "gone"])
def test_a_lost_password_is_replaced_when_the_server_starts(own_postgres: Postgres, left: str) -> None:
    with connect(own_postgres.settings, "mlops") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    own_postgres.stop()
    file = own_postgres.settings.home / "secrets" / "postgres-password"
    before = file.read_text()
    file.unlink()
    if left == "empty":
        file.touch()
    again = Postgres(own_postgres.settings.model_copy())  # with the former password in its memory, too
    again.start()
    assert file.read_text() != before
    assert file.stat().st_mode & 0o077 == 0
    with connect(again.settings, "mlops") as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    again.stop()


def test_a_home_that_is_too_long_for_mlflow_is_told_so_before_anything_is_tracked(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 100) / ("y" * 100)
    with pytest.raises(PartFailed, match=r"too long for MLflow's tables: set MLOPS_HOME to one that is \d+"):
        Mlflow(Settings(home=home)).launch()


@pytest.mark.parametrize("name", ["with space", "größe", "it's", "x" * 80])
def test_sockets_lie_where_ray_and_haproxy_can_read_it(tmp_path: Path, name: str) -> None:
    folder = socket_folder(Settings(home=tmp_path / name))
    assert folder.parent == Path("/tmp").resolve()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()


def test_a_clock_that_is_corrected_makes_no_running_part_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(Settings(home=tmp_path), "part")
    daemon.remember(os.getpid())
    assert daemon.process() == psutil.Process()
    booted = psutil.boot_time()
    for module in (psutil, psutil._pslinux):
        monkeypatch.setattr(module, "boot_time", lambda: booted + 20)  # as after a correction by 20 s
    assert psutil.Process().create_time() != daemon.record()["created"]
    assert daemon.process() is not None
    record = daemon.record()
    daemon.file.write_text(json.dumps(record | {"boot": "another"}))
    assert daemon.process() is None
    daemon.file.write_text(json.dumps(record | {"age": record["age"] - 5}))
    assert daemon.process() is None
