"""When something breaks while a model is trained: one sentence, nothing half registered, and then it succeeds.

Real processes are killed. The training's own process is held (SIGSTOP) meanwhile, so that each moment is a certain one.
"""

import json
import shutil
from pathlib import Path

import psutil
import pytest
from fault_fixtures import Breaker, sentence
from graph_fixtures import Delivered
from patience import until

from resources.database import connect
from resources.http import request
from workloads.sdk.contract import TRAIN

pytestmark = [pytest.mark.platform, pytest.mark.last]


def damage(*files: Path) -> None:
    """Change a byte in the middle of each file."""
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.chmod(0o644)  # DVC's cache is read-only
        file.write_bytes(content)


def test_a_killed_training_is_one_error_and_leaves_nothing(breaker: Breaker) -> None:
    before = breaker.known
    run = breaker.start()
    with breaker.held() as process:
        process.kill()
    said = sentence(run.result())
    assert said.startswith(f"Training wine on {breaker.delivered.version} failed with exit code"), said
    assert breaker.known == before
    breaker.succeeds(before)


def test_data_that_neither_cache_nor_remote_gives(breaker: Breaker) -> None:
    kept = {
        folder: breaker.home / f"{folder.replace('/', '-')}-away" for folder in ("data", "data-work", "data-remote")
    }
    for folder, away in kept.items():
        (breaker.home / folder).rename(away)
    try:
        run = breaker.start("datasets")
        breaker.asks_again("the DVC remote does not give it")
        kept.pop("data-remote").rename(breaker.home / "data-remote")
        assert run.result().success, sentence(run.result())
    finally:
        for folder, away in kept.items():
            shutil.rmtree(breaker.home / folder, ignore_errors=True)
            away.rename(breaker.home / folder)


def test_caches_that_were_damaged_are_repaired(breaker: Breaker) -> None:
    registry = breaker.world.resources.registry
    version = registry.version("wine", breaker.delivered.version)
    train = next(file for file in version.files if file.split == TRAIN)
    own = registry.files("wine", version.version)[TRAIN]
    cached = registry.store.cached(train)
    (remote,) = (breaker.home / "data-remote").rglob(f"{train.md5[:2]}/{train.md5[2:]}")
    whole = remote.read_bytes()
    damage(own, cached)
    result = breaker.start("datasets").result()
    assert result.success, sentence(result)
    assert own.read_bytes() == cached.read_bytes() == whole
    assert all(check.intact for check in registry.verify("wine", version.version))
    damage(own, cached, remote)
    before = breaker.known
    try:
        said = sentence(breaker.start().result())
        assert said.startswith(f"{train.path} of {version.tag} has sha256 "), said
        assert "cache and remote are damaged; release the data again" in said
        assert breaker.known == before
    finally:
        remote.write_bytes(whole)
    breaker.succeeds(before)
    assert own.read_bytes() == cached.read_bytes() == whole


def test_an_artifact_that_was_damaged_is_not_served(breaker: Breaker, corrupted: Delivered) -> None:
    resources, version = breaker.world.resources, breaker.delivered.version
    other, current = resources.ledger.candidates.of("wine", corrupted.version)[-1], resources.ledger.current("wine")
    assert current is not None
    folder = resources.tracking.runs.artifacts(other.artifacts_uri, other.digest)
    file = max(folder.iterdir(), key=lambda each: each.stat().st_size)
    whole = file.read_bytes()
    url = f"{resources.serving.address('wine')}/example?version={other.number}"
    damage(file)
    try:
        status, body = until(lambda: answer if (answer := request(url))[0] not in (404, 503) else None)
        said = json.loads(body)["error"]["message"]
        assert status == 409, said
        assert f"{file} was changed: its SHA-256 is not the one in manifest.json; put the file back, or train" in said
        assert breaker.world.predict(breaker.delivered.workload, version)["version"] == current.version
    finally:
        file.write_bytes(whole)
    until(lambda: request(url)[0] == 200)


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="this system sets no limits of another process")
def test_there_is_no_room_for_the_model_while_it_is_trained(breaker: Breaker) -> None:
    before = breaker.known
    run = breaker.start()
    with breaker.held() as process:
        process.rlimit(psutil.RLIMIT_FSIZE, (20_000, 20_000))  # bytes of any file; holds for root too
    said = sentence(run.result()).splitlines()[0]
    title = f"Training wine on {breaker.delivered.version} failed with exit code 1"
    assert said.startswith(f"{title}: files may not grow so large here: {breaker.home}/"), said
    assert "/out/" in said
    assert "could not be written whole; raise that limit (`ulimit -f`), then run this again" in said
    assert breaker.known == before
    breaker.succeeds(before)


def test_mlflow_is_killed_while_a_model_is_trained(breaker: Breaker) -> None:
    before = breaker.known
    run = breaker.start()
    with breaker.held():
        breaker.kill("mlflow")
    breaker.asks_again(f"MLflow does not answer on {breaker.world.settings.mlflow}; run `mlops up`")
    breaker.mend()
    breaker.succeeds(before, run)


def test_postgres_is_killed_when_a_candidate_is_entered(breaker: Breaker) -> None:
    before, settings = breaker.known, breaker.world.settings
    with connect(settings) as connection:
        connection.execute(f"LOCK TABLE {settings.schema_of('ledger')}.candidate IN EXCLUSIVE MODE")
        run = breaker.start()
        until(lambda: breaker.known.versions > before.versions)  # registered, and not in the ledger
        breaker.kill("postgres")
        connection.close()
    address = f"127.0.0.1:{settings.postgres_port}"
    breaker.asks_again(f"PostgreSQL does not answer on {address}; run `mlops up`")
    breaker.mend()
    breaker.succeeds(before, run)


def test_ray_is_killed_while_a_model_is_trained(breaker: Breaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.compute.AWAY_SECONDS", 3)
    before = breaker.known
    run = breaker.start()
    with breaker.held():
        breaker.kill("ray")
    breaker.asks_again(f"Ray does not answer at {breaker.world.settings.ray}; run `mlops up`")
    breaker.mend()
    breaker.succeeds(before, run)
    until(lambda: breaker.world.predict(breaker.delivered.workload, breaker.delivered.version))
