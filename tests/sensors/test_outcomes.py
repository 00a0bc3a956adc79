"""What came of the newest data version: alerted where its run failed, asked for again where it was lost, and shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from jobs.failures import failure
from mlops_assets.assets.errors import clean_errors
from mlops_assets.commands import progress
from mlops_assets.commands.progress import NotLive, follow, outcome
from resources.all import Resources
from resources.compute import ComputeUnavailable, JobFailed
from resources.ledger import Alert
from resources.registry.version import DataVersion
from resources.settings import Settings
from sensors.outcomes import AGAIN, MOST, outcomes
from workloads.sdk.contract import Workload

VERSION = "1.0.0"


def away() -> None:
    raise ComputeUnavailable("Ray does not answer")


def broken() -> None:
    raise JobFailed("Training wine failed with exit code 1: no rows")


def bug() -> None:
    raise ZeroDivisionError("division by zero")


def well() -> None:
    pass


@dataclass
class Pipeline:
    """wine's newest data version, and runs of its pipeline that end as we choose."""

    workload: Workload
    resources: Resources
    instance: dg.DagsterInstance

    def run(self, body: Callable[[], None], version: str = VERSION, **tags: str) -> str:
        @dg.op(name="wine__datasets")
        @clean_errors
        def step() -> None:
            body()

        @dg.job(name="wine_pipeline", executor_def=dg.in_process_executor)
        def job() -> None:
            step()

        tags = {"dagster/partition": version, **tags}
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False).run_id

    def tick(self) -> list[dg.RunRequest]:
        return list(outcomes(self.workload, self.resources.ledger, self.instance))

    @property
    def alerts(self) -> list[Alert]:
        return self.resources.ledger.alerts.standing("failed-run")

    def outcome(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        return outcome(self.workload, VERSION, run, self.resources, self.instance)


@pytest.fixture
def pipeline(
    wine: Workload, postgres: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    monkeypatch.setattr("mlops_assets.assets.errors.AGAIN", 0)
    monkeypatch.setattr("sensors.outcomes.SETTLED_SECONDS", 0)
    resources = Resources(postgres.model_copy(update={"env": f"outcome{sum(request.node.name.encode()) % 10000}"}))
    resources.ledger.migrate()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("wine_data", ["0.9.0", VERSION])
        yield Pipeline(wine, resources, instance)


def test_what_failed_since_a_service_was_away_is_asked_for_again_and_alerted(pipeline: Pipeline) -> None:
    assert pipeline.tick() == []
    run = pipeline.run(away)
    (request,) = pipeline.tick()
    assert (request.job_name, request.partition_key, request.tags[AGAIN]) == ("wine_pipeline", VERSION, "1")
    assert [each.run_key for each in pipeline.tick()] == [request.run_key]  # the daemon lets it through once
    (alert,) = pipeline.alerts
    assert (alert.thing, alert.count) == ("wine", 1)
    assert f"the run of wine-v{VERSION} failed: Ray does not answer (" in alert.text
    assert alert.text.endswith(f"/runs/{run}); it is asked for again")
    pipeline.run(away, **request.tags)
    (second,) = pipeline.tick()
    assert (second.tags[AGAIN], second.run_key != request.run_key) == ("2", True)
    pipeline.run(away, **{AGAIN: str(MOST)})
    assert pipeline.tick() == []
    (alert,) = pipeline.alerts
    assert alert.text.endswith("materialize it again")
    pipeline.run(well)
    assert pipeline.tick() == []
    assert pipeline.alerts == []


@pytest.mark.parametrize(("body", "said"), [(broken, "exit code 1: no rows"), (bug, "division by zero")])
def test_what_failed_for_a_reason_of_its_own_is_alerted_and_not_repeated(
    pipeline: Pipeline, body: Callable[[], None], said: str
) -> None:
    run = pipeline.run(body)
    assert pipeline.tick() == []
    (alert,) = pipeline.alerts
    assert said in alert.text
    assert alert.text.endswith("what was live stays live; mend it, and materialize it again")
    pipeline.run(body, "0.9.0")  # of an older version
    assert pipeline.tick() == []
    assert pipeline.alerts == [alert]
    with pytest.raises(NotLive, match=said):
        pipeline.outcome(run)


def test_a_run_that_another_goes_on_with_has_not_failed_yet(pipeline: Pipeline) -> None:
    run = pipeline.instance.get_run_by_id(pipeline.run(bug, **{"dagster/will_retry": "true"}))
    assert failure(pipeline.instance, run) is None
    assert pipeline.tick() == []
    assert pipeline.alerts == []


def test_a_version_is_followed_to_its_end_or_to_the_reason(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def followed(version: str) -> Any:
        return follow(pipeline.workload, version, pipeline.resources, pipeline.instance, lines.append)

    lines: list[str] = []
    run = pipeline.run(well)
    assert followed(VERSION).run_id == run
    assert lines == [f"wine {VERSION}: the run is over: success"]
    assert f"wine-v{VERSION} went through, and nothing of wine stays live" in pipeline.outcome(run)
    monkeypatch.setattr(progress, "ASKED_SECONDS", 0)
    pipeline.resources.ledger.alerts.add("wine", "waits", "wine waits for a release of index/corpus")
    with pytest.raises(NotLive, match=r"since wine-v2\.0\.0 is there: wine waits for a release of index/corpus"):
        followed("2.0.0")
    newer = DataVersion("wine", "3.0.0", "wine-v3.0.0", "c" * 40, "d" * 64, "here", {}, [])
    pipeline.resources.ledger.data.record(newer)
    with pytest.raises(NotLive, match=r"wine-v3\.0\.0 is newer than wine-v2\.0\.0, and is what is trained"):
        followed("2.0.0")
