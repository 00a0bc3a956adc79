"""Where jobs run: trainings and others, under deterministic names, whose result is a file.

What is asked of Ray is in `ray_jobs.py`, what a job leaves on disk in `folder.py`. Here is what holds for
any place that runs jobs: the order (a valid result is taken, a live job attached to, else a new attempt goes on from
the last checkpoint), how the log is followed, and how long a job may wait for room.
"""

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from resources.compute.capacity import Capacity, asked, bundle, fits, nearest, wanted
from resources.compute.folder import Job, JobFolder, import_path
from resources.compute.ray_jobs import PATIENCE, ComputeUnavailable, RayJobs, State, Status
from resources.settings import Settings
from workloads.sdk.contract import Tier
from workloads.sdk.errors import PlatformError
from workloads.sdk.programs.spec import FAILED

__all__ = ["Compute", "ComputeUnavailable", "Job", "JobFailed", "NotPlaceable", "State", "Status"]

SUBMISSIONS = 3  # of one `run`, where the place of the job loses it
AWAY_SECONDS = 45  # that Ray may be away while a job is waited for: it is back after a restart
STOP_SECONDS = 10
POLL_SECONDS = (0.2, 1.5)  # first and longest pause between two looks at a job whose log is quickly read
SLOWEST_POLL_SECONDS = 10
KEPT_DAYS = 7  # what a job leaves on disk, for retries of its run
LAST_LINES = 20  # of the log, in the error of a failed job


class JobFailed(PlatformError):
    """A job ended without a result; the message holds the end of its log."""


class NotPlaceable(JobFailed):
    """There is no room for a job; the message names what is wanted and what is free."""


class Compute:
    """Jobs. Cheap to construct; nothing is contacted before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = RayJobs(settings)

    def run(self, job: Job, log: Callable[[str], None] = print, given_up: threading.Event | None = None) -> Any:
        """Do the job, or take what was done before for the same root run and spec: what its spec calls a result.

        `log` gets the job's lines as they come. Interrupted (a cancelled step), this stops the job; killed, it leaves
        the job running, for the next `run` to attach to. `given_up`, set by another thread, stops it too.

        Raises:
            JobFailed: the job ended without a result.
            NotPlaceable: there is no room for it, now or ever.
            ComputeUnavailable: Ray does not answer.
        """
        folder = JobFolder.of(self._settings, job)
        for _ in range(SUBMISSIONS):
            with folder.lock():
                if (result := folder.result(job)) is not None:
                    return result
                found = self.attach(job)
                name = found or self.submit(job)
            log(f"attached to the job {name}" if found else f"submitted the job {name}")
            last = self._wait(job, name, log, given_up)
            status = self.status(name, AWAY_SECONDS)
            if (result := folder.result(job)) is not None:
                return result
            if not status.state.gone:
                raise JobFailed(_failure(job, name, status, last))
            log(f"the job {name} is gone ({status.message or 'Ray does not say why'}); another attempt goes on")
        raise JobFailed(f"{job.title} was lost {SUBMISSIONS} times by Ray; look at `mlops status`, then try again")

    def run_all(self, jobs: Sequence[Job], log: Callable[[str], None] = print) -> list[Any | Exception]:
        """`run` for several jobs, as many at once as there is room for; all end, also where one fails.

        `log` is called by the caller's own thread, with lines that begin with the job's variant where it has one. An
        interruption of the caller gives up all that run.

        Returns, for each job in its place, the result, or the error that `run` raised.
        """
        lines: SimpleQueue[str | None] = SimpleQueue()  # None: a job has ended
        given_up = threading.Event()

        def one(job: Job) -> Any | Exception:
            prefix = f"{job.variant}: " if job.variant else ""
            try:
                return self.run(job, lambda line: lines.put(prefix + line), given_up)
            except Exception as error:
                return error
            finally:
                lines.put(None)

        with ThreadPoolExecutor(self._at_once(jobs), thread_name_prefix="training") as pool:
            futures = [pool.submit(one, job) for job in jobs]
            try:
                left = len(jobs)
                while left:
                    if (line := lines.get()) is None:
                        left -= 1
                    else:
                        log(line)
            except BaseException:
                given_up.set()
                for future in futures:
                    future.cancel()
                raise
            return [future.result() for future in futures]

    def _at_once(self, jobs: Sequence[Job]) -> int:
        """How many of the jobs the free room holds beside each other; at least one, which then waits as any job does.

        One more would wait for its siblings, and fail as what cannot be placed.
        """
        if len(jobs) < 2:
            return 1
        free, bundles = self._jobs.capacity().free, [asked(job.spec.tier) for job in jobs]
        return max((n for n in range(2, len(jobs) + 1) if fits(list(chain(*bundles[:n])), free)), default=1)

    def submit(self, job: Job) -> str:
        """Start the next attempt, from the last checkpoint if there is one, and return its name.

        Raises:
            JobFailed: the workload's package has no program.
            NotPlaceable: the cluster could not hold the job if it were idle.
            ComputeUnavailable: Ray does not answer.
        """
        try:
            path = import_path(job.spec.package, job.spec.program)
        except ValueError as error:
            raise JobFailed(f"{job.title} cannot start: {error}") from error
        self.require(job.spec.tier, job.title)
        folder = JobFolder.of(self._settings, job)
        number = folder.latest + 1
        while self._jobs.status(folder.name(number)).state is not State.UNKNOWN:
            number += 1  # an attempt of a home that was deleted since
        name, command = folder.name(number), folder.prepare(job, number)
        env = {"MLOPS_HOME": str(self._settings.home), "MLOPS_ENV": self._settings.env, "PYTHONPATH": path}
        with self._stopped_on_error(name):
            # The workers that a driver starts take what they need; it takes nothing itself.
            self._jobs.submit(name, command, env, {} if job.spec.drives else bundle(job.spec.tier))
        return name

    def attach(self, job: Job) -> str | None:
        """Name of the job's latest attempt where that is waiting or running."""
        folder = JobFolder.of(self._settings, job)
        name = folder.name(folder.latest)
        return name if folder.latest and self.status(name).state.live else None

    def status(self, name: str, patience: float = PATIENCE) -> Status:
        """Where a job stands. `patience`: seconds that Ray may be away."""
        status = self._jobs.status(name, patience)
        if status.state is State.PENDING and (found := JobFolder.find(self._settings, name)):
            folder, number = found
            if folder.stopped(number).exists():
                return Status(State.STOPPED, "stopped before it started")
        return status

    def logs(self, name: str) -> Iterator[str]:
        """The job's lines from the first, as they come, until it ends; a lost connection loses and repeats none."""
        return self._follow(name, lambda status: None)

    def stop(self, name: str) -> None:
        """End a job, and wait until it has ended (10 s at most). One that waits for room will not start."""
        if found := JobFolder.find(self._settings, name):
            folder, number = found
            folder.stopped(number).touch()
        self._jobs.stop(name)
        end = time.monotonic() + STOP_SECONDS
        while self.status(name).state.live and time.monotonic() < end:
            time.sleep(0.2)

    def stop_all(self, workload: str, root_run: str) -> None:
        """End the jobs that a run and its retries left running."""
        for folder in JobFolder.all_of(self._settings, workload, root_run):
            if folder.latest and self.status(name := folder.name(folder.latest)).state.live:
                self.stop(name)

    def prune(self, days: float = KEPT_DAYS) -> int:
        """Delete what jobs left on disk that nobody touched for so many days; the number of jobs deleted.

        What came of them stands elsewhere. A job that lives is left alone.
        """
        deleted = 0
        for folder in JobFolder.all(self._settings):
            if folder.touched < time.time() - days * 86400 and not self.status(folder.name(folder.latest)).state.live:
                shutil.rmtree(folder.path, ignore_errors=True)
                deleted += 1
        return deleted

    def folder(self, job: Job) -> Path:
        """What the job leaves on disk; `out` in it is what its program wrote."""
        return JobFolder.of(self._settings, job).path

    # --- waiting ---

    def _wait(self, job: Job, name: str, log: Callable[[str], None], given_up: threading.Event | None) -> list[str]:
        """Until the job ends; returns its last lines."""
        last: deque[str] = deque(maxlen=LAST_LINES)
        with (
            self._stopped_on_error(name),
            JobFolder.of(self._settings, job).log().open("w", buffering=1) as copy,
        ):
            for line in self._follow(name, self._check(job, name, given_up)):
                copy.write(line + "\n")
                last.append(line)
                log(line)
        return list(last)

    @contextmanager
    def _stopped_on_error(self, name: str) -> Iterator[None]:
        """Stops the job when the block is left by an error or an interruption, unless Ray is away."""
        try:
            yield
        except ComputeUnavailable:
            raise
        except BaseException:
            with suppress(ComputeUnavailable):
                self.stop(name)
            raise

    def _follow(self, name: str, check: Callable[[Status], None]) -> Iterator[str]:
        seen, pause = 0, POLL_SECONDS[0]
        while True:
            status = self.status(name, AWAY_SECONDS)
            asked = time.monotonic()
            # Asked for from where the last answer ended: there is no stream that could break off.
            output = self._jobs.output(name, seen)
            cost = time.monotonic() - asked
            if output is not None:
                end = output.rfind(b"\n") + 1 if status.state.live else len(output)
                if end:
                    for line in output[:end].decode(errors="replace").removesuffix("\n").split("\n"):
                        yield line.rstrip("\r").rsplit("\r", 1)[-1]  # of a progress bar, its last state
                    seen += end
            elif not status.state.live and status.state is not State.UNKNOWN:
                yield "(the rest of the log cannot be read)"
            if not status.state.live:
                return
            check(status)
            # What takes long to read is read seldom: no more than a tenth of the time goes into that.
            time.sleep(min(max(pause, 10 * cost), SLOWEST_POLL_SECONDS))
            pause = min(pause * 1.1, POLL_SECONDS[1])

    # --- room ---

    def _check(self, job: Job, name: str, given_up: threading.Event | None) -> Callable[[Status], None]:
        """To be called while the job lives: raises once it is given up, or has waited too long for room."""
        waiting_since: float | None = None
        patience = self._settings.placement_seconds

        def check(status: Status) -> None:
            nonlocal waiting_since
            if given_up and given_up.is_set():
                raise JobFailed(f"{job.title} was given up (job {name})")
            waits: bool | None = status.state is State.PENDING
            if job.spec.drives:  # its driver asks for nothing, the workers that it starts do
                waits = self._jobs.waiting(name)
                if waits is None and waiting_since is not None:
                    return  # between two requests for room: a group of workers that gave up asks again
            if not waits:
                waiting_since = None
            elif waiting_since is None:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > patience:
                capacity = self._jobs.capacity()
                if status.state is State.PENDING and fits(asked(job.spec.tier), capacity.free):
                    return  # it has its room, and is slow to start there
                raise NotPlaceable(
                    f"{job.title} waited {patience} s for room and was stopped: it wants "
                    f"{wanted(job.spec.tier)}; Ray has {capacity}. Try when less is running, or choose a smaller tier"
                )

        return check

    def require(self, tier: Tier, what: str) -> None:
        """Refuse what the cluster could not hold if it were idle. `what` it is for begins the sentence.

        Raises:
            NotPlaceable: with what is wanted, what there is, and the nearest tier that can be placed.
            ComputeUnavailable: Ray does not answer.
        """
        capacity = self._jobs.capacity()
        if fits(asked(tier), capacity.nodes):
            return
        nodes = "1 node" if len(capacity.nodes) == 1 else f"{len(capacity.nodes)} nodes"
        instead = nearest(tier, capacity.nodes)
        advice = f"the nearest tier that can be is {instead}" if instead else "neither can any other tier"
        raise NotPlaceable(
            f"{what} can never be placed here: it wants {wanted(tier)}; Ray has {capacity}, on {nodes}; {advice}"
        )

    def capacity(self) -> Capacity:
        """What Ray has, and what of it is free."""
        return self._jobs.capacity()


def _failure(job: Job, name: str, status: Status, last: list[str]) -> str:
    if status.state is State.STOPPED:
        return f"{job.title} was stopped (job {name})"
    if status.state is State.SUCCEEDED:
        how = "ended without a result"
    elif status.exit_code is not None:
        said = next((line.removeprefix(FAILED) for line in reversed(last) if line.startswith(FAILED)), "")
        how = f"failed with exit code {status.exit_code}{': ' + said if said else ''}"
    else:
        how = f"failed: {status.message}"
    return "\n".join([f"{job.title} {how} (job {name}). The end of its log:", *last])
