"""Several jobs of one materialization beside each other, as many at once as there is room for."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from resources.compute.capacity import Capacity, asked, fits
from resources.compute.folder import Job

Run = Callable[[Job, Callable[[str], None], threading.Event], Any]


def run_all(
    run: Run, jobs: Sequence[Job], capacity: Callable[[], Capacity], log: Callable[[str], None]
) -> list[Any | Exception]:
    """Each job's result, or what it failed with. An interruption of the caller gives up all that run.

    `log` is called by the caller's own thread, with lines that begin with the job's variant where it has one.
    """
    lines: SimpleQueue[str | None] = SimpleQueue()  # None: a job has ended
    given_up = threading.Event()

    def one(job: Job) -> Any | Exception:
        prefix = f"{job.variant}: " if job.variant else ""
        try:
            return run(job, lambda line: lines.put(prefix + line), given_up)
        except Exception as error:
            return error
        finally:
            lines.put(None)

    with ThreadPoolExecutor(at_once(jobs, capacity), thread_name_prefix="training") as pool:
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


def at_once(jobs: Sequence[Job], capacity: Callable[[], Capacity]) -> int:
    """How many of the jobs the free room holds beside each other; at least one, which then waits as any job does.

    One more would wait for its siblings, and fail as what cannot be placed.
    """
    if len(jobs) < 2:
        return 1
    free = capacity().free
    for number in range(len(jobs), 1, -1):
        if fits([bundle for job in jobs[:number] for bundle in asked(job.spec.tier)], free):
            return number
    return 1
