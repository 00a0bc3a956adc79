"""The platform that the tests run on: real services, in a home and on ports of their own, started once a session.

`postgres` starts PostgreSQL alone, `platform` all of it; both share one home, so the second finds the first running.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from resources import settings as settings_module
from resources.embedded.environment import environment, socket_folder
from resources.embedded.network import free_ports
from resources.embedded.postgres import Postgres
from resources.embedded.process import alive
from resources.platform import Platform
from resources.settings import Settings

PORTS = ("postgres", "mlflow", "ray", "ray_dashboard", "serve", "dagster", "playground")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: breaks the shared platform, so it runs after all others")
    config.addinivalue_line("markers", "xdist_group: the process that runs it, where pytest-xdist divides the suite")


def pytest_itemcollected(item: pytest.Item) -> None:
    """`make test` runs what needs the platform in one process, and the rest beside it in another."""
    if "platform" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.platform)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)  # stable: the order stays otherwise


def temporary_home() -> Path:
    """A new folder that every user may enter: as root, PostgreSQL runs as another one. Short, for Ray's sockets."""
    home = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp")).resolve()
    home.chmod(0o755)
    return home


def ports() -> dict[str, int]:
    """A free port for every setting that is one, by the setting's name."""
    return {f"{name}_port": port for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}


def kill(*processes: psutil.Process) -> None:
    """Kill them all, and wait until they are gone; some come and go by themselves, or with another."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    while any(map(alive, processes)):
        time.sleep(0.02)


@pytest.fixture(scope="session")
def home_settings() -> Iterator[Settings]:
    """Settings of the session's own home, in force in this process and in all that it starts; nothing runs yet."""
    before, home = dict(os.environ), temporary_home()
    for name in [name for name in os.environ if name.startswith("MLOPS_")]:
        del os.environ[name]
    os.environ.update({f"MLOPS_{name.upper()}": str(port) for name, port in ports().items()}, MLOPS_HOME=str(home))
    settings_module.settings.cache_clear()
    settings = settings_module.settings()
    os.environ.update(environment(settings))
    try:
        yield settings
    finally:
        try:
            Platform(settings).down()
        finally:
            os.environ.clear()
            os.environ.update(before)
            settings_module.settings.cache_clear()
            sockets = socket_folder(settings)
            shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(sockets, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(home_settings: Settings) -> Settings:
    """PostgreSQL alone, with the platform's databases; the value is the settings to reach it by."""
    Postgres(home_settings).start()
    return home_settings


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A running PostgreSQL of the test's own, to be stopped or killed."""
    home = temporary_home()
    server = Postgres(Settings(home=home, **ports()))
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def platform(postgres: Settings) -> Settings:
    """The whole platform, Dagster's daemon with its sensors included; the value is the settings to reach it by."""
    Platform(postgres).up()
    return postgres
