"""When a run of the daemon breaks: its process is killed, a person cancels it, or PostgreSQL is away."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import dagster as dg
import psutil
import pytest
from fault_fixtures import Breaker
from patience import until

from jobs.pipelines import pipeline_name
from resources.embedded.process import alive
from workloads.sdk.contract import TEST

pytestmark = [pytest.mark.platform, pytest.mark.last]

TERMINATE = """mutation Terminate($run: String!) { terminateRun(runId: $run) {
    __typename ... on PythonError { message } } }"""


def launch(breaker: Breaker) -> str:
    """Train in a run of the daemon, when no other does."""
    until(lambda: nobody_trains(breaker))
    return breaker.world.launch(pipeline_name("wine"), breaker.delivered.version, None, "wine/models")


def process_of(breaker: Breaker, run_id: str) -> psutil.Process:
    """The process of a run, from what it says first."""
    events = breaker.world.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    (pid,) = {event.dagster_event.engine_event_data.metadata["pid"].value for event in events
              if "pid" in event.dagster_event.engine_event_data.metadata}  # fmt: skip
    return psutil.Process(int(pid))


def retry_of(breaker: Breaker, run_id: str) -> str:
    """The run that Dagster starts by itself where one was lost."""
    filters = dg.RunsFilter(tags={"dagster/parent_run_id": run_id})
    return until(lambda: breaker.world.instance.get_runs(filters))[0].run_id


def tracked(breaker: Breaker, root: str) -> list[tuple[str, str]]:
    """(status, tag `dagster.run`) of each run in MLflow that a run and its retries made."""
    client = breaker.world.resources.tracking.client
    experiment = client.get_experiment_by_name("dev.wine").experiment_id
    found = client.search_runs([experiment], f"tags.`dagster.root_run` = '{root}'")
    return [(run.info.status, run.data.tags["dagster.run"]) for run in found]


def nobody_trains(breaker: Breaker) -> bool:
    taken = breaker.world.instance.event_log_storage.get_concurrency_info("training").active_slot_count
    return taken == 0 and breaker.training() is None


def test_a_killed_run_goes_on_in_another_with_the_same_training(breaker: Breaker) -> None:
    before = breaker.known
    run = launch(breaker)
    with breaker.held() as training:
        process_of(breaker, run).kill()
        retry = retry_of(breaker, run)
        until(lambda: "attached to the job" in breaker.world.said(retry))
        assert breaker.training() == training
    assert breaker.world.wait(run).is_failure
    said = breaker.world.said(run)  # of Dagster's code server, or of the launcher where run monitoring is first
    assert "was terminated by signal 9" in said or "is gone: it was killed" in said, said
    assert breaker.world.wait(retry).is_success, breaker.world.said(retry)
    assert tracked(breaker, run) == [("FINISHED", retry)]
    assert len(breaker.known.candidates) == len(before.candidates) + 1
    assert until(lambda: nobody_trains(breaker))


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="this system sets no limits of another process")
def test_there_is_no_room_in_the_artifact_store(breaker: Breaker) -> None:
    before = breaker.known
    folder = breaker.world.resources.ledger.candidates.of("wine")[-1].artifacts_uri.removeprefix("file://")
    largest = max(file.stat().st_size for file in Path(folder).iterdir())
    run = launch(breaker)
    with breaker.held():
        process_of(breaker, run).rlimit(psutil.RLIMIT_FSIZE, (largest - 1, largest - 1))
    assert breaker.world.wait(run).is_failure
    said = breaker.world.said(run)
    assert f"files may not grow so large here: {breaker.home}/mlflow-artifacts/" in said, said
    assert "could not be written whole; raise that limit (`ulimit -f`), then run this again" in said
    assert "Traceback" not in said
    assert tracked(breaker, run) == [("FAILED", run)]
    assert breaker.known == before
    assert until(lambda: nobody_trains(breaker))


def test_a_cancelled_run_stops_its_training(breaker: Breaker) -> None:
    before = breaker.known
    run = launch(breaker)
    with breaker.held():
        breaker.world.graphql(TERMINATE, run=run)
        assert breaker.world.wait(run).status == dg.DagsterRunStatus.CANCELED
    assert tracked(breaker, run) == [("KILLED", run)]
    assert breaker.known == before
    assert until(lambda: nobody_trains(breaker))


@dataclass
class Load:
    """Requests to an endpoint, one after the other."""

    answered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@contextmanager
def load(breaker: Breaker) -> Iterator[Load]:
    """Twenty requests a second, while the block lasts."""
    resources, workload = breaker.world.resources, breaker.delivered.workload
    file = resources.registry.files("wine", breaker.delivered.version)[TEST]
    body = json.dumps(workload.resolve(workload.example)(file, 1)).encode()
    request = Request(f"{resources.serving.address('wine')}/predict", body, {"Content-Type": "application/json"})
    found, over = Load(), threading.Event()

    def ask() -> None:
        while not over.wait(0.05):
            try:
                with urlopen(request, timeout=30) as response:
                    found.answered.append(json.load(response)["prediction_id"])
            except OSError as error:
                found.failed.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_postgres_is_killed_under_a_run_and_the_endpoint_goes_on(breaker: Breaker) -> None:
    before = breaker.known
    with load(breaker) as requests:
        until(lambda: requests.answered)
        run = launch(breaker)
        with breaker.held():
            process = process_of(breaker, run)
            breaker.kill("postgres")
            begun = len(requests.answered)
        until(lambda: not alive(process))  # it cannot say what it did, so it ends
        until(lambda: len(requests.answered) > begun + 20)
        breaker.mend()
        assert breaker.world.wait(run).is_failure
        retry = retry_of(breaker, run)
        assert breaker.world.wait(retry).is_success, breaker.world.said(retry)
    assert requests.failed == []
    assert until(lambda: all(breaker.world.resources.predictions.find(each) for each in requests.answered))
    assert tracked(breaker, run) == [("FINISHED", retry)]
    assert len(breaker.known.candidates) == len(before.candidates) + 1
    assert until(lambda: nobody_trains(breaker))
