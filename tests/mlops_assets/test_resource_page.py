"""Dagster's page *Resources* says where each resource points, and no secret."""

from pathlib import Path

import dagster as dg
from dagster._core.remote_representation.external_data import RepositorySnap

from mlops_assets.release.rollout import Delivery
from mlops_assets.resource_page import shown
from resources.all import Resources
from resources.ledger import Ledger
from resources.settings import Settings


def page(settings: Settings) -> dict[str, dict[str, str]]:
    """What the page is told of each resource: its values, and its description under `is`."""
    resources = Resources(settings)
    definitions = dg.Definitions(resources=shown(resources, Delivery([], resources)))
    snaps = RepositorySnap.from_def(definitions.get_repository_def()).resources
    assert snaps is not None
    told = {snap.name: {name: str(value) for name, value in snap.configured_values.items()} for snap in snaps}
    return {snap.name: {"is": str(snap.resource_snapshot.description), **told[snap.name]} for snap in snaps}


def test_each_says_what_it_is_and_where_it_points(tmp_path: Path) -> None:
    told = page(Settings(home=tmp_path, ray_dashboard_port=9123, env="ci"))
    assert set(told) == {"registry", "compute", "tracking", "ledger", "delivery"}
    assert all(len(one["is"]) > 20 for one in told.values())
    assert told["compute"]["MLOPS_RAY_URL"] == '"http://127.0.0.1:9123"'
    assert told["registry"]["MLOPS_REGISTRY_URL"] == f'"{tmp_path}/data-registry"'
    assert "schema ci_ledger" in told["ledger"]["MLOPS_POSTGRES_URL"]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        postgres_url="postgresql://me:geheim@db.example:6000",
        mlflow_url="https://me:geheim@mlflow.example/",
        registry_url="https://geheim@git.example/data.git",
        data_remote="s3://bucket/data",
    )
    told = page(settings)
    assert "geheim" not in str(told)
    assert "db.example:6000" in told["ledger"]["MLOPS_POSTGRES_URL"]
    assert told["tracking"]["MLOPS_MLFLOW_URL"] == '"https://mlflow.example/"'
    assert told["registry"]["MLOPS_REGISTRY_URL"] == '"https://git.example/data.git"'
    assert told["registry"]["MLOPS_DATA_REMOTE"] == '"s3://bucket/data"'


def test_steps_get_the_object_itself(tmp_path: Path) -> None:
    resources = Resources(Settings(home=tmp_path))
    got = []

    @dg.op
    def step(ledger: dg.ResourceParam[Ledger]) -> None:
        got.append(ledger)

    @dg.job(resource_defs=shown(resources, Delivery([], resources)))
    def job() -> None:
        step()

    assert job.execute_in_process().success
    assert got == [resources.ledger]
