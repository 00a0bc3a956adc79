"""The whole way on the real platform: a data tag, the sensor's tick, the daemon's run, a release, a live endpoint."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from graph_fixtures import Delivered, World

from mlops_assets.assets.partitions import UnregisteredTag
from mlops_assets.gates.data import GATES
from mlops_assets.release.promotion import promote
from resources.ledger import Candidate, Ledger
from resources.serving import Serving
from resources.settings import REPOSITORY
from resources.tracking import Tracking

pytestmark = pytest.mark.platform

SLICES = {f"slices_{column}" for column in ("target", "color_intensity", "wine_type")}
MODEL_GATES = {"load", "floor", *SLICES, "golden", "latency", "parity", "champion"}


def dagster(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Dagster's command line, as a person calls it."""
    command = [sys.executable, "-m", "dagster", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def made_by(world: World, delivered: Delivered) -> Candidate:
    """The candidate that a run made."""
    found = world.resources.ledger.candidates.of(delivered.workload.name, delivered.version)
    (candidate,) = [each for each in found if each.dagster_run == delivered.run.run_id]
    return candidate


def stale(world: World, definitions: dg.Definitions, stage: str) -> bool:
    """Whether Dagster shows an unpartitioned asset of wine as stale."""
    graph = definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(world.instance, graph, LoadingContextForTest(world.instance))
    return resolver.get_status(dg.AssetKey(["wine", stage])) == StaleStatus.STALE


def test_a_tag_becomes_a_live_endpoint(world: World, live: Delivered) -> None:
    assert live.run.is_success, world.said(live.run.run_id)
    assert live.run.tags["dagster/sensor_name"] == "data_tags"
    assert live.run.tags["dagster/tick"].isdigit()
    assert live.run.tags["dagster/run_key"].startswith(f"wine-v{live.version}:")
    (released,) = world.resources.ledger.releases_of_candidates([made_by(world, live).id])
    assert (released.version, released.actor) == ("1.0.0", "dagster")
    answer = world.predict(live.workload, live.version)
    assert (answer["version"], answer["release_id"]) == (released.version, released.id)
    assert len(answer["predictions"]) == 3


def test_a_dataset_tells_what_it_is(world: World, live: Delivered) -> None:
    version = world.resources.registry.version("wine", live.version)
    seen = world.materialization("tags", "wine", live.version)
    assert seen.tags["dagster/data_version"] == version.digest
    assert seen.metadata["commit"].value == version.commit
    dataset = world.materialization("datasets", "wine", live.version)
    assert dataset.tags["dagster/data_version"] == version.digest
    assert dataset.metadata["dagster/row_count"].value == version.rows == 178
    assert Path(dataset.metadata["dagster/uri"].value).is_dir()
    columns = {column.name: column.type for column in dataset.metadata["dagster/column_schema"].schema.columns}
    assert len(columns) == 15
    assert columns["alcohol"] == "float"
    assert dataset.metadata["source"].value == "scikit-learn"
    assert set(dataset.metadata["splits"].value) == {"train", "validation", "test"}


def test_a_model_tells_what_it_is_and_every_gate_is_a_check(world: World, live: Delivered) -> None:
    candidate = made_by(world, live)
    model = world.materialization("models", "wine", live.version)
    assert {"registered as", "MLflow run", "MLflow version", "commit", "parameters"} <= set(model.metadata)
    for name in ("MLflow run", "MLflow version"):
        assert model.metadata[name].url.startswith(world.settings.mlflow)
    pictures = [value.md_str for value in model.metadata.values() if isinstance(value, dg.MarkdownMetadataValue)]
    assert len(pictures) == 2
    assert all("](data:image/png;base64,iVBOR" in picture for picture in pictures)
    assert model.metadata["test_log_loss (nat)"].value == candidate.metrics["test_log_loss"]
    checks = world.checks(live.run.run_id)
    assert set(checks) == {f"datasets/{name}" for name in GATES} | {f"models/{name}" for name in MODEL_GATES}
    assert all(check.passed and check.blocking for check in checks.values())
    assert checks["models/floor"].metadata["threshold"].value == live.workload.gates.floor
    groups = checks["models/slices_color_intensity"].metadata["groups"].records
    assert sum(group.data["n"] for group in groups) == 56
    assert all(group.data["from"] <= group.data["value"] <= group.data["to"] for group in groups)


def test_a_dataset_shows_how_its_columns_are_distributed(world: World, live: Delivered) -> None:
    dataset = world.materialization("datasets", "wine", live.version)
    assert dataset.metadata["distributions"].value.startswith("![distributions](data:image/png;base64,")


def test_the_mlflow_run_says_what_the_model_was_made_from(world: World, live: Delivered) -> None:
    candidate, version = made_by(world, live), world.resources.registry.version("wine", live.version)
    run = world.resources.tracking.client.get_run(candidate.run_id)
    assert run.info.status == "FINISHED"
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    tags = {
        "data.tag": version.tag,
        "data.digest": version.digest,
        "dagster.run": live.run.run_id,
        "seed": "42",
        "code.commit": candidate.git_commit,
        "code.dirty": str(candidate.git_dirty).lower(),
    }
    assert {name: run.data.tags[name] for name in tags} == tags
    assert len(candidate.git_commit) == len(head.stdout.strip())
    assert run.data.params == {name: str(value) for name, value in candidate.parameters.items()}
    assert run.data.metrics["test_accuracy"] >= live.workload.gates.floor
    plots = world.resources.tracking.client.list_artifacts(candidate.run_id, "plots")
    assert {Path(plot.path).suffix for plot in plots} == {".png"}


def test_release_and_endpoint_carry_the_digest_of_what_is_live(
    world: World, live: Delivered, definitions: dg.Definitions
) -> None:
    candidate = made_by(world, live)
    release, endpoint = (world.materialization(stage, "wine") for stage in ("releases", "endpoints"))
    for asset in (release, endpoint):
        assert asset.tags["dagster/data_version"] == candidate.digest
        assert asset.metadata["version"].value == "1.0.0"
    assert endpoint.metadata["partition"].value == live.version
    assert endpoint.metadata["docs"].url == f"{world.settings.serve}/wine/docs"
    assert world.resources.tracking.registry.aliases("wine") == {
        "candidate": candidate.number,
        "champion": candidate.number,
    }
    assert not stale(world, definitions, "releases")
    assert not stale(world, definitions, "endpoints")


def test_a_corrupted_tag_is_refused_and_the_endpoint_goes_on(
    world: World, corrupted: Delivered, definitions: dg.Definitions
) -> None:
    assert corrupted.run.status == dg.DagsterRunStatus.FAILURE
    assert not world.checks(corrupted.run.run_id)["models/floor"].passed
    candidate = made_by(world, corrupted)
    report = world.resources.ledger.report(candidate.id)
    assert report
    assert report.verdict == "refuse"
    assert any("accuracy" in reason and "asked at least 0.85" in reason for reason in report.reasons())
    aliases = world.resources.tracking.registry.aliases("wine")
    assert aliases["candidate"] == candidate.number != aliases["champion"]
    assert world.predict(corrupted.workload, corrupted.version)["version"] == "1.0.0"
    assert world.resources.ledger.releases_of_candidates([candidate.id]) == []
    assert not stale(world, definitions, "endpoints")


def test_deciding_about_a_refused_candidate_says_so_and_changes_nothing(
    world: World, corrupted: Delivered, definitions: dg.Definitions
) -> None:
    before = world.resources.ledger.current("wine")
    job = definitions.resolve_job_def("wine_release")
    result = job.execute_in_process(instance=world.instance, raise_on_error=False)
    assert not result.success
    assert "What was released before stays released" in world.said(result.run_id)
    assert before == world.resources.ledger.current("wine")
    assert not stale(world, definitions, "releases")  # it is decided
    assert not stale(world, definitions, "endpoints")


def test_the_command_line_materializes_what_an_endpoint_needs(world: World, live: Delivered) -> None:
    assert dagster("definitions", "validate").returncode == 0
    run = dagster(
        *("asset", "materialize", "-m", "mlops_assets.definitions"),
        *("--select", '+key:"wine/endpoints"', "--partition", live.version),
    )
    assert run.returncode == 0, run.stderr
    (newest,) = world.instance.get_runs(dg.RunsFilter(job_name="__ASSET_JOB"), limit=1)
    steps = {f"wine__{stage}" for stage in ("datasets", "models", "releases", "endpoints")}
    assert {stats.step_key for stats in world.instance.get_run_step_stats(newest.run_id)} == steps


def test_an_unregistered_partition_says_what_to_do(world: World, live: Delivered, definitions: dg.Definitions) -> None:
    sentence = "`mlops data sync` registers them with Dagster where no sensor does"
    select = ("--select", '+key:"wine/endpoints"')
    run = dagster("asset", "materialize", "-m", "mlops_assets.definitions", *select, "--partition", "9.9.9")
    assert run.returncode == 1
    (said,) = [line for line in run.stderr.splitlines() if line.startswith("Error: ")]
    assert said.startswith("Error: '9.9.9' is no registered data version")
    assert said.endswith(sentence)
    assert "Traceback" not in run.stderr
    # A run that is launched with the partition as its tag is asked nothing before; its error says it.
    before = world.instance.get_runs_count()
    with pytest.raises(UnregisteredTag, match=sentence):
        definitions.resolve_job_def("wine_pipeline").execute_in_process(
            instance=world.instance, tags={"dagster/partition": "9.9.9"}
        )
    assert world.instance.get_runs_count() == before + 1


def test_changed_parameters_reach_the_model(world: World, live: Delivered, tmp_path: Path) -> None:
    config = {"ops": {"wine__models": {"config": {"trees": 7, "max_depth": 3}}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    run = dagster(
        *("job", "execute", "-m", "mlops_assets.definitions", "-j", "wine_pipeline"),
        *("--tags", json.dumps({"dagster/partition": live.version}), "-c", str(tmp_path / "config.json")),
    )
    assert run.returncode == 0, run.stderr
    candidate = world.resources.ledger.candidates.of("wine", live.version)[-1]
    assert (candidate.parameters["trees"], candidate.parameters["max_depth"]) == (7, 3)
    logged = world.resources.tracking.client.get_run(candidate.run_id).data.params
    assert (logged["trees"], logged["max_depth"], logged["min_samples_leaf"]) == ("7", "3", "1")
    model = world.materialization("models", "wine", live.version)
    assert model.metadata["parameters"].value == candidate.parameters


@pytest.mark.parametrize(
    ("parameters", "field", "bound"),
    [({"trees": 0}, "trees", "greater than or equal to 1"), ({"max_depth": 65}, "max_depth", "less than or equal to")],
)
def test_a_parameter_out_of_range_is_refused(
    world: World, live: Delivered, definitions: dg.Definitions, parameters: dict, field: str, bound: str
) -> None:
    before = world.resources.ledger.candidates.of("wine")
    job = definitions.resolve_job_def("wine_pipeline").get_subset(asset_selection={dg.AssetKey(["wine", "models"])})
    result = job.execute_in_process(
        run_config={"ops": {"wine__models": {"config": parameters}}},
        partition_key=live.version,
        instance=world.instance,
        raise_on_error=False,
    )
    assert not result.success
    said = world.said(result.run_id)
    assert field in said
    assert bound in said
    assert world.resources.ledger.candidates.of("wine") == before


def test_a_backfill_trains_all_tags_and_releases_at_most_one(world: World, corrupted: Delivered) -> None:
    ledger, good = world.resources.ledger, world.release(corrupted.workload, rows=100)
    synced = subprocess.run(
        [sys.executable, "-m", "mlops_assets.cli", "data", "sync", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(synced.stdout)["wine"] in ([good], [])  # the sensor may have been faster
    tags = sorted(world.instance.get_dynamic_partitions("wine_data"))
    assert len(tags) == 3
    trained, released = {tag: len(ledger.candidates.of("wine", tag)) for tag in tags}, len(ledger.releases("wine"))
    runs = world.backfill("wine_pipeline", tags)
    ended = {run.tags["dagster/partition"]: run.status.value for run in runs}
    assert ended == {tag: "FAILURE" if tag == corrupted.version else "SUCCESS" for tag in tags}
    world.sensed(corrupted.workload, good)  # the sensor asks for it too
    assert all(len(ledger.candidates.of("wine", tag)) > trained[tag] for tag in tags)
    new = ledger.releases("wine")[released:]
    assert len(new) == 1
    current = ledger.current("wine")
    assert current == new[0]
    candidate = ledger.candidates.by_id(current.candidate)
    assert candidate
    assert candidate.data_version == good
    assert world.predict(corrupted.workload, good)["version"] == current.version == "1.1.0"


def test_another_environment_has_names_of_its_own(world: World, live: Delivered) -> None:
    ci, prod = (world.settings.model_copy(update={"env": env}) for env in ("ci", "prod"))
    assert ci.qualified("wine") == "ci.wine"
    assert Serving(ci).address("wine") == f"{ci.serve}/ci/wine"
    assert {ci.schema_of("ledger"), Serving(ci).schema} == {"ci_ledger", "ci_predictions"}
    assert ci.path("jobs") == ci.home / "ci" / "jobs"
    before = world.resources.tracking.registry.aliases("wine")
    candidate = promote("wine", "prod", world.resources.ledger, world.resources.tracking)
    assert candidate.model_uri == f"models:/prod.wine/{candidate.number}"
    assert Ledger(prod).current("wine") is None
    assert Tracking(prod).registry.aliases("wine") == {}
    assert Tracking(prod).registry.has("wine", candidate.number)
    assert world.resources.tracking.registry.aliases("wine") == before
