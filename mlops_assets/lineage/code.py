"""What code a target was made by: a digest for staleness, a commit for people."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from resources.registry.git import variables
from resources.source_code import closure, modules_in
from workloads.sdk.contract import Declared

PROGRAMS = "workloads.sdk.programs"
SERVER = "workloads.sdk.serving.app"
TRAINING = "workloads.sdk.programs.training.run"
BATCH = "workloads.sdk.programs.batch.score"
EMBEDDING = "workloads.sdk.programs.embedding.embed"


def own_code(declared: Declared) -> str:
    """Digest of what a declaration itself says: its folder, and all that is imported there but the programs."""
    return _digest(declared)


def training_code(declared: Declared) -> str:
    """Digest of what a trained model depends on: its workload's own code, and the training program."""
    return _digest(declared, TRAINING)


def serving_code(declared: Declared) -> str:
    """Digest of what an endpoint runs: its declaration's own code, and the server."""
    return _digest(declared, SERVER)


def batch_code(declared: Declared) -> str:
    """Digest of what batch predictions are made by: what an endpoint runs, and the program that scores."""
    return _digest(declared, SERVER, BATCH)


def embedding_code(declared: Declared) -> str:
    """Digest of what a table of vectors is made by: the index' own code, and the program that embeds."""
    return _digest(declared, EMBEDDING)


def _digest(declared: Declared, *programs: str) -> str:
    """Of modules and all that they import, and of the files of data in the declaration's folder and beside the rest."""
    folder = declared.folder
    # A workload's `train.py` ends by calling the training program, which says nothing of what is served.
    files = closure(modules_in(declared.package, folder), without=PROGRAMS) | closure(programs)
    for place, where in {file.parent: Path(path).parent for path, file in files.items()}.items():
        files |= {(where / file.name).as_posix(): file for file in place.iterdir() if _is_data(file)}
    files |= {f"{declared.package}/{file.relative_to(folder)}": file for file in folder.rglob("*") if _is_data(file)}
    digest = hashlib.sha256()
    for path, file in sorted(files.items()):
        digest.update(f"{path}\0".encode())
        digest.update(_content(file, file.stat().st_mtime_ns))
    return digest.hexdigest()[:16]


def _is_data(file: Path) -> bool:
    hidden = file.name.startswith(".") or "__pycache__" in file.parts
    return not hidden and file.suffix not in (".py", ".pyc") and file.is_file()


@cache
def _content(file: Path, changed: int) -> bytes:
    """Digest of a file; many workloads share files, so each is read once. `changed` is its time."""
    return hashlib.sha256(file.read_bytes()).digest()


def source(folder: Path) -> tuple[str, bool]:
    """The Git commit of the checkout that holds a folder, empty outside of one, and whether files differ from it."""

    def git(*arguments: str) -> str:
        # It may be somebody else's checkout; of what its configuration could run, a status runs only this monitor.
        owned = ["-c", f"safe.directory={folder}", "-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
        run = subprocess.run(
            ["git", *owned, "-C", str(folder), *arguments], capture_output=True, text=True, check=False, env=variables()
        )
        return run.stdout.strip() if run.returncode == 0 else ""

    return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=normal"))
