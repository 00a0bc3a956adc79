"""A rollout takes what the ledger released to the replicas, and says what is served in the end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving_support import replica, version

from mlops_assets.release.rollout import Delivery
from resources.all import Resources
from resources.database import connect
from resources.ledger import Candidate, NewCandidate, Release
from resources.settings import Settings
from workloads.sdk.serving.replica import Replica
from workloads.wine.workload import workload


@pytest.fixture
def resources(postgres: Settings, monkeypatch: pytest.MonkeyPatch) -> Resources:
    """Of an environment of its own, whose replicas run in this process instead of Ray Serve."""
    resources = Resources(postgres.model_copy(update={"env": "rollout"}))
    resources.serving.migrate()
    resources.predictions.migrate()
    monkeypatch.setattr(resources.serving, "deploy", lambda *args, **kw: None)
    return resources


@pytest.fixture
def one(resources: Resources, tmp_path: Path) -> Iterator[Replica]:
    one = replica(resources.serving, tmp_path, "wine-1", "wine")
    yield one
    one.close()


def released(resources: Resources, folder: Path, number: int) -> tuple[Candidate, Release]:
    made = version(folder, float(number))
    new = NewCandidate(
        thing="wine", number=number, digest=made.digest, artifacts_uri=made.artifacts_uri, variant="small"
    )
    candidate = resources.ledger.candidates.add(new)
    release = resources.ledger.decide(candidate.id, "release", actor="test", why="test")
    assert release is not None
    return candidate, release


def test_what_is_released_is_served_and_a_newer_release_stays(
    resources: Resources, one: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery([replace(workload, package="workloads.wine")], resources)
    first_candidate, first = released(resources, tmp_path, 1)
    live = delivery.roll_out("wine")
    assert (live.release, live.candidate, live.replicas) == (first, first_candidate, 1)
    assert one.current is not None
    assert (one.current.version.release_id, one.current.version.info) == (first.id, {"variant": "small"})
    assert one.current.version.trained_at == first_candidate.created_at.isoformat()
    assert delivery.roll_out("wine").plan == live.plan

    second_candidate, second = released(resources, tmp_path, 2)
    assert delivery.behind("wine") == [second]
    newer = delivery.roll_out("wine")
    # Another process read the release before the second one was made.
    monkeypatch.setattr(delivery, "_release", lambda declared: first)
    late = delivery.roll_out("wine")
    assert (late.release, late.candidate, late.plan) == (second, second_candidate, newer.plan)
    assert one.current.version.release_id == second.id

    monkeypatch.undo()
    monkeypatch.setattr(resources.serving, "deploy", lambda *args, **kw: None)
    back = resources.ledger.decide(first_candidate.id, "rollback", actor="test", why="test")
    assert back is not None
    assert delivery.roll_out("wine").release == back
    assert (one.current.version.digest, one.current.version.release_id) == (first.digest, back.id)
    assert delivery.behind("wine") == []
    with connect(resources.settings) as connection:
        plans = resources.serving.plans.newest(connection, "wine", 10)
    assert [plan.version.release_id for plan in plans] == [back.id, second.id, first.id]
