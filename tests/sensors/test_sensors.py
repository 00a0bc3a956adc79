"""Sensors: what becomes partition and run, what a crash left is gone on with, what people move by hand is judged."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from graph_fixtures import Delivered, World
from patience import until
from psycopg.types.json import Jsonb

from jobs.pipelines import pipelines, release_name, rollout_name
from jobs.refresh import daily, refresh
from mlops_assets.assets.datasets import registry_key
from mlops_assets.assets.partitions import partitions_name
from mlops_assets.gates.evaluators import releasing
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import model_of
from resources.database import connect
from resources.ledger import Candidate, Ledger
from resources.registry import DataRegistry
from resources.settings import Settings
from sensors.data_tags import AT_ONCE, data_tags
from sensors.registry import registry
from sensors.tick import trigger_tick
from workloads.sdk.contract import Workload
from workloads.sdk.serving.versions.plan import Plans

pytestmark = pytest.mark.platform


@dataclass
class Tags:
    """A registry with tags of our choosing, and the sensor that looks at them."""

    folder: Path
    commits: list[str]
    workload: Workload
    ledger: Ledger
    instance: dg.DagsterInstance
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.registry = DataRegistry(Settings(home=self.folder))
        self.sensor = data_tags([self.workload], pipelines([self.workload]), self.ledger.settings)

    def set(self, *versions: str, commit: int = 0) -> None:
        refs = {f"refs/tags/wine-v{version}": self.commits[commit] for version in versions}
        packed = Path(self.registry.settings.registry, "packed-refs")  # thousands at once
        kept = [line for line in packed.read_text().splitlines() if line.split(" ")[-1] not in refs]
        lines = sorted([*kept[1:], *(f"{commit} {name}" for name, commit in refs.items())], key=lambda line: line[41:])
        packed.write_text("\n".join(["# pack-refs with: sorted", *lines]) + "\n")

    def remove(self, *versions: str) -> None:
        folder = self.registry.settings.registry
        subprocess.run(["git", "-C", folder, "tag", "--delete", *(f"wine-v{each}" for each in versions)], check=True)

    def tick(self) -> Any:
        """What the sensor answers with; nothing of it is done."""
        resources = {"registry": self.registry, "ledger": self.ledger}
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources)
        return self.sensor(context)

    def done(self, result: dg.SensorResult) -> None:
        """Do what the daemon does with an answer, but for the runs."""
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor

    @property
    def registered(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions(partitions_name("wine")))

    @property
    def alerts(self) -> list[str]:
        return [alert.text for alert in self.ledger.alerts.standing() if alert.kind == "moved-tag"]


@pytest.fixture
def tags(world: World, live: Delivered, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tags]:
    """A copy of the platform's registry without its tags; its two commits are two versions' content."""
    source = world.settings.registry
    versions = world.resources.registry.versions("wine")[:2]
    subprocess.run(["git", "clone", "--quiet", "--bare", source, tmp_path / "data-registry"], check=True)
    names = subprocess.run(
        ["git", "-C", tmp_path / "data-registry", "tag"], capture_output=True, text=True, check=True
    ).stdout.split()
    subprocess.run(["git", "-C", tmp_path / "data-registry", "tag", "--delete", *names], check=True)
    env = f"tags{sum(request.node.name.encode()) % 10000}"
    ledger = Ledger(world.settings.model_copy(update={"env": env}))
    ledger.migrate()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Tags(tmp_path, [version.commit for version in versions], live.workload, ledger, instance)


def test_new_tags_become_partitions_and_only_the_newest_is_trained(tags: Tags) -> None:
    tags.set("1.0.0", "1.9.0", "1.10.0")
    result = tags.tick()
    tags.done(result)
    assert tags.registered == ["1.0.0", "1.9.0", "1.10.0"]
    assert tags.instance.get_materialized_partitions(registry_key("wine")) == set(tags.registered)
    (request,) = result.run_requests
    digest = tags.ledger.data.versions("wine")[0].digest
    assert (request.partition_key, request.job_name) == ("1.10.0", "wine_pipeline")
    assert request.run_key == f"wine-v1.10.0:{digest}"  # the content's, so that no other content is taken for it
    assert isinstance(tags.tick(), dg.SkipReason)


def test_ten_thousand_tags_cost_two_processes(tags: Tags, git_calls: Path) -> None:
    tags.set(*(f"1.{number}.0" for number in range(10_000)))
    git_calls.unlink(missing_ok=True)
    result = tags.tick()
    calls = git_calls.read_text().splitlines()
    assert len(calls) == 2, calls
    assert sum("ls-remote" in call for call in calls) == 1
    assert [request.partition_key for request in result.run_requests] == ["1.9999.0"]
    tags.done(result)
    assert tags.registered == [f"1.{number}.0" for number in range(10_000)]
    assert len(result.asset_events) == len(tags.ledger.data.commits("wine")) == AT_ONCE
    assert tags.cursor is None  # there is more
    assert {event.partition for event in tags.tick().asset_events} == {f"1.{n}.0" for n in range(9600, 9800)}


def test_tags_that_did_not_change_cost_one_process(tags: Tags, git_calls: Path) -> None:
    tags.set("1.0.0")
    tags.done(tags.tick())
    git_calls.unlink()
    assert isinstance(tags.tick(), dg.SkipReason)
    (call,) = git_calls.read_text().splitlines()
    assert "ls-remote" in call


def test_what_a_crash_left_half_done_is_gone_on_with(tags: Tags) -> None:
    tags.set("1.0.0", "1.1.0")
    (request,) = tags.tick().run_requests
    tags.instance.add_dynamic_partitions(partitions_name("wine"), ["1.0.0", "1.1.0"])  # and then it was killed
    again = tags.tick()
    assert [each.run_key for each in again.run_requests] == [request.run_key]
    assert not again.dynamic_partitions_requests
    assert {event.partition for event in again.asset_events} == {"1.0.0", "1.1.0"}
    tags.done(again)
    tags.cursor = None
    assert tags.tick().asset_events == []


def test_a_moved_tag_raises_an_alert_and_trains_nothing(tags: Tags) -> None:
    tags.set("1.0.0", "1.1.0")
    tags.done(tags.tick())
    other = subprocess.run(
        ["git", "-C", tags.registry.settings.registry, "rev-parse", f"{tags.commits[0]}~1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    tags.commits.append(other)
    tags.set("1.1.0", commit=-1)
    result = tags.tick()
    assert [request.partition_key for request in result.run_requests] == ["1.0.0"]  # whose key has had its run
    assert result.asset_events == []
    (alert,) = tags.alerts
    assert "wine-v1.1.0 was moved" in alert
    assert other[:12] in alert
    tags.done(tags.tick())
    assert len(tags.alerts) == 1
    tags.set("1.1.0")
    tags.tick()
    assert tags.alerts == []


def test_tags_that_are_none_or_gone_are_named_for_as_long_as_they_are(tags: Tags) -> None:
    def told() -> dict[str, str]:
        return {alert.kind: alert.text for alert in tags.ledger.alerts.standing()}

    tags.set("1.0.0", "1.1.0", "1.0", "2.0.0-rc1")
    tags.done(tags.tick())
    assert tags.registered == ["1.0.0", "1.1.0"]
    assert told()["strange-tag"].startswith("wine-v1.0; wine-v2.0.0-rc1: a data tag is written <dataset>-v<major>.")
    tags.remove("1.0.0", "1.0", "2.0.0-rc1")
    tags.tick()
    assert list(told()) == ["deleted-tag"]
    assert told()["deleted-tag"].startswith(f"wine-v1.0.0 was deleted, and was at {tags.commits[0][:12]}")
    tags.set("1.0.0")
    tags.tick()
    assert told() == {}


def test_sensors_start_stopped_where_a_service_is_external(live: Delivered, world: World) -> None:
    jobs, job = pipelines([live.workload]), refresh([live.workload])
    for settings, running in ((world.settings, True), (world.settings.model_copy(update={"mlflow_url": "x"}), False)):
        sensors = [make([live.workload], jobs, settings) for make in (data_tags, registry)]
        assert [one.default_status == dg.DefaultSensorStatus.RUNNING for one in sensors] == [running, running]
        assert (daily(job, [live.workload], settings).default_status == dg.DefaultScheduleStatus.RUNNING) == running


def test_a_poked_sensor_looks_at_once(world: World, live: Delivered) -> None:
    def ticks() -> int:
        (state,) = [one for one in world.instance.all_instigator_state() if one.instigator_name == "data_tags"]
        return len(world.instance.get_ticks(state.instigator_origin_id, state.selector_id))

    before = ticks()
    assert trigger_tick(world.instance, "data_tags")
    until(lambda: ticks() > before, seconds=25)  # its interval is 30 s
    assert not trigger_tick(world.instance, "no_such_sensor")


# --- aliases moved by hand ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hand:
    """A person who moves @champion in MLflow, and waits for what the platform makes of it."""

    world: World

    def move(self, number: int) -> dg.DagsterRun:
        filters = dg.RunsFilter(job_name=release_name("wine"), tags={"dagster/sensor_name": "registry"})
        before = self.world.instance.get_runs_count(filters)
        self.world.resources.tracking.registry.set_alias("wine", "champion", number)
        return self.world.by_sensor("registry", filters, before)

    @property
    def live(self) -> int:
        current = self.world.resources.ledger.current("wine")
        assert current
        return current.number

    @property
    def seen(self) -> int:
        """How often a version was refused that an alias was moved to."""
        return sum(alert.count for alert in self.world.resources.ledger.alerts.since() if alert.kind == "refuse")

    @property
    def alerts(self) -> list[str]:
        return [alert.text for alert in self.world.resources.ledger.alerts.since() if alert.thing == "wine"]


@pytest.fixture
def hand(world: World) -> Hand:
    return Hand(world)


@pytest.fixture(scope="module")
def other(world: World, live: Delivered, definitions: dg.Definitions) -> Candidate:
    """Another good candidate, which is not released."""
    job = definitions.resolve_job_def("wine_pipeline").get_subset(asset_selection={dg.AssetKey(["wine", "models"])})
    config = {"ops": {"wine__models": {"config": {"trees": 60}}}}
    result = job.execute_in_process(run_config=config, partition_key=live.version, instance=world.instance)
    assert result.success
    return world.resources.ledger.candidates.of("wine", live.version)[-1]


def test_an_alias_moved_by_hand_is_judged_and_released(
    world: World, live: Delivered, hand: Hand, other: Candidate
) -> None:
    assert hand.live != other.number
    run = hand.move(other.number)
    assert run.is_success, world.said(run.run_id)
    current = world.resources.ledger.current("wine")
    assert current
    assert (current.number, current.action, current.actor) == (other.number, "adopt", "mlflow")
    assert world.predict(live.workload, live.version)["release_id"] == current.id
    assert world.resources.tracking.registry.aliases("wine")["champion"] == other.number


def test_an_alias_on_a_model_that_the_gate_refuses_is_put_back_each_time(
    world: World, corrupted: Delivered, hand: Hand
) -> None:
    bad = world.resources.ledger.candidates.of("wine", corrupted.version)[-1]
    before = hand.live
    keys = set()
    for _ in range(2):
        seen = hand.seen
        run = hand.move(bad.number)
        keys.add(run.tags["dagster/run_key"])
        assert hand.seen == seen + 1
        assert any(f"version {bad.number} is refused" in text for text in hand.alerts)
        until(lambda: world.resources.tracking.registry.aliases("wine")["champion"] == before)
        assert hand.live == before
    assert len(keys) == 2
    answer = world.predict(corrupted.workload, corrupted.version)
    current = world.resources.ledger.current("wine")
    assert current
    assert answer["version"] == current.version


def test_a_plan_that_is_not_what_is_released_is_rolled_out(world: World, live: Delivered, other: Candidate) -> None:
    ledger, serving = world.resources.ledger, world.resources.serving
    current = ledger.current("wine")
    first = ledger.releases("wine")[0]
    assert current
    assert first.id != current.id
    filters = dg.RunsFilter(job_name=rollout_name("wine"), tags={"dagster/sensor_name": "registry"})
    before = world.instance.get_runs_count(filters)
    with connect(world.settings, autocommit=True) as connection:  # publishing it would be refused: it is older
        text = serving.plans._sql("INSERT INTO {plans} (endpoint, versions) VALUES ('wine', %s) RETURNING number")
        (number,) = connection.execute(text, [Jsonb([serving.version("wine", first.id).json()])]).fetchone()
    serving.wait("wine", number)
    assert world.predict(live.workload, live.version)["release_id"] == first.id
    run = world.by_sensor("registry", filters, before)
    assert run.is_success, world.said(run.run_id)
    assert world.predict(live.workload, live.version)["release_id"] == current.id


def test_where_all_agrees_the_registry_sensor_does_nothing(world: World, live: Delivered) -> None:
    sensor = registry([live.workload], pipelines([live.workload]), world.settings)
    delivery = Delivery([live.workload], world.resources)
    context = dg.build_sensor_context(
        instance=world.instance, resources={"ledger": world.resources.ledger, "delivery": delivery}
    )
    assert isinstance(sensor(context), dg.SkipReason)


def test_what_was_decided_outside_of_dagster_is_reported_to_its_assets(
    world: World, live: Delivered, other: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, resources = Delivery([live.workload], world.resources), world.resources
    sensor = registry([live.workload], pipelines([live.workload]), world.settings)

    def reported() -> dict[str, dg.AssetMaterialization]:
        known = {"ledger": resources.ledger, "delivery": delivery}
        result = sensor(dg.build_sensor_context(instance=world.instance, resources=known))
        events = result.asset_events if isinstance(result, dg.SensorResult) else []
        return {event.asset_key.path[-1]: event for event in events}

    current = resources.ledger.current("wine")
    candidates = resources.ledger.candidates.of("wine", live.version)
    another = next(one for one in candidates if current and one.id != current.candidate)
    releasing(model_of(live.workload), resources).override(another, "ann", "by hand")
    delivery.roll_out("wine")
    assert "releases" not in reported()  # a run that has just decided reports it itself
    monkeypatch.setattr("mlops_assets.assets.reported.SETTLED_SECONDS", 0)
    now, found = resources.ledger.current("wine"), reported()
    assert now is not None
    for stage in ("releases", "endpoints"):
        said = {name: value.value for name, value in found[stage].metadata.items()}
        assert (said["release"], said["by"], said["why"]) == (now.id, "ann", "by hand")
        assert found[stage].tags["dagster/data_version"] == another.digest
        world.instance.report_runless_asset_event(found[stage])
    assert not {"releases", "endpoints"} & reported().keys()


def test_a_replica_that_answers_with_another_version_is_alerted_for_as_long_as_it_does(
    world: World, live: Delivered
) -> None:
    delivery, resources = Delivery([live.workload], world.resources), world.resources
    sensor, known = registry([live.workload], pipelines([live.workload]), world.settings), {}
    plans = Plans(resources.serving.schema)

    def told() -> list[str]:
        known.update(ledger=resources.ledger, delivery=delivery)
        sensor(dg.build_sensor_context(instance=world.instance, resources=known))
        return [alert.text for alert in resources.ledger.alerts.standing("other-version")]

    until(lambda: not delivery.behind("wine"))
    assert told() == []
    fallen = {"plan": 1, "version": "0.9.0", "error": "BrokenArtifacts: model.onnx was changed", "loading": False}
    with connect(world.settings, autocommit=True) as connection:
        plans.heartbeat(connection, "wine", "fallen", fallen)
        (text,) = told()
        planned = resources.serving.plan("wine")
        assert planned is not None
        assert text.startswith(
            f"wine answers with 0.9.0 on 1 replica(s), since {planned.version.version} does not load"
        )
        assert "model.onnx was changed" in text
        plans.leave(connection, "fallen")
    assert told() == []
