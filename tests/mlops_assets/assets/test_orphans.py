"""What a killed run left in MLflow is found by its declaration, and ended: on a real MLflow and ledger."""

import dagster as dg
import pytest

from mlops_assets.assets.orphans import reap
from mlops_assets.release.registration import Provenance, register_component
from mlops_assets.release.targets import ReleaseTarget, targets_of
from resources.all import Resources
from resources.ledger import Candidate, Ledger
from resources.settings import Settings
from resources.tracking import Tracking
from workloads.sdk.contract.loading import declared_of


class Killed(BaseException):
    """Stands for the end of the process."""


class Cut(Ledger):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.candidates.add = self.killed

    def killed(self, new):
        raise Killed


class CutLast(Tracking):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.runs.close = self.killed

    def killed(self, run_id, status):
        raise Killed


@pytest.fixture(scope="module")
def resources(mlflow: Settings) -> Resources:
    resources = Resources(mlflow.model_copy(update={"env": "orphans"}))
    resources.ledger.migrate()
    return resources


@pytest.fixture
def ended() -> str:
    return "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def instance(ended: str):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun("corpus_pipeline", run_id=ended, status=dg.DagsterRunStatus.FAILURE))
        yield instance


def register(target: ReleaseTarget, run: str, version: str, resources: Resources, **cut) -> Candidate:
    killed = Resources(resources.settings)
    vars(killed).update(cut)
    origin = Provenance(target.declared.data.name, version, "d", "c", "a", False, run)
    return register_component(target, {"table": version}, "title", origin, killed)


@pytest.mark.parametrize(
    ("package", "role"),
    [("workloads.corpus", "index"), ("workloads.rag", "language_model")],
)
def test_what_was_registered_and_never_entered_is_removed(
    package: str, role: str, resources: Resources, instance: dg.DagsterInstance, ended: str
) -> None:
    declared = declared_of(package)
    target = next(each for each in targets_of(declared) if each.role == role)
    with pytest.raises(Killed):
        register(target, ended, "1.0.0", resources, ledger=Cut(resources.settings))
    running = resources.tracking.runs.running()[declared.name]
    assert resources.tracking.registry.has(target.name, 1)
    (said,) = reap(declared, running, resources, instance)
    assert "failed" in said
    assert resources.tracking.runs.running()[declared.name] == {}
    assert not resources.tracking.registry.has(target.name, 1)


def test_what_was_entered_stays(resources: Resources, instance: dg.DagsterInstance, ended: str) -> None:
    declared = declared_of("workloads.rag")
    target = next(each for each in targets_of(declared) if each.role == "language_model")
    with pytest.raises(Killed):
        register(target, ended, "2.0.0", resources, tracking=CutLast(resources.settings))
    candidate = resources.ledger.candidates.newest(target.name)
    (said,) = reap(declared, resources.tracking.runs.running()[declared.name], resources, instance)
    assert "finished" in said
    assert resources.tracking.registry.has(target.name, candidate.number)
    assert resources.tracking.client.get_run(candidate.run_id).info.status == "FINISHED"


def test_what_still_runs_is_left_alone(resources: Resources, instance: dg.DagsterInstance) -> None:
    declared = declared_of("workloads.corpus")
    (target,) = targets_of(declared)
    instance.add_run(dg.DagsterRun("corpus_pipeline", run_id="a" * 32, status=dg.DagsterRunStatus.STARTED))
    with pytest.raises(Killed):
        register(target, "a" * 32, "3.0.0", resources, ledger=Cut(resources.settings))
    running = resources.tracking.runs.running()[declared.name]
    assert reap(declared, running, resources, instance) == []
    again = register(target, "a" * 32, "3.0.0", resources)
    assert again == resources.ledger.candidates.newest(target.name)
    assert resources.tracking.runs.running()[declared.name] == {}
