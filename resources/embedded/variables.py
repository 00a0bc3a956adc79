"""What every process of the embedded platform is given: its environment, and a short folder for sockets."""

import hashlib
import os
import re
import stat
import sys
from pathlib import Path

from resources.registry.git import variables
from resources.settings import REPOSITORY, Settings

# Below it stand Ray's sockets (64 characters more) and HAProxy's (72 more); the system allows 103, HAProxy itself 97.
LONGEST_SOCKET_FOLDER = 24

# Beginnings of variables that people set for their own Dagster, DVC, Ray or Python.
OTHERS = ("MLOPS_", "DAGSTER_", "DVC_", "RAY_", "PYTHON")
KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8", "PYTHONWARNINGS")


def setting_variables(settings: Settings) -> dict[str, str]:
    """The settings in force as `MLOPS_*` variables: home always, the rest where it differs from the default."""
    chosen = {"home": settings.home, **settings.model_dump(exclude_defaults=True, exclude_none=True)}
    return {f"MLOPS_{name.upper()}": str(value) for name, value in chosen.items()}


def environment(settings: Settings) -> dict[str, str]:
    """Environment of a child process: the caller's, the settings in force, and what `workloads` needs to import.

    What the caller has set for other homes, and for the libraries and programs that our parts are, is dropped first.
    """
    away = (*OTHERS, *(() if settings.postgres_url else ("PG",)), *(() if settings.mlflow_url else ("MLFLOW_",)))
    inherited = {name: value for name, value in variables().items() if not name.startswith(away) or name in KEPT}
    theirs = [each for name in ("NO_PROXY", "no_proxy") for each in inherited.get(name, "").split(",") if each]
    local = dict.fromkeys([*theirs, "127.0.0.1", "localhost"])
    programs = [str(Path(sys.executable).parent), *filter(None, inherited.get("PATH", os.defpath).split(os.pathsep))]
    return {
        **inherited,
        **setting_variables(settings),
        "PYTHONPATH": str(REPOSITORY),
        "PATH": os.pathsep.join(dict.fromkeys(programs)),
        "PYTHONUNBUFFERED": "1",
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "MLFLOW_TRACKING_URI": settings.mlflow,
        # "No cluster of several machines": only so does Ray take 127.0.0.1 for its own address and listen there alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": settings.ray_token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": ",".join(local),
        "no_proxy": ",".join(local),  # the spelling that most libraries read first
        "SHELL": "/bin/sh",
    }


def socket_folder(settings: Settings) -> Path:
    """Folder of this home for Ray's files, mode 0700: `<home>/ray`, or where that is too long, or holds what Ray and
    HAProxy cannot read (spaces, letters beyond ASCII), one under /tmp.

    Raises:
        PermissionError: the folder under /tmp belongs to somebody else.
    """
    own = settings.home / "ray"
    if len(str(own)) <= LONGEST_SOCKET_FOLDER and re.fullmatch(r"[\w./-]+", str(own), re.ASCII):
        folder = own
    else:
        digest = hashlib.sha256(str(settings.home).encode()).hexdigest()
        folder = Path("/tmp").resolve() / f"mlops-{digest[:12]}"  # noqa: S108  (checked below, before use)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; remove it, or set MLOPS_HOME to a shorter path")
    folder.chmod(0o700)
    return folder
