"""A fixture for tests that need MLflow and no more of the platform."""

from collections.abc import Iterator

import pytest

from resources.embedded.mlflow import Mlflow
from resources.settings import Settings


@pytest.fixture(scope="session")
def mlflow(postgres: Settings) -> Iterator[Settings]:
    """MLflow on PostgreSQL; the value is the settings to reach it by."""
    server = Mlflow(postgres)
    server.start()
    yield postgres
    server.stop()
