"""What code a thing was made by: a digest for staleness, a commit for people."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import workloads
from workloads.contract import Workload

SHARED = Path(workloads.__file__).parent
SOURCES = ("*.py", "*.json")


def training_code(workload: Workload) -> str:
    """Digest of what a trained model depends on: the workload's folder, and the modules that all workloads share."""
    return _digest([*_files(workload.folder), *_files(SHARED)])


def serving_code(workload: Workload) -> str:
    """Digest of what an endpoint runs: the workload's folder and the server."""
    return _digest([*_files(workload.folder), *_files(SHARED / "serving"), SHARED / "contract.py"])


def _files(folder: Path) -> list[Path]:
    return sorted(file for pattern in SOURCES for file in folder.glob(pattern))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.parent.name}/{file.name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Source:
    """State of the Git checkout that a run's code came from; commit is empty outside of one."""

    commit: str
    dirty: bool


def source(folder: Path) -> Source:
    """The Git commit of the checkout that holds a folder, and whether files differ from it."""

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        return run.stdout.strip() if run.returncode == 0 else ""

    return Source(commit=git("rev-parse", "HEAD"), dirty=bool(git("status", "--porcelain", "--untracked-files=normal")))
