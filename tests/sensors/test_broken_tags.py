"""A tag that holds no whole description of its data is named and passed over; everything else goes on."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from jobs.pipelines import pipelines
from mlops_assets.assets.partitions import partitions_name
from mlops_assets.cli import app
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.registry.git import git
from resources.registry.version import DataError, DataUnavailable
from resources.settings import Settings
from sensors.data_tags import data_tags
from workloads.sdk.contract import Workload
from workloads.sdk.contract.loading import workload_of


def plant(registry: DataRegistry, tag: str, content: str | None = None) -> None:
    """Tag a commit that holds this as `metadata.json`, or nothing at all."""
    bare, tree = registry.settings.home / "data-registry", b""
    if content is not None:
        blob = git("hash-object", "-w", "--stdin", folder=bare, stdin=content.encode()).decode().strip()
        tree = git("mktree", folder=bare, stdin=f"100644 blob {blob}\tmetadata.json\n".encode())
        for folder in (tag.split("-")[0], "data"):
            tree = git("mktree", folder=bare, stdin=f"040000 tree {tree.decode().strip()}\t{folder}\n".encode())
    tree = tree or git("mktree", folder=bare)
    named = ("-c", "user.name=someone", "-c", "user.email=someone@localhost")
    commit = git(*named, "commit-tree", "-m", tag, tree.decode().strip(), folder=bare).decode().strip()
    git("tag", tag, commit, folder=bare)


def described(registry: DataRegistry, **changed: Any) -> str:
    """The description of wine 1.0.0, with some of it replaced."""
    return json.dumps({**registry.version("wine", "1.0.0").metadata, **changed})


@pytest.fixture
def broken(spare: DataRegistry) -> DataRegistry:
    """wine 1.0.0 and 1.1.0, and broken tags below, between and above."""
    spare.init()
    plant(spare, "wine-v0.9.0", "[]")
    plant(spare, "wine-v1.0.5", described(spare, digest=["no text"]))
    plant(spare, "wine-v1.0.6", described(spare, splits={"train": {}}))
    plant(spare, "wine-v2.0.0")
    return spare


@pytest.fixture
def ledger(postgres: Settings, request: pytest.FixtureRequest) -> Ledger:
    ledger = Ledger(postgres.model_copy(update={"env": f"broken{sum(request.node.name.encode()) % 10000}"}))
    ledger.migrate()
    return ledger


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(workloads: list[Workload], registry: DataRegistry, ledger: Ledger, instance: dg.DagsterInstance) -> Any:
    sensor = data_tags(workloads, pipelines(workloads), ledger.settings)
    resources = {"registry": registry, "ledger": ledger}
    return sensor(dg.build_sensor_context(instance=instance, resources=resources))


def test_a_broken_tag_is_passed_over_and_named_once(
    wine: Workload, broken: DataRegistry, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    result = tick([wine], broken, ledger, instance)
    assert [request.partition_key for request in result.run_requests] == ["1.1.0"]
    assert [event.partition for event in result.asset_events] == ["1.0.0", "1.1.0"]
    assert result.cursor  # there is nothing more to do until a tag changes
    for _ in range(2):
        tick([wine], broken, ledger, instance)
    (alert,) = ledger.alerts.since()
    assert (alert.thing, alert.kind) == ("wine", "broken-tag")
    assert all(f"wine-v{version}" in alert.text for version in ("0.9.0", "1.0.5", "1.0.6", "2.0.0"))


def test_the_newest_whole_version_is_trained_though_it_is_registered(
    wine: Workload, broken: DataRegistry, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    result = tick([wine], broken, ledger, instance)
    instance.add_dynamic_partitions(partitions_name("wine"), ["1.0.0", "1.1.0"])
    for event in result.asset_events:
        instance.report_runless_asset_event(event)
    again = tick([wine], broken, ledger, instance)
    assert [request.run_key for request in again.run_requests] == [request.run_key for request in result.run_requests]
    assert again.asset_events == []


def test_the_failure_of_one_dataset_leaves_the_others_alone(
    wine: Workload, spare: DataRegistry, ledger: Ledger, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits, read = workload_of("workloads.digits"), spare.read

    def away(tags: dict[str, str]) -> Any:
        if any(tag.startswith("digits") for tag in tags):
            raise DataUnavailable("the data registry does not answer")
        return read(tags)

    plant(spare, "digits-v1.0.0")
    monkeypatch.setattr(spare, "read", away)
    result = tick([digits, wine], spare, ledger, instance)
    assert [request.partition_key for request in result.run_requests] == ["1.1.0"]
    assert result.cursor is None  # the next tick looks again
    with pytest.raises(DataUnavailable):
        tick([digits], spare, ledger, instance)


def test_only_who_asks_for_a_broken_version_fails(wine: Workload, broken: DataRegistry) -> None:
    passed: list[str] = []
    assert [version.version for version in broken.versions("wine", passed.append)] == ["1.0.0", "1.1.0"]
    assert len(passed) == 4
    with pytest.raises(DataError, match=r"wine-v2\.0\.0 .* no whole"):
        broken.version("wine", "2.0.0")
    released = broken.release(wine, parameters={"rows": 90})
    assert released.version.version == "2.0.1"  # no tag is given twice


def test_the_list_names_broken_tags_and_shows_the_others(broken: DataRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_assets.commands import data

    monkeypatch.setattr(data, "settings", lambda: broken.settings)
    answer = CliRunner().invoke(app, ["data", "list", "--json"])
    assert answer.exit_code == 0, answer.output
    assert [row["tag"] for row in json.loads(answer.stdout)] == ["wine-v1.0.0", "wine-v1.1.0"]
    assert "wine-v2.0.0" in answer.stderr
