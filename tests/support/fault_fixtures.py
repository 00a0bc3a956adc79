"""What the tests of faults share: wine trained beside the daemon's sight, held at a certain moment, and harm done."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest
from graph_fixtures import Delivered, World
from homes import kill
from patience import until

from jobs.pipelines import pipeline_name
from mlops_assets.assets.partitions import partitions_name
from resources.embedded import Platform
from resources.embedded.process import alive


@dataclass
class Registered:
    """What is known of wine: versions in MLflow, candidates in the ledger, runs that nobody ended."""

    versions: set[int]
    candidates: set[int]
    running: set[str]


@dataclass
class Breaker:
    """Materializes wine's first version in this process, with what the platform's daemon does not see; does harm."""

    world: World
    delivered: Delivered
    instance: dg.DagsterInstance
    job: dg.JobDefinition
    pool: ThreadPoolExecutor

    def start(self, stage: str = "models") -> "Future[dg.ExecuteInProcessResult]":
        """Materialize one asset in another thread."""
        job = self.job.get_subset(asset_selection={dg.AssetKey(["wine", stage])})
        how = {"instance": self.instance, "partition_key": self.delivered.version, "raise_on_error": False}
        return self.pool.submit(lambda: job.execute_in_process(**how))

    def training(self) -> psutil.Process | None:
        """The process that trains wine now."""
        for process in psutil.process_iter():
            try:
                command = process.cmdline()
                if command[1:3] == ["-m", "workloads.wine.train"] and command[4].startswith(str(self.home)):
                    return process
            except psutil.Error:
                continue
        return None

    @contextmanager
    def held(self) -> Iterator[psutil.Process]:
        """The training that has just begun, stopped while the block lasts."""
        process = until(self.training)
        process.suspend()
        try:
            yield process
        finally:
            if alive(process):
                process.resume()

    def kill(self, name: str) -> None:
        """All of a part's processes at once."""
        part = next(part for part in Platform(self.world.settings).parts if part.name == name)
        kill(*part.processes())
        until(lambda: not [process for process in part.processes() if alive(process)])

    def mend(self) -> None:
        assert Platform(self.world.settings).up() is True

    @property
    def home(self) -> Path:
        return self.world.settings.home

    @property
    def known(self) -> Registered:
        resources = self.world.resources
        versions = resources.tracking.client.search_model_versions("name = 'dev.wine'")
        return Registered(
            {int(version.version) for version in versions},
            {candidate.number for candidate in resources.ledger.candidates.of("wine")},
            set(resources.tracking.runs.running().get("wine", {})),
        )

    def asks_again(self, said: str) -> None:
        """Wait until a step has said that it will be asked for again, and why."""

        def why() -> list[str]:
            runs = self.instance.get_runs(limit=1)
            kind = dg.DagsterEventType.STEP_UP_FOR_RETRY
            events = [event.dagster_event for run in runs for event in self.instance.all_logs(run.run_id, of_type=kind)]
            return [event.step_retry_data.error.cause.message for event in events]

        assert said in until(why)[0]

    def succeeds(self, before: Registered, run: "Future[dg.ExecuteInProcessResult] | None" = None) -> None:
        """What is trained, now or in a run: one version and one candidate more than before, and nothing is left."""
        result = (run or self.start()).result()
        assert result.success, sentence(result)
        assert until(lambda: not self.training())
        after = self.known
        assert len(after.candidates) == len(before.candidates) + 1
        assert after.versions - before.versions == after.candidates - before.candidates
        assert after.running == before.running == set()
        assert self.world.resources.ledger.aliases.pending("wine") == []
        assert self.world.resources.tracking.registry.aliases("wine")["candidate"] == max(after.candidates)


def sentence(result: dg.ExecuteInProcessResult) -> str:
    """All that the failed step says: a Failure with no cause behind it."""
    (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    error = failed.step_failure_data.error
    assert failed.step_failure_data.user_failure_data is not None, error
    assert error.cause is None
    assert error.context is None
    return failed.step_failure_data.user_failure_data.description


@pytest.fixture(scope="module")
def breaker(world: World, live: Delivered, definitions: dg.Definitions) -> Iterator[Breaker]:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        ThreadPoolExecutor(1) as pool,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr("mlops_assets.assets.errors.AGAIN_SECONDS", 1)
        instance.add_dynamic_partitions(partitions_name("wine"), [live.version])
        yield Breaker(world, live, instance, definitions.resolve_job_def(pipeline_name("wine")), pool)
