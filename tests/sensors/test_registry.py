"""The registry sensor on a real MLflow and ledger, without the rest of the platform."""

from collections import Counter
from dataclasses import replace

import dagster as dg
import psycopg
import pytest
import requests
from echo.workload import workload as echo
from mlflow.entities import RunInfo
from release_shop import BAD, Shop
from release_support import OpenResources

from jobs.pipelines import pipelines
from mlops_assets.release.rollout import Delivery
from resources.all import Resources
from resources.ledger import aliases
from sensors import registry as sensed
from sensors.registry import registry

WORKLOADS = [replace(echo, name=f"sensed_{name}") for name in ("one", "two", "three")]


@pytest.fixture(scope="module")
def resources(open_resources: OpenResources) -> Resources:
    resources = Resources(open_resources.settings)
    resources.serving.migrate()
    vars(resources).update(ledger=open_resources.ledger, tracking=open_resources.tracking)
    return resources


@pytest.fixture(scope="module")
def shops(open_resources: OpenResources, model_run: RunInfo) -> list[Shop]:
    """A release of each workload, and a bad candidate after it."""
    shops = [Shop(open_resources, model_run, one.name) for one in WORKLOADS]
    for shop in shops:
        shop.consider(shop.train())
        shop.releasing.report(shop.train(wrong=BAD))
        shop.releasing.aliases.project()
    return shops


def tick(workloads, resources: Resources, instance: dg.DagsterInstance):
    sensor = registry(workloads, pipelines(workloads), resources.settings)
    delivery = Delivery(workloads, resources)
    with dg.build_sensor_context(
        instance=instance, resources={"ledger": resources.ledger, "delivery": delivery}
    ) as context:
        return sensor(context)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_tick_costs_the_same_for_any_number_of_targets(
    shops: list[Shop], resources: Resources, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counter()
    send, connect = requests.Session.send, psycopg.Connection.connect.__func__

    def sent(*arguments, **named):
        counted["requests"] += 1
        return send(*arguments, **named)

    def connected(*arguments, **named):
        counted[named.get("application_name")] += 1
        return connect(*arguments, **named)

    tick(WORKLOADS, resources, instance)  # connections that are kept are there now
    monkeypatch.setattr(requests.Session, "send", sent)
    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(connected))
    costs = []
    for some in (WORKLOADS[:1], WORKLOADS):
        counted.clear()
        tick(some, resources, instance)
        costs.append((counted["requests"], counted["mlops"]))
    assert costs[0] == costs[1]
    assert costs[0][1] == 0


def test_what_a_crash_left_and_what_somebody_moved_is_seen(
    shops: list[Shop], resources: Resources, instance: dg.DagsterInstance
) -> None:
    one, two, three = shops
    one.resources.tracking.registry.set_alias(one.target, "candidate", 1)  # to be put back
    two.resources.ledger.aliases.put_back(two.target, "test", "asked for, and not done")
    three.resources.tracking.registry.set_alias(three.target, "champion", 2)  # to be judged
    result = tick(WORKLOADS, resources, instance)
    assert (one.settled, two.settled) == (True, True)
    assert {request.job_name for request in result.run_requests if "adopt" in request.run_key} == {
        f"{three.target}_release"
    }
    assert {event.asset_key.path[0] for event in result.asset_events} == {shop.target for shop in shops}
    three.releasing.repair()
    assert all(shop.aliases == {"candidate": 2, "champion": 1} for shop in shops)


def test_one_that_fails_does_not_hold_up_the_others(
    shops: list[Shop], resources: Resources, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aliases, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(sensed, "FOLLOWS_SECONDS", float("inf"))  # so that no rollout is asked for, however slow it is
    for shop in shops[:2]:
        shop.resources.tracking.registry.set_alias(shop.target, "champion", 2)
    with resources.ledger.aliases.projecting(shops[0].target):
        result = tick(WORKLOADS, resources, instance)
        keys = [request.run_key for request in result.run_requests if "adopt" in request.run_key]
        assert [key.split(":")[0] for key in keys] == [shops[1].target]
        with pytest.raises(TimeoutError, match=shops[0].target):  # and nothing else is to be done
            tick(WORKLOADS[:1], resources, instance)
    for shop in shops[:2]:
        shop.releasing.repair()
        assert shop.settled
