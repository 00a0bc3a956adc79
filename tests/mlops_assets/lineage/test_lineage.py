"""From a prediction down to the bytes of its data, and from data up to predictions; through HTTP and the command."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from graph_fixtures import Delivered, World
from patience import until

from mlops_assets.lineage import trace as lineage
from resources.all import Resources
from resources.database import connect
from resources.registry.git import git
from workloads.sdk.artifacts import Manifest

pytestmark = pytest.mark.platform


def mlops(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlops_assets.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def prediction(world: World, live: Delivered) -> str:
    """Id of a prediction of two rows that is in the log."""
    identity = world.predict(live.workload, live.version, rows=2)["prediction_id"]

    def logged() -> bool:
        try:
            return bool(lineage.trace(identity, world.resources))
        except lineage.NotFound:
            return False

    until(logged)
    return identity


def test_a_prediction_is_traced_down_to_its_files(world: World, live: Delivered, prediction: str) -> None:
    run = mlops("trace", prediction, "--json")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["prediction"]["id"] == prediction
    assert (found["prediction"]["rows"], len(found["prediction"]["outputs"])) == (2, 2)
    assert found["endpoint"]["name"] == "wine"
    current = world.resources.ledger.current("wine")
    assert current
    assert found["endpoint"]["version"] == found["release"]["version"] == current.version
    assert (found["release"]["id"], found["endpoint"]["live"]) == (current.id, True)
    candidate = world.resources.ledger.candidates.by_id(current.candidate)
    assert candidate
    assert found["model"]["uri"] == candidate.model_uri
    assert found["run"]["dagster"] == candidate.dagster_run
    assert world.instance.get_run_by_id(candidate.dagster_run)
    assert world.resources.tracking.client.get_run(found["run"]["mlflow"]).data.tags["data.tag"] == found["data"]["tag"]
    assert len(found["code"]["commit"]) == 40
    version = world.resources.registry.version("wine", candidate.data_version)
    assert (found["data"]["tag"], found["data"]["digest"]) == (version.tag, version.digest)
    assert found["data"]["tag_stands"]
    assert {file["path"] for file in found["files"]} == {file.path for file in version.files}
    assert found["intact"]
    assert all(file["actual"] == file["sha256"] for file in found["files"])
    shown = mlops("trace", prediction)
    assert shown.returncode == 0
    for word in (prediction, found["data"]["tag"], found["model"]["uri"], found["code"]["commit"][:12]):
        assert word in shown.stdout


@pytest.fixture
def planted(world: World, prediction: str) -> Iterator[Path]:
    """A file of DVC's cache with one byte changed: that of the training split that the prediction's model learned."""
    tag = lineage.trace(prediction, world.resources).data["tag"]
    (version,) = [one for one in world.resources.ledger.data.versions("wine") if one.tag == tag]
    cached = world.resources.registry.store.cached(next(file for file in version.files if file.split == "train"))
    content, mode = cached.read_bytes(), cached.stat().st_mode
    cached.chmod(0o644)
    cached.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    yield cached
    cached.write_bytes(content)
    cached.chmod(mode)


def test_a_changed_byte_is_reported(planted: Path, prediction: str) -> None:
    run = mlops("trace", prediction, "--json")
    assert run.returncode == 1
    found = json.loads(run.stdout)
    assert not found["intact"]
    (changed,) = [file for file in found["files"] if not file["intact"]]
    assert changed["split"] == "train"
    assert changed["actual"] != changed["sha256"]
    shown = mlops("trace", prediction)
    assert shown.returncode == 1
    assert f"✗ {changed['path']}" in shown.stdout


def test_a_tag_that_is_gone_does_not_hide_what_was_used(world: World, prediction: str) -> None:
    tag = lineage.trace(prediction, world.resources).data["tag"]
    registry = Path(world.settings.registry)
    kept = git("rev-parse", f"refs/tags/{tag}", folder=registry).decode().strip()
    git("tag", "--delete", tag, folder=registry)
    try:
        found = lineage.trace(prediction, world.resources)
    finally:
        git("update-ref", f"refs/tags/{tag}", kept, folder=registry)
    assert not found.data["tag_stands"]
    assert found.intact
    assert lineage.trace(prediction, world.resources).data["tag_stands"]


@pytest.fixture
def artifact(world: World, prediction: str) -> Iterator[Path]:
    """A file of the prediction's model, with one byte changed."""
    number = lineage.trace(prediction, world.resources).model["number"]
    candidate = world.resources.ledger.candidates.get("wine", number)
    assert candidate is not None
    folder = world.resources.tracking.runs.artifacts(candidate.artifacts_uri, candidate.digest)
    file = folder / Manifest.read(folder).files[0].path
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    yield file
    file.write_bytes(content)


def test_a_changed_file_of_the_model_is_reported(artifact: Path, world: World, prediction: str) -> None:
    found = lineage.trace(prediction, world.resources)
    assert not found.intact
    (changed,) = [file for file in found.artifacts if not file.intact]
    assert artifact.as_posix().endswith(changed.path)
    shown = mlops("trace", prediction)
    assert (shown.returncode, f"✗ {changed.path}" in shown.stdout) == (1, True)


def test_what_mlflow_has_lost_is_said_and_hides_nothing(world: World, prediction: str) -> None:
    whole = lineage.trace(prediction, world.resources)
    run, away = whole.run["mlflow"], world.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    without = lineage.trace(prediction, Resources(away))
    assert (without.run, without.intact) == (whole.run | {"url": None}, True)
    assert "MLflow does not answer on http://127.0.0.1:9" in without.gone[0]
    with connect(world.settings, "mlflow", autocommit=True) as connection:  # as `mlflow gc` leaves it
        connection.execute("SET session_replication_role = replica")  # what refers to it is left alone
        connection.execute("UPDATE runs SET run_uuid = %s WHERE run_uuid = %s", [f"gone-{run}"[:32], run])
        try:
            purged = lineage.trace(prediction, world.resources)
        finally:
            connection.execute("UPDATE runs SET run_uuid = %s WHERE run_uuid = %s", [run, f"gone-{run}"[:32]])
    assert purged.gone == [f"MLflow has no run {run} any more"]
    assert (purged.files, purged.model) == (whole.files, whole.model)


@pytest.mark.parametrize("by", ["tag", "digest", "path", "own file"])
def test_data_is_followed_to_its_predictions(world: World, prediction: str, by: str, tmp_path: Path) -> None:
    traced = lineage.trace(prediction, world.resources)
    train = next(file for file in traced.files if file.split == "train")
    own = world.resources.registry.files("wine", traced.data["tag"].removeprefix("wine-v"))["train"]
    key = {
        "tag": traced.data["tag"],
        "digest": train.sha256[:12],
        "path": "data/wine/processed/train.parquet",
        "own file": str(shutil.copy(own, tmp_path / "mine.parquet")),
    }[by]
    run = mlops("impact", key, "--json")
    assert run.returncode == 0, run.stderr
    (touched,) = [one for one in json.loads(run.stdout) if one["tag"] == traced.data["tag"]]
    assert touched["digest"] == traced.data["digest"]
    assert traced.model["uri"] in [model["uri"] for model in touched["models"]]
    assert traced.release["id"] in [release["id"] for release in touched["releases"]]
    assert touched["live"] == ["wine"]
    assert touched["predictions"] >= 1
    first, last = (datetime.fromisoformat(touched[name]) for name in ("first", "last"))
    assert first <= traced.prediction["at"] <= last
    assert f"{touched['predictions']} predictions" in mlops("impact", traced.data["tag"]).stdout


@pytest.mark.parametrize(
    ("command", "key", "sentence"),
    [
        ("trace", "0190f7a1-2b3c-7d4e-8f50-123456789abc", "is in the log of dev"),
        ("trace", "not-an-id", "'not-an-id' is no prediction id: a UUID"),
        ("impact", "wine-v77.0.0", "nothing was made from 'wine-v77.0.0'"),
        ("impact", "0123456789abcdef", "nothing was made from"),
        ("impact", "abc", "digest (6 hexadecimal digits or more)"),
    ],
)
def test_what_nobody_knows_is_a_clear_error(live: Delivered, command: str, key: str, sentence: str) -> None:
    run = mlops(command, key)
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
