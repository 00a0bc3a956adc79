"""When something breaks while a model is trained: one sentence, nothing half registered, and then it succeeds.

Real processes are killed. The training's own process is held (SIGSTOP) meanwhile, so that each moment is a certain one.
"""

import shutil

import pytest
from fault_fixtures import Breaker, sentence
from graph_fixtures import until

from resources.database import connect

pytest_plugins = ("graph_fixtures", "fault_fixtures")
pytestmark = [pytest.mark.platform, pytest.mark.last]


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
        said = sentence(breaker.start("datasets").result())
        assert "the DVC remote does not give it" in said, said
        kept.pop("data-remote").rename(breaker.home / "data-remote")
        result = breaker.start("datasets").result()
        assert result.success, sentence(result)
    finally:
        for folder, away in kept.items():
            shutil.rmtree(breaker.home / folder, ignore_errors=True)
            away.rename(breaker.home / folder)


def test_mlflow_is_killed_while_a_model_is_trained(breaker: Breaker) -> None:
    before = breaker.known
    run = breaker.start()
    with breaker.held():
        breaker.kill("mlflow")
    assert sentence(run.result()) == f"MLflow does not answer on {breaker.world.settings.mlflow}; run `mlops up`"
    breaker.mend()
    left = breaker.known
    assert (left.versions, left.candidates) == (before.versions, before.candidates)
    assert len(left.running) == 1  # nobody could tell MLflow; the next training does
    breaker.succeeds(before)


def test_postgres_is_killed_when_a_candidate_is_entered(breaker: Breaker) -> None:
    before, settings = breaker.known, breaker.world.settings
    with connect(settings) as connection:
        connection.execute(f"LOCK TABLE {settings.schema_of('ledger')}.candidate IN EXCLUSIVE MODE")
        run = breaker.start()
        until(lambda: breaker.known.versions > before.versions)  # registered, and not in the ledger
        breaker.kill("postgres")
        connection.close()
    address = f"127.0.0.1:{settings.postgres_port}"
    assert sentence(run.result()) == f"PostgreSQL does not answer on {address}; run `mlops up`"
    breaker.mend()
    assert breaker.known.candidates == before.candidates
    breaker.succeeds(before)


def test_ray_is_killed_while_a_model_is_trained(breaker: Breaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.compute.AWAY_SECONDS", 3)
    before = breaker.known
    run = breaker.start()
    with breaker.held():
        breaker.kill("ray")
    assert sentence(run.result()) == f"Ray does not answer at {breaker.world.settings.ray}; run `mlops up`"
    assert breaker.known == before
    breaker.mend()
    breaker.succeeds(before)
    until(lambda: breaker.world.predict(breaker.delivered.workload, breaker.delivered.version))
