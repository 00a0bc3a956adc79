"""A data registry of real Git and DVC with two versions of wine, made once a session, and copies to do harm to."""

import shutil
from pathlib import Path

import pytest

from resources.data_registry import DataRegistry
from resources.settings import Settings
from workloads.contract import Workload
from workloads.loading import workload_of


@pytest.fixture(scope="session")
def wine() -> Workload:
    return workload_of("workloads.wine")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, wine: Workload) -> DataRegistry:
    """wine 1.0.0, and 1.1.0 with corrupted training rows."""
    registry = DataRegistry(Settings(home=tmp_path_factory.mktemp("data") / "home"))
    registry.release(wine)
    registry.release(wine, bump="minor", parameters={"corruption": 0.6})
    return registry


@pytest.fixture
def spare(released: DataRegistry, tmp_path: Path) -> DataRegistry:
    """A copy of the registry in a home of its own, to do anything with."""
    shutil.copytree(released.settings.home, tmp_path / "home", symlinks=True)
    return DataRegistry(Settings(home=tmp_path / "home"))
