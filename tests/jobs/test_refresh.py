"""The nightly refresh, a run for each dataset; and what a failed data gate says to whoever waits for a model."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from data_homes import own_workload

from jobs.refresh import daily, refresh
from mlops_assets.assets.datasets import dataset, tags_of
from mlops_assets.assets.models import model
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.settings import Settings
from workloads.sdk.contract import Workload

NIGHT = datetime(2026, 11, 21, 2, tzinfo=UTC)


def test_each_dataset_has_a_run_of_its_own_and_one_that_fails_leaves_the_others(
    spare: DataRegistry, wine: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_assets.assets.errors.AGAIN", 1)  # a host that is away is asked again, for ten minutes
    monkeypatch.setattr("mlops_assets.assets.errors.AGAIN_SECONDS", 0)
    away = own_workload(tmp_path, "away", 'raise ConnectionError("the host does not answer")')
    new = own_workload(tmp_path, "fresh", "pass")
    workloads = [away, wine, new]
    job = refresh(workloads)
    schedule = daily(job, workloads, spare.settings)
    ticks = [schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=NIGHT)) for _ in range(2)]
    requests = ticks[0].run_requests
    assert [request.run_key for request in requests] == [f"{name}:2026-11-21" for name in ("away", "wine", "fresh")]
    assert [request.run_key for request in ticks[1].run_requests] == [request.run_key for request in requests]
    before = spare.tags()
    ended = {
        request.tags["workload"]: job.execute_in_process(
            run_config=request.run_config, resources={"registry": spare}, raise_on_error=False
        )
        for request in requests
    }
    assert {name: result.success for name, result in ended.items()} == {"away": False, "wine": True, "fresh": True}
    (failed,) = ended["away"].get_step_failure_events()
    assert "the host does not answer" in failed.step_failure_data.user_failure_data.description
    assert set(spare.tags()) - set(before) == {"fresh-v1.0.0"}  # wine's content is that of 1.0.0
    rows = tmp_path / "theirs" / "fresh" / "rows.py"
    rows.write_text(rows.read_text().replace("'a'", "'z'"))
    raised = {"ops": {"refresh": {"config": {"dataset": "fresh", "bump": "minor"}}}}
    assert job.execute_in_process(run_config=raised, resources={"registry": spare}).success
    assert sorted(spare.tags("fresh")) == ["fresh-v1.0.0", "fresh-v1.1.0"]
    config = {"ops": {"refresh": {"config": {"dataset": "fresh", "bump": "huge"}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="huge"):
        job.execute_in_process(run_config=config, resources={"registry": spare})


def test_a_broken_data_version_trains_nothing_and_the_run_says_why(
    spare: DataRegistry, tmp_path: Path, postgres: Settings
) -> None:
    broken = own_workload(tmp_path, "broken", "pass")
    package = tmp_path / "theirs" / "broken"
    (package / "rows.py").write_text("ROWS = {'train': 'a', 'validation': 'a', 'test': 'c'}")
    rule = "__import__('pandera.pandas').pandas.Check.in_range(0, 1)"
    data = (package / "data.py").read_text()
    schema = f"import pandera.pandas as pa\n    return pa.DataFrameSchema({{'target': pa.Column(float, {rule})}})"
    (package / "data.py").write_text(data.replace("def schema(): ...", f"def schema():\n    {schema}"))
    spare.release(broken)
    ledger = Ledger(postgres.model_copy(update={"env": "refreshtest"}))
    ledger.migrate()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("broken_data", ["1.0.0"])
        result = dg.materialize(
            [tags_of(broken), dataset(broken), model(broken)],
            partition_key="1.0.0",
            instance=instance,
            resources={"registry": spare, "ledger": ledger, "delivery": None},
            raise_on_error=False,
        )
        assert not result.success
        (failure,) = result.get_step_failure_events()
        assert failure.step_key == "broken__datasets"
        said = failure.step_failure_data.error.message + str(failure.step_failure_data.user_failure_data)
        assert "broken-v1.0.0 fails 2 of 5 data gates, and nothing is made from it" in said
        assert "leakage: 3 rows stand in two splits (3 rows; for example test and train: row c" in said
        assert "schema: 3 rules are broken (3 rows; for example test, target: in_range(0, 1) (1 times" in said
        checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
        assert {name for name, check in checks.items() if not check.passed} == {"schema", "leakage"}
        assert checks["leakage"].metadata["rows"].value == 3
        assert "row c" in str(checks["leakage"].metadata["examples"].value)
        assert result.asset_materializations_for_node("broken__models") == []
