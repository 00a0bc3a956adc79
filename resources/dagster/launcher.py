"""Dagster's launcher of runs on this machine, which also finds those whose process is gone; named by `dagster.yaml`.

Dagster leaves that to its code server, which forgets all runs when it is restarted, and stops looking at the first time
that PostgreSQL does not answer. Such a run would never end, and hold its slot of the pool `training`.
"""

import psutil
from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from resources.embedded.process import alive
from resources.settings import settings

CORRECTED = 60  # seconds by which a clock is set at most without being wrong


class PlatformLauncher(DefaultRunLauncher):
    """Dagster's run monitoring asks it about every started run."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives. A run that this machine may not have started is taken to be well."""
        running = CheckRunHealthResult(WorkerStatus.RUNNING)
        if GRPC_INFO_TAG not in run.tags and settings().postgres_url is not None:
            return running  # by a command line, maybe on another machine
        started = self._started(run.run_id)
        if started is None:
            return running
        pid, at = started
        try:
            process = psutil.Process(pid)
            # A later one only has its number, and so soon none has; the clock may have been corrected since.
            if alive(process) and process.create_time() <= at + CORRECTED:
                return running
        except psutil.NoSuchProcess:
            pass
        except psutil.AccessDenied:
            return running
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND,
            f"the run's process (pid {pid}) is gone: it was killed, ran out of memory, or ended with the machine",
        )

    def _started(self, run_id: str) -> tuple[int, float] | None:
        """Number of the run's process, and when (s since 1970) it was known to live; None before it has said so."""
        found = None
        for entry in self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
            pid = entry.dagster_event.engine_event_data.metadata.get("pid") if entry.dagster_event else None
            if pid is not None and str(pid.value).isdecimal():
                found = int(str(pid.value)), entry.timestamp
        return found
