"""A home of a test's own, free ports, and the end of processes."""

import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from resources.embedded.network import free_ports
from resources.embedded.process import alive
from resources.settings import PORTS


def temporary_home() -> Path:
    """A new folder that every user may enter: as root, PostgreSQL runs as another one. Short, for Ray's sockets."""
    home = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp")).resolve()
    home.chmod(0o755)
    return home


def ports() -> dict[str, int]:
    """A free port for every setting that is one, by the setting's name."""
    return dict(zip(PORTS, free_ports(len(PORTS)), strict=True))


def kill(*processes: psutil.Process) -> None:
    """Kill them all, and wait until they are gone; some come and go by themselves, or with another."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    while any(map(alive, processes)):
        time.sleep(0.02)
