"""A workload that asks a person before a release, on the real platform: tier, approval, cost, and batch predictions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import dagster as dg
import pytest
from graph_fixtures import Delivered, World
from pyarrow import parquet
from typer.testing import CliRunner

from jobs.pipelines import EXECUTOR, approve_name, pipeline_name, pipelines, rollback_name
from mlops_assets.assembly import assets
from mlops_assets.assets.estimates import estimate
from mlops_assets.assets.models import EXPECTED
from mlops_assets.cli import app
from mlops_assets.lineage import trace as lineage
from mlops_assets.release.rollout import Delivery
from resources.all import Resources
from workloads.sdk.contract import TEST, TIERS, Workload

pytestmark = pytest.mark.platform
SMALL = {"trees": 12, "tier": "cpu-medium"}


@dataclass(frozen=True)
class Careful:
    """wine, whose releases a person approves, in an environment and a Dagster instance of its own."""

    workload: Workload
    version: str
    resources: Resources
    instance: dg.DagsterInstance

    @property
    def definitions(self) -> dg.Definitions:
        resources = {"registry": self.resources.registry, "ledger": self.resources.ledger}
        return dg.Definitions(
            assets=[*assets(self.workload)],
            jobs=pipelines([self.workload]),
            resources={**resources, "delivery": Delivery([self.workload], self.resources)},
            executor=EXECUTOR,
        )

    def run(self, job: str, config: dict | None = None, partition: bool = True) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            run_config=config,
            partition_key=self.version if partition else None,
            instance=self.instance,
            raise_on_error=False,
        )

    def materialize(self, stage: str, **config: Any) -> dg.ExecuteInProcessResult:
        every = self.definitions.resolve_implicit_global_asset_job_def()
        job = every.get_subset(asset_selection={dg.AssetKey([self.workload.name, stage])})
        return job.execute_in_process(
            run_config={"ops": {f"{self.workload.name}__{stage}": {"config": config}}},
            partition_key=self.version,
            instance=self.instance,
            raise_on_error=False,
        )

    def metadata(self, stage: str) -> dict[str, Any]:
        """What the newest materialization says."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey([self.workload.name, stage]))
        assert event, f"{stage} was never materialized"
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    def said(self, result: dg.ExecuteInProcessResult) -> str:
        return "\n".join(str(entry) for entry in self.instance.all_logs(result.run_id))


@pytest.fixture(scope="module")
def careful(world: World, live: Delivered) -> Iterator[Careful]:
    resources = Resources(world.settings.model_copy(update={"env": "careful"}))
    for door in (resources.ledger, resources.serving, resources.predictions):
        door.migrate()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("wine_data", [live.version])
        yield Careful(replace(live.workload, approval="manual"), live.version, resources, instance)


@pytest.fixture(scope="module")
def held(careful: Careful) -> dg.ExecuteInProcessResult:
    """The pipeline's run, which ends where a person is asked."""
    result = careful.run(pipeline_name("wine"), {"ops": {"wine__models": {"config": SMALL}}})
    assert result.success, careful.said(result)
    return result


@pytest.fixture(scope="module")
def approved(careful: Careful, held: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    """The run of the job with which a person says yes."""
    answer = {"decision": "approve", "who": "ann", "why": "compared with last year's"}
    result = careful.run(approve_name("wine"), answer, partition=False)
    assert result.success, careful.said(result)
    return result


def test_a_tier_that_can_never_be_placed_is_refused_before_anything_begins(careful: Careful) -> None:
    result = careful.materialize("models", tier="gpu-gold")
    assert not result.success
    said = careful.said(result)
    assert "Training wine on the tier gpu-gold can never be placed here: it wants" in said
    assert "the nearest tier that can be is cpu-" in said
    assert careful.resources.ledger.candidates.of("wine") == []
    assert careful.resources.tracking.runs.running().get("wine", {}) == {}


def test_what_passes_its_gates_waits(careful: Careful, held: dg.ExecuteInProcessResult) -> None:
    (candidate,) = careful.resources.ledger.candidates.waiting("wine")
    assert careful.resources.ledger.report(candidate.id).verdict in ("pass", "inconclusive")
    assert careful.resources.ledger.releases("wine") == []
    assert [alert.kind for alert in careful.resources.ledger.alerts.since() if alert.thing == "wine"] == ["hold"]
    assert "`mlops approve wine --why ...`, or the job wine_approve" in careful.said(held)
    assert careful.instance.get_latest_materialization_event(dg.AssetKey(["wine", "endpoints"])) is None


def test_the_tier_and_what_it_took_are_told_everywhere(careful: Careful, held: dg.ExecuteInProcessResult) -> None:
    (candidate,) = careful.resources.ledger.candidates.of("wine")
    assert (candidate.tier, candidate.parameters["trees"]) == ("cpu-medium", 12)
    told = careful.metadata("models")
    assert told["tier"] == "cpu-medium"
    assert told["took (s)"] == pytest.approx(candidate.seconds, abs=1e-3)
    assert told["cost (CPU-hours)"] == pytest.approx(candidate.seconds / 3600 * TIERS["cpu-medium"].cpus, abs=1e-6)
    assert "not known" in told["expected"]  # the first of its tier
    assert careful.instance.get_run_by_id(held.run_id).tags[EXPECTED] == "not known on cpu-medium"
    run = careful.resources.tracking.client.get_run(candidate.run_id)
    assert run.data.tags["tier"] == "cpu-medium"
    rows = careful.resources.registry.version("wine", careful.version).rows
    following = estimate(careful.workload, "cpu-medium", 10 * rows, careful.resources.ledger)
    assert following.cost.seconds == pytest.approx(10 * candidate.seconds)
    answer = CliRunner().invoke(app, ["estimate", "wine", "--json"])  # of the platform's own environment
    assert json.loads(answer.stdout)["known"] >= 1, answer.output
    assert CliRunner().invoke(app, ["estimate", "wine", "--tier", "gpu-gold"]).exit_code == 1
    tiers = json.loads(CliRunner().invoke(app, ["tiers", "--json"]).stdout)
    assert [row["tier"] for row in tiers] == list(TIERS)
    assert all(row["instead"] in TIERS for row in tiers if row["fits"] == "never")


def test_a_persons_yes_releases_and_rolls_out(careful: Careful, approved: dg.ExecuteInProcessResult) -> None:
    now = careful.resources.ledger.current("wine")
    assert (now.action, now.actor, now.why) == ("approve", "ann", "compared with last year's")
    told = careful.metadata("releases")
    assert (told["outcome"], told["by"], told["why"]) == ("released", "ann", "compared with last year's")
    url = f"{careful.metadata('endpoints')['url']}/predict"
    file = careful.resources.registry.files("wine", careful.version)[TEST]
    body = json.dumps(careful.workload.resolve(careful.workload.example)(file, 2)).encode()
    with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30) as response:
        assert json.load(response)["release_id"] == now.id
    again = careful.run(approve_name("wine"), {"who": "ann", "why": "once more"}, partition=False)
    assert not again.success
    assert "no candidate of wine waits for approval" in careful.said(again)


def test_going_back_is_a_job_too(careful: Careful, approved: dg.ExecuteInProcessResult) -> None:
    asked = {"who": "ann", "why": "to see", "to": "9.9.9"}
    result = careful.run(rollback_name("wine"), asked, partition=False)
    assert not result.success
    assert "wine 9.9.9 was never released; released so far: 1.0.0" in careful.said(result)
    unchanged = careful.run(rollback_name("wine"), asked | {"to": "1.0.0"}, partition=False)
    assert unchanged.success, careful.said(unchanged)
    assert careful.metadata("releases")["outcome"] == "unchanged"


def test_a_data_version_is_scored_by_what_is_released(careful: Careful, approved: dg.ExecuteInProcessResult) -> None:
    result = careful.materialize("predictions")
    assert result.success, careful.said(result)
    told, now = careful.metadata("predictions"), careful.resources.ledger.current("wine")
    rows = careful.resources.registry.version("wine", careful.version).rows
    assert (told["dagster/row_count"], told["model version"], told["model digest"]) == (rows, now.version, now.digest)
    assert told["rows/s"] > 0
    assert told["cost (CPU-hours)"] == pytest.approx(told["took (s)"] / 3600, abs=1e-6)
    assert len(told["preview"].records) == 5
    columns = {column.name for column in told["dagster/column_schema"].columns}
    assert columns == {"row_id", "label", "confidence", "probabilities", "outputs"}
    folder = Path(urlsplit(told["dagster/uri"]).path)
    written = {split: parquet.read_table(folder / split) for split in told["splits"]}
    files = careful.resources.registry.files("wine", careful.version)
    for split, table in written.items():
        assert table["row_id"].equals(parquet.read_table(files[split])["row_id"])
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_what_was_scored_before_is_taken_as_it_lies(careful: Careful, approved: dg.ExecuteInProcessResult) -> None:
    before = careful.metadata("predictions")
    jobs = len(list(careful.resources.settings.path("jobs", "wine").iterdir()))
    assert careful.materialize("predictions", split="test").success
    told = careful.metadata("predictions")
    assert (told["splits"], told["taken as they lay"], told["took (s)"]) == ({"test": 56}, "test", 0)
    assert told["dagster/uri"] == before["dagster/uri"]
    assert len(list(careful.resources.settings.path("jobs", "wine").iterdir())) == jobs


def test_impact_shows_the_batches(careful: Careful, approved: dg.ExecuteInProcessResult) -> None:
    tag = careful.resources.registry.version("wine", careful.version).tag
    (touched,) = lineage.impact(tag, careful.resources)
    uri = careful.metadata("predictions")["dagster/uri"]
    assert {(found["uri"], found["data"]) for found in touched.batches} == {(uri, tag)}
    assert {found["rows"] for found in touched.batches} == {178, 56}
