"""A job's folder, which outlives Ray and the process that waits; all attempts of one job share it.

<home>/<env>/jobs/<workload>/<name>/
    spec.json     what is asked for
    out/          what the program writes, `result.json` last
    checkpoints/  what the next attempt goes on from
    log.txt       log of the latest attempt
    attempt       its number
    stopped-<n>   the n-th attempt was stopped, and must not start should it still be waiting for room

The name is `<env>-<workload>-<data version>-<variant>-<hash of spec>-<hash of root run>`: a retried step finds its job
again, a new materialization makes another. An attempt's name has its number behind.
"""

import fcntl
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from resources.settings import REPOSITORY, Settings
from workloads.sdk.programs.spec import Task


@dataclass(frozen=True)
class Job:
    """One job: what to do, and for which materialization.

    Attributes:
        workload: its name.
        spec: what its program is asked for; where it checkpoints is set by the platform.
        root_run: id of Dagster's root run, the same for all retries of one materialization.
        variant: which of a materialization's trainings this is, where there are several.
    """

    workload: str
    spec: Task
    root_run: str
    variant: str = ""

    @property
    def title(self) -> str:
        """`Training digits (wide) on 1.0.0`, for messages."""
        which = f" ({self.variant})" if self.variant else ""
        on = f" on {self.spec.data_version}" if self.spec.data_version else ""
        return f"{self.spec.verb} {self.workload}{which}{on}"


class JobFolder:
    """What is on disk of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, settings: Settings, job: Job) -> Self:
        about = [job.workload[:24], job.spec.data_version[:16], job.variant[:24]]
        words = [settings.env, *about, job.spec.hash[:8], short(job.root_run)]
        name = "-".join(filter(None, (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)))
        return cls(settings.path("jobs", job.workload, name))

    @classmethod
    def all_of(cls, settings: Settings, workload: str, root_run: str) -> list[Self]:
        """The folders of all jobs that a run and its retries have started."""
        return [cls(path) for path in settings.path("jobs", workload).glob(f"*-{short(root_run)}")]

    @classmethod
    def all(cls, settings: Settings) -> list[Self]:
        """The folders of all jobs."""
        return [cls(path) for path in settings.path("jobs").glob("*/*") if path.is_dir()]

    @classmethod
    def find(cls, settings: Settings, attempt: str) -> tuple[Self, int] | None:
        """Folder and number of an attempt's name; None where no such job was made here."""
        base, _, number = attempt.rpartition("-")
        path = next((path for path in settings.path("jobs").glob("*/*") if path.name == base), None)
        return (cls(path), int(number)) if path and number.isdecimal() else None

    def result(self, job: Job) -> Any:
        """The job's result, where it is there and whole; else None."""
        return job.spec.finished(self.path / "out")

    @property
    def latest(self) -> int:
        """Number of the latest attempt, 0 before the first."""
        try:
            return int((self.path / "attempt").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    @property
    def touched(self) -> float:
        """When something in it was last written, in seconds since 1970."""
        files = (self.path, self.path / "attempt", self.log())
        return max((file.stat().st_mtime for file in files if file.exists()), default=0)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process or thread at a time looks whether the job is there, and prepares it where it is not.

        One lock for all jobs of a workload; it ends with its process, however that ends.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.parent.with_suffix(".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def name(self, number: int) -> str:
        return f"{self.path.name}-{number}"

    def log(self) -> Path:
        return self.path / "log.txt"

    def stopped(self, number: int) -> Path:
        """The mark of an attempt that was stopped; it may not be there."""
        return self.path / f"stopped-{number}"

    def prepare(self, job: Job, number: int) -> str:
        """Make the folder ready for an attempt; returns the shell line that runs it."""
        out = self.path / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        self.stopped(number).unlink(missing_ok=True)
        spec = job.spec.model_copy(update={"checkpoints": self.path / "checkpoints"})
        (self.path / "spec.json").write_text(spec.model_dump_json(indent=2))
        (self.path / "attempt").write_text(str(number))
        program = [sys.executable, "-m", job.spec.program, "--spec", self.path / "spec.json", "--out", out]
        words = " ".join(shlex.quote(str(word)) for word in program)
        # A job that is stopped while it waits for room would start all the same, for a moment, once there is room.
        return f"cd {shlex.quote(str(self.path))} && [ ! -e {shlex.quote(str(self.stopped(number)))} ] && exec {words}"


def short(root_run: str) -> str:
    return sha256(root_run.encode()).hexdigest()[:6]


def import_path(package: str, program: str) -> str:
    """`PYTHONPATH` under which a job finds the package and what the platform shares with it.

    Raises:
        ValueError: this process knows no such package, or no such program (a module).
    """
    try:
        spec = find_spec(package) if re.fullmatch(r"\w+(\.\w+)*", package) else None
        runs = spec is not None and find_spec(program) is not None
    except ModuleNotFoundError:
        spec, runs = None, False
    place = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    if place is None or not runs:
        raise ValueError(f"{package!r} is not a package with a {program.rpartition('.')[2]}.py on the import path")
    root = Path(place).resolve().parents[package.count(".")]
    return os.pathsep.join(dict.fromkeys([str(root), str(REPOSITORY)]))
