"""The platform that the tests run on: real services, in a home and on ports of their own, started once a session.

`postgres` starts PostgreSQL alone, `platform` all of it; both share one home, so the second finds the first running.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from homes import ports, temporary_home

from resources import settings as settings_module
from resources.embedded import Platform
from resources.embedded.postgres import Postgres
from resources.embedded.variables import environment, socket_folder
from resources.settings import Settings

pytest_plugins = (
    "browser_fixtures",
    "data_homes",
    "graph_fixtures",
    "fault_fixtures",
    "release_fixtures",
    "scaffold_support",
)
left_out: list[pytest.Item] = []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: breaks the shared platform, so it runs after all others")
    config.addinivalue_line("markers", "xdist_group: the process that runs it, where pytest-xdist divides the suite")


def pytest_itemcollected(item: pytest.Item) -> None:
    """`make test` runs what needs the platform in one process, and the rest beside it in another."""
    if "platform" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.platform)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By the files' names, wherever they lie: tests on the platform find what earlier ones left there."""
    items.sort(key=lambda item: (item.get_closest_marker("last") is not None, item.path.name))  # stable within a file


def pytest_deselected(items: list[pytest.Item]) -> None:
    left_out.extend(item for item in items if item.get_closest_marker("platform"))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A run of one room says what it has left out; a run of all is one half of `make test`."""
    if left_out and config.args != config.getini("testpaths"):
        files = " ".join(sorted({str(item.path.relative_to(config.rootpath)) for item in left_out}))
        terminalreporter.write_line(
            f"{len(left_out)} tests on the platform were left out (minutes). They run with: "
            f".venv/bin/python -m pytest -m platform {files}"
        )


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
