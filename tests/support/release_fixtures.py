"""Fixtures of the tests of tracking and releases: a real MLflow, a real ledger, and targets to release."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from release_shop import Shop
from release_support import OpenResources, numbers, opened

from resources.embedded.mlflow import Mlflow
from resources.settings import Settings

if TYPE_CHECKING:  # importing it takes seconds
    from mlflow.entities import RunInfo

ROWS = 2000


@pytest.fixture(scope="session")
def mlflow(postgres: Settings) -> Iterator[Settings]:
    """MLflow on PostgreSQL; the value is the settings to reach it by."""
    server = Mlflow(postgres)
    server.start()
    yield postgres
    server.stop()


@pytest.fixture(scope="module")
def open_resources(mlflow: Settings, tmp_path_factory: pytest.TempPathFactory) -> OpenResources:
    settings = mlflow.model_copy(update={"env": "releasetest"})
    resources = opened(settings, numbers(tmp_path_factory.mktemp("splits"), ROWS))
    resources.ledger.migrate()
    return resources


@pytest.fixture(scope="module")
def model_run(open_resources: OpenResources) -> "RunInfo":
    return open_resources.tracking.client.get_run(
        open_resources.tracking.runs.open("releasing", "key", "tests", {})
    ).info


@pytest.fixture
def shop(open_resources: OpenResources, model_run: "RunInfo", request: pytest.FixtureRequest) -> Shop:
    return Shop(open_resources, model_run, request.node.originalname.removeprefix("test_")[:60])


@pytest.fixture
def pair(shop: Shop) -> Shop:
    """Two releases after each other."""
    for _ in range(2):
        assert shop.consider(shop.train()).result == "released"
    return shop
