"""What code a thing was made by: a digest for staleness, a commit for people."""

import hashlib
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import workloads
from workloads.contract import Declared

SHARED = Path(workloads.__file__).parent
KITS = re.compile(r"\bworkloads\.kits(?:\.(\w+)| import (.+))")  # of an import, which stands in one line
SOURCES = ("*.py", "*.json")


def own_code(workload: Declared) -> str:
    """Digest of what the workload itself says: its folder, and the kits in use."""
    own = _files(workload.folder)
    return _digest([*own, *_kits(own)])


def training_code(workload: Declared) -> str:
    """Digest of what a trained model depends on: its workload's folder, the kits in use, and what all share."""
    own = _files(workload.folder)
    return _digest([*own, *_kits(own), *_files(SHARED)])


def serving_code(workload: Declared) -> str:
    """Digest of what an endpoint runs: its workload's folder, the kits in use, and the server."""
    own = _files(workload.folder)
    return _digest([*own, *_kits(own), *_files(SHARED / "serving"), SHARED / "contract.py", SHARED / "generative.py"])


def batch_code(workload: Declared) -> str:
    """Digest of what batch predictions are made by: what an endpoint runs, and the program that scores."""
    return _digest([*_files(SHARED / "batch"), SHARED / "data.py"])[:8] + serving_code(workload)[:8]


def embedding_code(index: Declared) -> str:
    """Digest of what a table of vectors is made by: the index' folder, the program that embeds, and their kits."""
    own = [*_files(index.folder), *_files(SHARED / "embedding")]
    return _digest([*own, *_kits(own)])


def _files(folder: Path) -> list[Path]:
    return sorted(file for pattern in SOURCES for file in folder.glob(pattern))


def _kits(files: list[Path]) -> list[Path]:
    """The kits that files import, and those that these import."""
    found: set[Path] = set()
    left = list(files)
    while left:
        named = {SHARED / "kits" / f"{name}.py" for name in _read(left.pop())[0]}
        new = {file for file in named - found if file.is_file()}
        found |= new
        left += new
    return sorted(found)


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.parent.name}/{file.name}\0".encode())
        digest.update(_read(file)[1])
    return digest.hexdigest()[:16]


def _read(file: Path) -> tuple[frozenset[str], bytes]:
    """The names in a file's imports of kits, and the digest of its content."""
    return _content(file, file.stat().st_mtime_ns)


@cache
def _content(file: Path, changed: int) -> tuple[frozenset[str], bytes]:
    """Many workloads share files, so each is read once. `changed` is the file's time."""
    content = file.read_bytes()
    imports = " ".join(f"{one} {several}" for one, several in KITS.findall(content.decode()))
    return frozenset(re.findall(r"\w+", imports)), hashlib.sha256(content).digest()


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
