"""The platform on one machine: brings its parts up in order, takes them down, says how they are."""

import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from threading import Lock

import psutil

from resources.all import Resources
from resources.embedded.code_servers import CodeServers
from resources.embedded.dagster import DagsterDaemon, Webserver, dev
from resources.embedded.mlflow import Mlflow
from resources.embedded.network import listeners
from resources.embedded.part import Part
from resources.embedded.playground import Playground
from resources.embedded.postgres import Postgres, prepare
from resources.embedded.process import alive
from resources.embedded.ray import Ray
from resources.embedded.restarts import Restarts, Wanted
from resources.embedded.serve import Serve
from resources.embedded.supervisor import Supervisor
from resources.settings import Settings
from workloads.sdk.errors import PlatformError

MEMORY_GOAL = 3 * 2**30  # bytes, of all parts together
CPU_GOAL = 5.0  # per cent of one core, idle

Progress = Callable[[str, str], None]  # (part's title, what it is at)


class PlatformFailed(PlatformError):
    """The platform cannot start; one sentence for each reason."""


@dataclass(frozen=True)
class PartStatus:
    """How a part is: `state` is `answers`, `stopped`, `broken` or `external`; memory in bytes, cpu in % of a core.

    `since` is when the youngest process started without which it is of no use, in seconds since 1970; `restarts` are
    the supervisor's, since the platform came up.
    """

    name: str
    title: str
    state: str
    address: str
    fault: str | None
    pids: list[int]
    memory: int
    cpu: float
    since: float | None
    restarts: int


class Platform:
    """The parts of one home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.services: list[Part] = [kind(settings) for kind in (Postgres, Mlflow, Ray, Serve)]
        self.dagster: list[Part] = [CodeServers(settings), Webserver(settings), DagsterDaemon(settings)]
        self.playground = Playground(settings)
        self.parts: list[Part] = [*self.services, *self.dagster, self.playground]
        self.supervisor = Supervisor(settings)
        self.restarts, self._wanted = Restarts(settings), Wanted(settings)

    @property
    def wanted(self) -> list[Part]:
        """The embedded parts that a person has started and not stopped."""
        names = self._wanted.read()
        return [part for part in self.parts if part.name in names and not part.external]

    def up(self, progress: Progress = lambda title, text: None, dagster: bool = True, playground: bool = True,
           supervised: bool = False) -> bool:  # fmt: skip
        """Start what does not run and mend what does not answer; what is well is left alone.

        Args:
            progress: told what happens, from several threads, one call at a time.
            dagster: also the webserver and the daemon.
            playground: also the page to try endpoints on.
            supervised: also the supervisor, by which all that was started comes back where it ends.

        Returns:
            Whether anything had to be started.

        Raises:
            PlatformFailed: a port is taken, an external service does not answer, or a part does not start.
        """
        with self._lock(progress):
            wanted = self.services + (self.dagster if dagster and dev(self.settings).process() is None else [])
            wanted += [self.playground] if playground else []
            started = self._mend(wanted, progress)
            self._wanted.write({part.name for part in [*self.wanted, *wanted]})
            if supervised and self.supervisor.trouble():
                self.supervisor.start()
                started = True
            return started

    def revive(self, names: set[str]) -> dict[str, str]:
        """Start these parts anew where they are wanted and do not answer, as the supervisor finds them.

        Returns:
            Why, by the names of those that were started.

        Raises:
            PlatformFailed: as `up`.
        """
        with self._lock(lambda title, text: None):
            wanted = [part for part in self.wanted if part.name in names]
            broken = {part.name: fault for part in wanted if (fault := part.outage())}
            lasting = [part for part in wanted if part.name in broken and not part.recover()]
            for part in lasting:
                part.stop()  # what lives of it does not answer; nothing is waited for again
            together = {part.name for part in lasting} | ({"serve"} if "ray" in broken else set())
            if together:
                self._mend([part for part in self.wanted if part.name in together], lambda title, text: None)
            return broken

    def _mend(self, wanted: list[Part], progress: Progress) -> bool:
        """Start those that do not answer; whether there were any."""
        faults = self._faults(wanted)
        external = [fault for part in wanted if part.external and (fault := faults[part.name])]
        if external:
            raise PlatformFailed("\n".join(external))
        broken = [part for part in wanted if faults[part.name]]
        if taken := self.taken_ports([part for part in broken if not part.running()]):
            raise PlatformFailed("\n".join(f"{text}; {mend}" for text, mend in taken))
        if any(part.name == "ray" for part in broken):
            broken += [part for part in wanted if part.name == "serve" and part not in broken and not part.external]
        if not any(part.name == "postgres" for part in broken):
            self._migrate()
        if broken:
            self._start(broken, progress)
        return bool(broken)

    def down(self, progress: Progress = lambda title, text: None, services: bool = True) -> None:
        """End all processes of this home, whether or not they were left by a crash. `services=False`: Dagster only."""
        if services:
            self.supervisor.stop()  # before all, and without the lock: it may be starting something
        with self._lock(progress):
            developing = dev(self.settings)
            if developing.process() is not None:
                progress("dagster dev", "stopping")
            developing.stop(signal.SIGINT)
            parts = self.parts if services else self.dagster
            self._wanted.write({part.name for part in self.wanted if part not in parts})
            for part in parts:
                if part.processes():
                    progress(part.title, "stopping")
            database = [part for part in parts if part.name == "postgres"]  # last: the others write to it
            for group in ([part for part in parts if part not in database], database):
                with ThreadPoolExecutor(len(self.parts)) as pool:
                    list(pool.map(lambda part: part.stop(), group))
            if services:
                self.supervisor.stop()  # one that another `mlops up` has started since
                self.restarts.forget()

    def status(self, sample: float = 1.0) -> list[PartStatus]:
        """State, memory and CPU of each part; CPU is measured over `sample` seconds."""
        parts = [*self.parts, *([self.supervisor] if self.supervisor.wanted else [])]
        members = {part.name: part.processes() for part in parts}
        before = {name: _seconds(processes) for name, processes in members.items()}
        started = time.monotonic()
        faults = self._faults(parts)
        time.sleep(max(0.0, sample - (time.monotonic() - started)))
        span = time.monotonic() - started
        found = []
        for part in parts:
            processes, fault = members[part.name], faults[part.name]
            state = (
                "external" if part.external else "answers" if fault is None else "broken" if processes else "stopped"
            )
            after = _seconds(processes)
            used = sum(after[pid] - before[part.name].get(pid, after[pid]) for pid in after)
            pids = sorted(process.pid for process in processes)
            memory = sum(map(_memory, processes))
            core = [process.create_time() for process in part.core() if alive(process)]
            found.append(
                PartStatus(
                    part.name, part.title, state, part.address, fault, pids, memory, 100 * used / span,
                    since=max(core, default=None), restarts=len(self.restarts.of(part.name)),
                )
            )  # fmt: skip
        return found

    def _faults(self, parts: list[Part]) -> dict[str, str | None]:
        with ThreadPoolExecutor(len(parts)) as pool:
            return dict(zip([part.name for part in parts], pool.map(lambda part: part.trouble(), parts), strict=True))

    def taken_ports(self, parts: list[Part]) -> list[tuple[str, str]]:
        """What is wrong with each port of these parts that a stranger listens on, and how to mend it."""
        own = {process.pid for part in self.parts for process in part.processes()}
        held = {port: owner for port, _, owner, pid in listeners() if pid not in own}
        return [
            (
                f"port {port}, which {part.title} needs, is used by {held[port]}",
                f"end that process, or set {setting}, or MLOPS_PORTS for all ports",
            )
            for part in parts
            for setting, port in part.ports.items()
            if port in held
        ]

    def _start(self, parts: list[Part], progress: Progress) -> None:
        """Each part as soon as those that it needs answer; independent ones side by side."""
        one_at_a_time, names = Lock(), {part.name: part for part in parts}

        def say(title: str, text: str) -> None:
            with one_at_a_time:
                progress(title, text)

        def start(part: Part) -> str:
            began = time.monotonic()
            say(part.title, "starting")
            part.start()
            if part.name == "postgres":
                self._migrate()
            say(part.title, f"answers on {part.address} ({time.monotonic() - began:.1f} s)")
            return part.name

        order = TopologicalSorter({part.name: [name for name in part.after if name in names] for part in parts})
        order.prepare()
        failures: list[str] = []
        with ThreadPoolExecutor(len(parts)) as pool:
            pending = {}
            while order.is_active():
                for name in order.get_ready():
                    pending[pool.submit(start, names[name])] = name
                if not pending:
                    break  # the rest waits for what failed
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    name = pending.pop(future)
                    if future.exception() is None:
                        order.done(name)
                    else:
                        failures.append(f"{names[name].title}: {future.exception()}")
        if failures:
            raise PlatformFailed("\n".join(failures))

    def _migrate(self) -> None:
        """Tables of the platform's own facts."""
        prepare(self.settings)
        Resources(self.settings).migrate()

    @contextmanager
    def _lock(self, progress: Progress) -> Iterator[None]:
        """One `up` or `down` of a home at a time; the lock ends with its process, however that ends."""
        file = self.settings.home / "run" / "lock"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("mlops", "waiting for another `mlops up` or `mlops down` of this home")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _seconds(processes: list[psutil.Process]) -> dict[int, float]:
    """CPU seconds used so far, by pid."""
    used = {}
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            used[process.pid] = times.user + times.system
    return used


def _memory(process: psutil.Process) -> int:
    """Bytes; shared pages are counted in parts (PSS) where the system tells."""
    try:
        full = process.memory_full_info()
        return getattr(full, "pss", None) or full.uss
    except psutil.AccessDenied:
        return process.memory_info().rss
    except psutil.Error:
        return 0
