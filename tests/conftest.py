"""The platform that the tests run on: real services, in a home and on ports of their own, started once a session."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources import settings as settings_module
from resources.embedded.environment import environment
from resources.embedded.postgres import Postgres
from resources.settings import Settings

PORTS = ("postgres", "mlflow", "ray", "ray_dashboard", "serve", "dagster")


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture(scope="session")
def home_settings() -> Iterator[Settings]:
    """Settings of the session's own home, in force in this process and in all that it starts; nothing runs yet."""
    home = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp")).resolve()
    home.chmod(0o755)
    chosen = {f"MLOPS_{name.upper()}_PORT": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("MLOPS_")]:
        del os.environ[name]
    os.environ.update(chosen, MLOPS_HOME=str(home))
    settings_module.settings.cache_clear()
    settings = settings_module.settings()
    own = environment(settings)
    os.environ.update({name: own[name] for name in ("PATH", "PYTHONPATH", "DAGSTER_HOME", "RAY_AUTH_TOKEN")})
    try:
        yield settings
    finally:
        Postgres(settings).stop()
        os.environ.clear()
        os.environ.update(before)
        settings_module.settings.cache_clear()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(home_settings: Settings) -> Settings:
    """PostgreSQL alone, with the platform's databases; the value is the settings to reach it by."""
    Postgres(home_settings).start()
    return home_settings
