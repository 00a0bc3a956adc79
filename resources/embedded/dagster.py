"""Dagster's webserver, and its daemon with sensors, schedules and the run queue."""

import signal
import sys
from datetime import UTC, datetime, timedelta

from resources.database import DatabaseUnavailable, connect
from resources.embedded.code_servers import CodeServers, prepare_home
from resources.embedded.part import Part
from resources.embedded.process import Daemon
from resources.embedded.variables import environment
from resources.http import request
from resources.settings import REPOSITORY, Settings

SILENT_SECONDS = 180  # without a heartbeat, which each of its works gives twice a minute
BEATS = "SELECT daemon_type, timestamp FROM daemon_heartbeats WHERE timestamp >= %s"


def dev(settings: Settings) -> Daemon:
    """`dagster dev` of this home: it brings a webserver and a daemon of its own."""
    return Daemon(settings, "dagster-dev")


class _Dagster(Part):
    after = ("postgres", "dagster-code")

    def _run(self, *program: str) -> None:
        prepare_home(self.settings)
        workspace = CodeServers(self.settings).workspace
        command = [sys.executable, "-m", *program, "--workspace", str(workspace)]
        env = environment(self.settings) | {"DAGSTER_DISABLE_TELEMETRY": "1"}
        self.daemon.start(command, env, cwd=REPOSITORY)

    def stop(self) -> None:
        self.daemon.stop(signal.SIGINT)  # as by Ctrl-C: it ends its code servers itself


class Webserver(_Dagster):
    """The UI and its GraphQL API."""

    name, title, seconds = "dagster-webserver", "Dagster webserver", 120
    listens = ("dagster_port",)

    @property
    def address(self) -> str:
        return self.settings.dagster

    def fault(self) -> str | None:
        status, _ = request(f"{self.address}/server_info")
        return None if status == 200 else f"Dagster's webserver does not answer on {self.address}"

    def launch(self) -> None:
        self._run("dagster_webserver", "--host", "127.0.0.1", "--port", str(self.settings.dagster_port))


class DagsterDaemon(_Dagster):
    """Sensors, schedules, run queue, run monitoring. It has no port; it writes heartbeats into the database."""

    name, title, seconds = "dagster-daemon", "Dagster daemon", 120

    @property
    def address(self) -> str:
        return str(self.settings.home / "dagster")

    def fault(self) -> str | None:
        process = self.daemon.process()
        if process is None:
            return "Dagster's daemon does not run, so no sensor and no queued run starts"
        started = datetime.fromtimestamp(process.create_time(), UTC).replace(tzinfo=None)
        try:
            with connect(self.settings, "dagster") as connection:
                exists = connection.execute("SELECT to_regclass('daemon_heartbeats') IS NOT NULL").fetchone()
                beats = dict(connection.execute(BEATS, [started]).fetchall()) if exists == (True,) else {}
        except DatabaseUnavailable as error:
            return f"Dagster's daemon cannot work: {error}"
        if "SENSOR" not in beats:
            return "Dagster's daemon has not begun its work"
        oldest = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=SILENT_SECONDS)
        silent = sorted(kind for kind, at in beats.items() if at < oldest)
        return f"Dagster's daemon has given no sign of life for its work {', '.join(silent)}" if silent else None

    def launch(self) -> None:
        self._run("dagster._daemon", "run")
