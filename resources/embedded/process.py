"""Detached processes with a pid file and a log: start, find again, stop. Nothing is ever identified by name alone."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from resources.settings import Settings

LARGEST_LOG = 20 * 2**20  # bytes; a longer log is moved aside when its process starts


def alive(process: psutil.Process) -> bool:
    """Whether it runs. A zombie does not: it is only waiting to be collected by its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree(process: psutil.Process | None) -> list[psutil.Process]:
    """The process and all that descend from it, itself first; empty where it is gone."""
    if process is None:
        return []
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def terminate(processes: Iterable[psutil.Process], first: int = signal.SIGTERM, patience: float = 10) -> None:
    """End processes: the given signal, after `patience` seconds SIGKILL. Returns when all are gone."""
    remaining = [process for process in processes if process.pid != os.getpid() and alive(process)]
    for number, seconds in ((first, patience), (signal.SIGKILL, 10)):
        for process in remaining:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + seconds
        while remaining and time.monotonic() < deadline:
            _collect(remaining)
            remaining = [process for process in remaining if alive(process)]
            if remaining:
                time.sleep(0.05)
        if not remaining:
            return
    raise RuntimeError(f"processes {sorted(process.pid for process in remaining)} cannot be ended; end them by hand")


def _collect(processes: Iterable[psutil.Process]) -> None:
    """Collect those that are children of this very process, else they would stay as zombies."""
    for process in processes:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except (ChildProcessError, ProcessLookupError):
            continue


def _default_signals() -> None:
    # A shell's background job ignores SIGINT and hands that down, and then nothing could be stopped by it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass(frozen=True)
class Daemon:
    """One detached process of a home: pid and create time in `<home>/run/<name>.json`, output in `<home>/logs/`."""

    settings: Settings
    name: str

    @property
    def file(self) -> Path:
        return self.settings.home / "run" / f"{self.name}.json"

    @property
    def log(self) -> Path:
        return self.settings.home / "logs" / f"{self.name}.log"

    def process(self) -> psutil.Process | None:
        """The running process, or None. Pid and create time must agree, so a reused pid is not taken for ours."""
        try:
            record = json.loads(self.file.read_text())
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["created"]) < 1
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            return None
        return process if same and alive(process) else None

    def start(
        self, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path, user: str | None = None
    ) -> psutil.Process:
        """Start it in a session of its own; output is appended to the log. `user` is another user's name, for root."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_default_signals,
                **as_user(user),
            )
        child.returncode = 0  # the child outlives this object on purpose; no warning when it is dropped
        return self.record(child.pid)

    def record(self, pid: int) -> psutil.Process:
        """Write the pid file of a running process."""
        process = psutil.Process(pid)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"pid": pid, "created": process.create_time()}))
        new.replace(self.file)
        return process

    def stop(self, first: int = signal.SIGTERM, patience: float = 10) -> None:
        """End the process and its descendants, and remove the pid file. Nothing happens where it does not run."""
        process = self.process()
        if process is not None:
            descendants = tree(process)
            terminate([process], first, patience)
            terminate(descendants)
        self.file.unlink(missing_ok=True)

    def last_lines(self, count: int = 5) -> str:
        """The end of the log, for an error message."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


def as_user(user: str | None) -> dict:
    """Arguments of `subprocess` that run a command as another user; empty for the present one."""
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
