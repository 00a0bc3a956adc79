"""A platform of a home and ports of its own, gone afterwards: for measurements that change or break what they use."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.embedded import Platform
from resources.embedded.network import free_ports
from resources.embedded.variables import environment, socket_folder
from resources.settings import PORTS, settings


@contextmanager
def own_platform(dagster: bool = True, supervised: bool = False, **chosen: str) -> Iterator[Platform]:
    """The platform without its playground, or with a supervisor all of it. `chosen` are settings; so is the process."""
    home = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp"))
    home.chmod(0o755)  # as root, PostgreSQL runs as another user
    ports = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    os.environ.update({f"MLOPS_{name.upper()}": text for name, text in {**ports, **chosen, "home": str(home)}.items()})
    settings.cache_clear()
    own = settings()
    os.environ.update(environment(own))
    platform = Platform(own)
    try:
        platform.up(dagster=dagster, playground=supervised, supervised=supervised)
        yield platform
    finally:
        platform.down()
        shutil.rmtree(socket_folder(own), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
