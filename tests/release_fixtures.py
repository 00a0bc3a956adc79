"""Fixtures of the tests of tracking and releases: a real MLflow, a real ledger, and things to release."""

from collections.abc import Iterator

import pytest
from mlflow.entities import RunInfo
from release_shop import Shop
from release_support import OpenDoors, numbers, opened

from resources.embedded.mlflow import Mlflow
from resources.settings import Settings

ROWS = 2000


@pytest.fixture(scope="session")
def mlflow(postgres: Settings) -> Iterator[Settings]:
    """MLflow on PostgreSQL; the value is the settings to reach it by."""
    server = Mlflow(postgres)
    server.start()
    yield postgres
    server.stop()


@pytest.fixture(scope="module")
def open_doors(mlflow: Settings, tmp_path_factory: pytest.TempPathFactory) -> OpenDoors:
    settings = mlflow.model_copy(update={"env": "releasetest"})
    doors = opened(settings, numbers(tmp_path_factory.mktemp("splits"), ROWS))
    doors.ledger.migrate()
    return doors


@pytest.fixture(scope="module")
def model_run(open_doors: OpenDoors) -> RunInfo:
    return open_doors.tracking.client.get_run(open_doors.tracking.open_run("releasing", "key", "tests", {})).info


@pytest.fixture
def shop(open_doors: OpenDoors, model_run: RunInfo, request: pytest.FixtureRequest) -> Shop:
    return Shop(open_doors, model_run, request.node.originalname.removeprefix("test_")[:60])


@pytest.fixture
def pair(shop: Shop) -> Shop:
    """Two releases after each other."""
    for _ in range(2):
        assert shop.consider(shop.train()).result == "released"
    return shop
