"""A backup of the running platform, restored into another home, where a prediction is still traced to its files."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from graph_fixtures import Delivered, World
from homes import ports, temporary_home
from patience import until

from mlops_assets.lineage import trace as lineage
from resources.all import Resources
from resources.database import connect
from resources.embedded import Platform
from resources.embedded.backup import BackupFailed, backup, restore
from resources.serving.api import recall
from resources.settings import Settings


@pytest.fixture(scope="module")
def prediction(world: World, live: Delivered) -> str:
    identity = world.predict(live.workload, live.version, rows=2)["prediction_id"]
    until(lambda: world.resources.predictions.find(identity))
    return identity


@pytest.fixture(scope="module")
def archive(world: World, prediction: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backup") / "mlops.tar.gz"
    command = [sys.executable, "-m", "mlops_assets.cli", "backup", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return file


@pytest.fixture(scope="module")
def elsewhere(archive: Path) -> Iterator[Settings]:
    """The home of another platform, filled from the backup; PostgreSQL and MLflow run."""
    own = Settings(home=temporary_home(), **ports())
    restore(own, archive)
    parts = [part for part in Platform(own).services if part.name in ("postgres", "mlflow")]
    for part in parts:
        part.start()
    yield own
    for part in reversed(parts):
        part.stop()
    shutil.rmtree(own.home)


def facts(found: lineage.Trace) -> dict[str, Any]:
    known = vars(found)
    return {name: known[name] for name in ("prediction", "model", "code", "data", "files", "artifacts", "release")}


@pytest.mark.platform
def test_a_prediction_is_traced_in_the_restored_home(world: World, prediction: str, elsewhere: Settings) -> None:
    there = Resources(elsewhere)
    found, before = lineage.trace(prediction, there), lineage.trace(prediction, world.resources)
    assert facts(found) == facts(before)
    assert (found.intact, found.gone) == (True, [])
    assert found.artifacts
    for candidate in there.ledger.candidates.of("wine"):
        folder = there.tracking.runs.artifacts(candidate.artifacts_uri, candidate.digest)
        assert folder.is_relative_to(elsewhere.home)
        assert folder.is_dir()
        run = there.tracking.client.get_run(candidate.run_id)
        assert run.info.artifact_uri.startswith(elsewhere.home.as_uri())
        version = there.tracking.client.get_model_version("dev.wine", str(candidate.number))
        assert version.source == candidate.artifacts_uri


@pytest.mark.platform
def test_all_goes_on_in_the_restored_home(world: World, live: Delivered, elsewhere: Settings) -> None:
    there, here = Resources(elsewhere), world.resources
    assert there.ledger.releases("wine") == here.ledger.releases("wine")
    assert there.tracking.registry.all_aliases() == here.tracking.registry.all_aliases()
    assert there.registry.tags() == here.registry.tags()
    plan = there.serving.plan("wine")
    assert plan is not None
    assert plan.version.artifacts_uri.startswith(elsewhere.home.as_uri())
    (wine,) = [one for one in recall(elsewhere) if one["name"] == "dev.wine"]
    assert wine["args"]["state"].startswith(str(elsewhere.home))
    with connect(elsewhere, "dagster") as connection:
        assert connection.execute("SELECT count(*) > 0 FROM runs").fetchone() == (True,)
    with connect(elsewhere) as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute("UPDATE dev_ledger.candidate SET digest = ''")
    assert elsewhere.postgres_password != world.settings.postgres_password


@pytest.mark.platform
def test_secrets_are_in_it_only_where_they_are_asked_for(world: World, archive: Path, tmp_path: Path) -> None:
    password = world.settings.postgres_password.encode()
    whole = tmp_path / "whole.tar.gz"
    backup(world.settings, whole, secrets=True)
    held = {}
    for file in (archive, whole):
        assert file.stat().st_mode & 0o777 == 0o600
        with tarfile.open(file) as opened:
            members = [opened.extractfile(member) for member in opened.getmembers() if member.isfile()]
            held[file] = any(password in stream.read() for stream in members if stream)
    assert held == {archive: False, whole: True}
    with pytest.raises(BackupFailed, match="is there already"):
        backup(world.settings, whole)


def test_what_is_no_backup_leaves_an_empty_home_empty(tmp_path: Path) -> None:
    wrong, other = tmp_path / "wrong.tar.gz", tmp_path / "other.tar.gz"
    wrong.write_bytes(os.urandom(1000))
    with tarfile.open(other, "w:gz") as archive:
        archive.add(__file__, "something.py")
    home = tmp_path / "home"
    for file, said in ((wrong, "cannot be read as a backup"), (other, "is no backup"), (tmp_path / "none", "No such")):
        with pytest.raises(BackupFailed, match=said):
            restore(Settings(home=home), file)
        assert not home.exists()


def test_only_an_empty_home_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(BackupFailed, match="is not empty; set MLOPS_HOME to a new folder"):
        restore(Settings(home=tmp_path), tmp_path / "none")
    with pytest.raises(BackupFailed, match="MLOPS_MLFLOW_URL: what is kept outside"):
        backup(Settings(home=tmp_path, mlflow_url="http://127.0.0.1:9"), tmp_path / "none")
