"""Training beside live endpoints on a small machine: one at a time, nobody waits for ever, and no request fails."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import dagster as dg
import pytest
from graph_fixtures import Delivered, World

from mlops_assets.gates.evaluators import releasing
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import model_of
from workloads.sdk.contract import TEST, Workload
from workloads.sdk.contract.loading import workload_of

pytestmark = pytest.mark.platform

CONNECTIONS = 2


@pytest.fixture(scope="module")
def fashion(world: World) -> Delivered:
    """Fashion-MNIST, live, of so few rows that its gate refuses it: a person overrides that."""
    workload = workload_of("workloads.fashion_mnist")
    version = world.release(workload, rows=1000)
    run = world.sensed(workload, version)
    candidate = world.resources.ledger.candidates.newest(workload.name, data_version=version)
    assert candidate is not None, world.said(run.run_id)
    assert candidate.dagster_run == run.run_id
    releasing(model_of(workload), world.resources).override(candidate, "a person", "few rows are enough here")
    Delivery([workload], world.resources).roll_out(workload.name)
    return Delivered(workload, version, run)


@contextmanager
def load(world: World, served: list[Delivered]) -> Iterator[Counter]:
    """Constant requests to endpoints; the value counts them by endpoint and status."""
    seen, stop, lock = Counter(), threading.Event(), threading.Lock()

    def ask(workload: Workload, body: bytes) -> None:
        place = urlsplit(world.resources.serving.address(workload.name))
        connection = HTTPConnection(str(place.hostname), place.port, timeout=30)
        while not stop.is_set():
            connection.request("POST", f"{place.path}/predict", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            with lock:
                seen[workload.name, response.status] += 1
            stop.wait(0.02)  # constant, and yet leaving the machine something to train with

    threads = []
    for each in served:
        file = world.resources.registry.files(each.workload.data.name, each.version)[TEST]
        body = json.dumps(each.workload.resolve(each.workload.example)(file, 1)).encode()
        threads += [threading.Thread(target=ask, args=[each.workload, body]) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def trained(world: World, run: dg.DagsterRun, step: str) -> tuple[float, float]:
    """When a run's training began and ended."""
    (stats,) = world.instance.get_run_step_stats(run.run_id, [step])
    assert stats.start_time
    assert stats.end_time
    return stats.start_time, stats.end_time


def test_both_retrain_while_both_endpoints_answer(world: World, live: Delivered, fashion: Delivered) -> None:
    ledger, both = world.resources.ledger, [live, fashion]
    before = {each.workload.name: len(ledger.candidates.of(each.workload.name)) for each in both}
    configs = {"wine": {"trees": 30, "seed": 7}, "fashion_mnist": {"epochs": 1, "seed": 7}}
    with load(world, both) as seen:
        launched = {}
        for each in both:
            name = each.workload.name
            config = {"ops": {f"{name}__models": {"config": configs[name]}}}
            launched[name] = world.launch(f"{name}_pipeline", each.version, config, f"{name}/models")
        runs = {name: world.wait(run_id) for name, run_id in launched.items()}
        answered = Counter(seen)
    for name, run in runs.items():
        newest = ledger.candidates.of(name)[before[name] :]
        assert [candidate.dagster_run for candidate in newest] == [run.run_id], world.said(run.run_id)
        assert newest[0].parameters["seed"] == 7
    assert {status for _, status in seen} == {200}
    assert all(answered[each.workload.name, 200] > 20 for each in both)
    (begun, ended), (other_begun, other_ended) = sorted(
        trained(world, run, f"{name}__models") for name, run in runs.items()
    )
    assert ended <= other_begun  # the pool lets one train at a time
    assert other_ended > other_begun > begun
