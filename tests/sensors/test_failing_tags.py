"""A data version that fails its gates: alerted, shown as failed, and the newest one that passes is trained instead."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from data_homes import own_workload

from jobs.pipelines import pipelines
from mlops_assets.assets.datasets import dataset, tags_of
from mlops_assets.assets.partitions import newest, partitions_name, partitions_of
from mlops_assets.gates.data import GATES
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.settings import Settings
from sensors.data_tags import TRIED, data_tags
from workloads.sdk.contract import Workload

DATASET = dg.AssetKey(["mine", "datasets"])


@dataclass
class Mine:
    """A dataset of three rows, the sensor that looks at its tags, and what the daemon does with its answers."""

    workload: Workload
    package: Path
    registry: DataRegistry
    ledger: Ledger
    instance: dg.DagsterInstance
    cursor: str | None = None
    asked: list[str] = field(default_factory=list)

    def release(self, train: str, test: str = "c") -> str:
        """A new version of the data; one whose training row stands in the test split too fails its gates."""
        (self.package / "rows.py").write_text(f"ROWS = {{'train': {train!r}, 'validation': 'b', 'test': {test!r}}}")
        return self.registry.release(self.workload).version.version

    def tick(self) -> list[str]:
        """The versions that the sensor asks for, those left out whose run key has had its run."""
        sensor = data_tags([self.workload], pipelines([self.workload]), self.ledger.settings)
        resources = {"registry": self.registry, "ledger": self.ledger}
        result: Any = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources))
        if isinstance(result, dg.SkipReason):
            return []
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor
        new = [request for request in result.run_requests if request.run_key not in self.asked]
        self.asked += [request.run_key for request in new]
        return [request.partition_key for request in new]

    def materialize(self, version: str) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [tags_of(self.workload), dataset(self.workload)],
            partition_key=version,
            instance=self.instance,
            resources={"registry": self.registry, "ledger": self.ledger},
            raise_on_error=False,
        )

    def shown(self, version: str) -> str:
        """What Dagster shows of a partition of the dataset."""
        found = self.instance.get_status_by_partition(DATASET, [version], partitions_of(self.workload))
        assert found is not None
        return found[version].name

    @property
    def alerts(self) -> dict[str, str]:
        return {alert.key: alert.text for alert in self.ledger.alerts.standing("data-gate")}


@pytest.fixture
def mine(spare: DataRegistry, tmp_path: Path, postgres: Settings, request: pytest.FixtureRequest) -> Iterator[Mine]:
    workload, package = own_workload(tmp_path, "mine", "pass"), tmp_path / "theirs" / "mine"
    schema = "import pandera.pandas as pa\n    return pa.DataFrameSchema({'target': pa.Column(float)})"
    data = (package / "data.py").read_text()
    data = data.replace('"target": [1.5]', '"size": [float(ord(row))], "target": [1.5]')
    (package / "data.py").write_text(data.replace("def schema(): ...", f"def schema():\n    {schema}"))
    ledger = Ledger(postgres.model_copy(update={"env": f"failing{sum(request.node.name.encode()) % 10000}"}))
    ledger.migrate()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Mine(workload, package, spare, ledger, instance)


def test_the_newest_version_that_passes_its_gates_is_trained(mine: Mine) -> None:
    good, other, bad = mine.release("a"), mine.release("d"), mine.release("c")
    assert mine.tick() == [bad]
    assert mine.tick() == []
    assert newest(mine.instance, "mine", mine.ledger) == bad
    mine.materialize(bad)
    assert mine.tick() == [other]
    assert newest(mine.instance, "mine", mine.ledger) == other  # so it is released by itself
    assert mine.materialize(other).success
    assert mine.tick() == []
    assert list(mine.alerts) == [bad]  # nothing newer has taken its place
    mended = mine.release("e")
    assert mine.tick() == [mended]
    assert mine.materialize(mended).success
    assert mine.alerts == {}
    assert newest(mine.instance, "mine", mine.ledger) == mended
    assert mine.tick() == []
    further = mine.release("f")
    assert mine.tick() == [further]
    assert mine.materialize(further).success  # nor is it compared with what failed
    assert good not in [key.partition(":")[0] for key in mine.asked]


def test_it_is_shown_as_failed_with_all_checks_and_alerted_until_it_passes(mine: Mine) -> None:
    bad = mine.release("c")
    mine.tick()
    result = mine.materialize(bad)
    assert not result.success
    assert mine.shown(bad) == "FAILED"
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks.keys() == GATES.keys()
    assert not checks["leakage"]
    assert checks["checksums"]
    (seen,) = result.get_asset_observation_events()
    assert seen.partition == bad
    assert mine.alerts[bad].startswith(f"mine-v{bad} fails 1 of 5 data gates, and nothing is made from it. leakage: ")
    assert mine.alerts[bad].endswith(". Mend the data, and release them again")
    with pytest.MonkeyPatch.context() as patched:  # the gate was wrong, say
        patched.setattr("mlops_assets.assets.datasets.inspect", lambda *arguments: [])
        patched.setattr("mlops_assets.assets.datasets.GATES", {})
        assert mine.materialize(bad).success
    assert mine.shown(bad) == "MATERIALIZED"
    assert mine.alerts == {}


def test_no_more_than_so_many_are_tried(mine: Mine) -> None:
    versions = [f"1.0.{number}" for number in range(TRIED + 2)]
    mine.instance.add_dynamic_partitions(partitions_name("mine"), versions)
    for version in versions:
        mine.ledger.alerts.add("mine", "data-gate", "fails", version)
    assert newest(mine.instance, "mine", mine.ledger) is None
    first = mine.release("a")
    tags = {f"mine-v{version}": mine.registry.all_tags()[f"mine-v{first}"] for version in versions}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mine.registry, "all_tags", lambda: tags)
        assert mine.tick() == versions[: -TRIED - 1 : -1]
