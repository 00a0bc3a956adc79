"""Fixtures of the tests of the graph: the platform as a person has it, and wine made live by sensor and daemon."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import dagster as dg
import pytest
from patience import until

from jobs.pipelines import pipeline_name
from mlops_assets import build
from resources.all import Resources
from resources.settings import REPOSITORY, Settings
from sensors.tick import trigger_tick
from workloads.sdk.contract import TEST, Workload
from workloads.sdk.contract.loading import workload_of

LAUNCH = """mutation Launch($run: ExecutionParams!) { launchRun(executionParams: $run) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""
BACKFILL = """mutation Backfill($what: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $what) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }"""


@dataclass(frozen=True)
class World:
    """The platform: its services, Dagster's instance, and what a person does with them."""

    settings: Settings
    resources: Resources
    instance: dg.DagsterInstance

    def release(self, workload: Workload, **parameters: Any) -> str:
        """Release data; its version."""
        return self.resources.registry.release(workload, parameters=parameters).version.version

    def wait(self, run_id: str) -> dg.DagsterRun:
        """A run, when it is over."""

        def over() -> dg.DagsterRun | None:
            run = self.instance.get_run_by_id(run_id)
            return run if run and run.is_finished else None

        return until(over)

    def sensed(self, workload: Workload, version: str) -> dg.DagsterRun:
        """The run that the data_tags sensor asked for, when it is over."""
        tags = {"dagster/partition": version, "dagster/sensor_name": "data_tags"}
        return self.by_sensor("data_tags", dg.RunsFilter(job_name=pipeline_name(workload.name), tags=tags))

    def by_sensor(self, sensor: str, filters: dg.RunsFilter, before: int = 0) -> dg.DagsterRun:
        """The newest run of a filter that a sensor asks for, when it is over; `before` are there already."""
        seen = 0.0

        def asked() -> list[dg.DagsterRun]:
            nonlocal seen
            runs = list(self.instance.get_runs(filters))
            if len(runs) <= before and time.monotonic() - seen > 3:  # a tick under way has not seen what was done
                trigger_tick(self.instance, sensor)
                seen = time.monotonic()
            return runs[: len(runs) - before]

        return self.wait(until(asked)[0].run_id)

    def launch(self, job: str, partition: str | None = None, config: dict | None = None, *steps: str) -> str:
        """Launch a run as the launchpad does; its id."""
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        selector = {
            "repositoryLocationName": "mlops_assets",
            "repositoryName": "__repository__",
            "jobName": job,
            **({"assetSelection": [{"path": step.split("/")} for step in steps]} if steps else {}),
        }
        run = {"selector": selector, "runConfigData": config or {}, "executionMetadata": {"tags": tags}}
        return self.graphql(LAUNCH, run=run)["launchRun"]["run"]["runId"]

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer of Dagster's webserver to what its UI asks."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.settings.dagster}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert not answer.get("errors"), answer
        (result,) = answer["data"].values()
        assert "Success" in result["__typename"], result
        return answer["data"]

    def backfill(self, job: str, partitions: list[str]) -> list[dg.DagsterRun]:
        """Launch a job for many partitions as the UI does; its runs, when all are over."""
        repository = {"repositoryLocationName": "mlops_assets", "repositoryName": "__repository__"}
        selector = {"partitionSetName": f"{job}_partition_set", "repositorySelector": repository}
        what = {"selector": selector, "partitionNames": partitions}
        identity = self.graphql(BACKFILL, what=what)["launchPartitionBackfill"]["backfillId"]
        filters = dg.RunsFilter(tags={"dagster/backfill": identity})

        def over() -> list[dg.DagsterRun]:
            runs = list(self.instance.get_runs(filters))
            return runs if len(runs) == len(partitions) and all(run.is_finished for run in runs) else []

        return until(over)

    def materialization(self, stage: str, thing: str, partition: str | None = None) -> dg.AssetMaterialization:
        """The newest one of an asset."""
        key = dg.AssetKey([thing, stage])
        filters = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
        (record,) = self.instance.fetch_materializations(filters, limit=1).records
        found = record.asset_materialization
        assert found is not None
        return found

    def checks(self, run_id: str) -> dict[str, dg.AssetCheckEvaluation]:
        """What a run's checks found, by `<stage>/<check>`."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = (event.dagster_event.asset_check_evaluation_data for event in events)
        return {f"{each.asset_key.path[-1]}/{each.check_name}": each for each in found}

    def said(self, run_id: str) -> str:
        """All that a run's log and errors say."""
        lines = []
        for entry in self.instance.all_logs(run_id):
            lines.append(entry.message or entry.user_message)
            error = getattr(entry.dagster_event and entry.dagster_event.event_specific_data, "error", None)
            while error:
                lines.append(error.message)
                error = error.cause
        return "\n".join(lines)

    def predict(self, workload: Workload, version: str, rows: int = 3) -> dict[str, Any]:
        """The endpoint's answer to the first rows of a data version's test split."""
        file = self.resources.registry.files(workload.data.name, version)[TEST]
        body = json.dumps(workload.resolve(workload.example)(file, rows)).encode()
        url = f"{self.resources.serving.address(workload.name)}/predict"
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30) as response:
            return json.load(response)


@dataclass(frozen=True)
class Delivered:
    """What the platform made of a data version."""

    workload: Workload
    version: str
    run: dg.DagsterRun


@pytest.fixture(scope="session")
def world(platform: Settings) -> Iterator[World]:
    with dg.DagsterInstance.from_config(str(platform.home / "dagster")) as instance:
        yield World(platform, Resources(platform), instance)


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    return build(REPOSITORY / "workloads")


@pytest.fixture(scope="session")
def live(world: World) -> Delivered:
    """wine's first version, released as data; all else is done by the sensor and the daemon."""
    workload = workload_of("workloads.wine")
    version = world.release(workload)
    return Delivered(workload, version, world.sensed(workload, version))


@pytest.fixture(scope="session")
def corrupted(world: World, live: Delivered) -> Delivered:
    """wine's second version, whose training rows are mostly wrong."""
    version = world.release(live.workload, corruption=0.6)
    return Delivered(live.workload, version, world.sensed(live.workload, version))
