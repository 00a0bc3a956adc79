"""Detached processes: start, find again, end. Nothing is ever identified by its name alone.

A process of the platform carries `MLOPS_HOME` and `MLOPS_PART` in its environment, and so do all that it starts; some
of Ray's overwrite their environment with a title, and are known by the session that they were started in.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from resources.files import write_atomically
from resources.settings import Settings

LARGEST_LOG = 20 * 2**20  # bytes; a longer log is moved aside when its process starts
PART = "MLOPS_PART"


def alive(process: psutil.Process) -> bool:
    """Whether it runs. A zombie does not: it only waits to be collected by its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_of(process: psutil.Process) -> list[str]:
    """Program and arguments, or the title that it gave itself; empty where it is gone."""
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def end(processes: Iterable[psutil.Process], first: int = signal.SIGTERM, patience: float = 10) -> None:
    """End processes: the given signal, after `patience` seconds SIGKILL. Returns when all are gone.

    Raises:
        RuntimeError: a process survives SIGKILL.
    """
    remaining = [process for process in processes if process.pid != os.getpid() and alive(process)]
    for number, seconds in ((first, patience), (signal.SIGKILL, 10)):
        for process in remaining:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        deadline = time.monotonic() + seconds
        while remaining and time.monotonic() < deadline:
            # This collects those that are children of this very process, else they would stay as zombies.
            psutil.wait_procs(remaining, timeout=0.05)
            remaining = [process for process in remaining if alive(process)]
        if not remaining:
            return
    raise RuntimeError(f"processes {sorted(process.pid for process in remaining)} cannot be ended; end them by hand")


def _default_signals() -> None:
    # A shell's background job ignores SIGINT and hands that down, and then nothing could be stopped by it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Daemon:
    """One part's process: pid and create time in `<home>/run/<name>.json`, output in `<home>/logs/<name>.log`."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.file = settings.home / "run" / f"{name}.json"
        self.log = settings.home / "logs" / f"{name}.log"

    def record(self) -> dict[str, Any]:
        """What the pid file holds; empty where there is none."""
        try:
            return dict(json.loads(self.file.read_text()))
        except (OSError, ValueError):
            return {}

    def process(self) -> psutil.Process | None:
        """The running process, or None. Pid and create time must agree: a reused pid is not taken for ours."""
        record = self.record()
        try:
            process = psutil.Process(record["pid"])
            return process if _same(process, record) and alive(process) else None
        except (KeyError, psutil.NoSuchProcess):
            return None

    def members(self) -> list[psutil.Process]:
        """All processes of this part, whether or not their parents still live."""
        session, home = self.record().get("pid"), str(self.settings.home)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):  # another user's, or gone
                variables = process.environ()
                own = variables.get("MLOPS_HOME") == home and variables.get(PART) == self.name
                titled = session is not None and "PATH" not in variables and os.getsid(process.pid) == session
                if (own or titled) and process.pid != os.getpid() and alive(process):
                    found.append(process)
        return found

    def start(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        cwd: Path,
        user: str | None = None,
        wait: float | None = None,
    ) -> None:
        """Start it in a session of its own; output is appended to the log.

        Args:
            command: program and arguments.
            env: its whole environment.
            cwd: its working folder.
            user: another user's name, for root.
            wait: for a command that puts itself in the background: the seconds until it must have returned.

        Raises:
            RuntimeError: a waited-for command failed or took too long; the message ends with the log's last lines.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                env={**env, PART: self.name},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_default_signals,
                **as_user(user),
            )
        self.remember(child.pid)
        if wait is None:
            child.returncode = 0  # it outlives this object on purpose; no warning when it is dropped
            return
        try:
            code = child.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            self.stop()
            what = f"did not start within {wait:.0f} s" if code is None else f"failed with exit code {code}"
            raise RuntimeError(f"{self.name} {what}; {self.log} ends with:\n{self.last_lines()}")

    def remember(self, pid: int) -> None:
        """Write the pid file of a running process."""
        created = psutil.Process(pid).create_time()
        record = {"pid": pid, "created": created, "age": created - psutil.boot_time(), "boot": _boot()}
        write_atomically(self.file, json.dumps(record))

    def stop(self, first: int = signal.SIGTERM, patience: float = 10) -> None:
        """End the process, then all that it left behind, and remove the pid file. Nothing happens where none runs."""
        process = self.process()
        if process is not None:
            end([process], first, patience)
        end(self.members(), patience=patience)
        self.file.unlink(missing_ok=True)

    def last_lines(self, count: int = 5) -> str:
        """The end of the log, for an error message."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


def _boot() -> str | None:
    """What tells this start of the system from others; None where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _same(process: psutil.Process, record: Mapping[str, Any]) -> bool:
    """Whether a process is the one that a pid file names, and not a later one of its number.

    Since the system's start, where that is known: the time of day may have been corrected meanwhile.
    """
    if record.get("boot") is None:
        return bool(abs(process.create_time() - record["created"]) < 1)
    return record["boot"] == _boot() and abs(process.create_time() - psutil.boot_time() - record["age"]) < 1


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a command as another user; empty for the present one."""
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
