"""Ray's head, all of it on loopback and behind a token; and the settings of Serve's HTTP proxy, which are Ray's."""

import os
import shutil
import signal
import sys
from pathlib import Path

import psutil

from resources.embedded import haproxy
from resources.embedded.network import free_ports
from resources.embedded.part import Part
from resources.embedded.process import command_of, end
from resources.embedded.variables import environment, socket_folder
from resources.http import request
from resources.settings import REPOSITORY

CORE = ("gcs_server", "raylet", "dashboard.py", "log_monitor.py")
OBJECT_STORE = 300 * 10**6  # bytes
HOOK = "resources.embedded.ray_start.hook"

# Ray looks after large clusters ten times a second; on one machine that is most of what it does when idle.
QUIET = {
    "RAY_enable_metrics_collection": "false",
    "RAY_metrics_report_interval_ms": "60000",
    "RAY_event_stats": "false",
    "RAY_io_context_event_loop_lag_collection_interval_ms": "0",
    "RAY_io_context_monitor_probe_interval_ms": "60000",
    "RAY_raylet_report_resources_period_milliseconds": "500",
    "RAY_raylet_check_gc_period_milliseconds": "1000",
    "RAY_local_fs_monitor_interval_ms": "2000",
    "RAY_memory_monitor_refresh_ms": "1000",
    "RAY_kill_idle_workers_interval_ms": "1000",
    "RAY_gcs_pull_resource_loads_period_milliseconds": "5000",
    "RAY_task_events_report_interval_ms": "5000",
    "RAY_DASHBOARD_AGENT_CHECK_PARENT_INTERVAL_S": "2",
    "EVENT_AGENT_REPORT_INTERVAL_SECONDS": "5",
    "SCAN_EVENT_DIR_INTERVAL_SECONDS": "10",
    "METRICS_RECORD_INTERVAL_S": "60",
    "REPORTER_UPDATE_INTERVAL_MS": "15000",
    "RAY_prestart_worker_first_driver": "false",  # workers without the environment that a job asks for
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
}
GUARD = "workloads.sdk.serving.http.guard.middlewares"


class Ray(Part):
    """Control store, scheduler, dashboard with the job API. Each worker inherits this environment."""

    name, title = "ray", "Ray"
    elsewhere, listens = ("ray_url",), ("ray_port", "ray_dashboard_port")

    def core(self) -> list[psutil.Process]:
        return [process for process in self.daemon.members() if any(name in _command(process) for name in CORE)]

    def running(self) -> bool:
        """Whether all of its core lives."""
        commands = [_command(process) for process in self.core()]
        return all(any(name in command for command in commands) for name in CORE)

    def fault(self) -> str | None:
        status, _ = request(f"{self.address}/api/jobs/", token=self.settings.ray_token)
        if status in (401, 403):
            return f"Ray on {self.address} refuses the token in {self.settings.home}/secrets/ray-token"
        return None if status == 200 else f"Ray's job API does not answer on {self.address}"

    def launch(self) -> None:
        try:
            self._start_head()
        except RuntimeError:  # a port taken in between, or a machine too busy for Ray's own time limits
            self._start_head()

    def _start_head(self) -> None:
        folder = socket_folder(self.settings)
        for session in sorted((folder / "r").glob("session_2*"))[:-1]:
            shutil.rmtree(session, ignore_errors=True)  # the last one stays, for its logs
        shutil.rmtree(folder / "h", ignore_errors=True)
        # Ports named beforehand: Ray would wait for those that its agents choose, too briefly for a busy machine.
        agent, metrics, grpc, environments, *proxy = free_ports(7)
        flags = {
            "node-ip-address": "127.0.0.1",
            "port": self.settings.ray_port,
            "temp-dir": folder / "r",  # Ray opens it to everybody, inside ours
            "include-dashboard": "true",
            "dashboard-host": "127.0.0.1",
            "dashboard-port": self.settings.ray_dashboard_port,
            "dashboard-agent-listen-port": agent,
            "dashboard-agent-grpc-port": grpc,
            "metrics-export-port": metrics,
            "runtime-env-agent-port": environments,
            "min-worker-port": 0,  # any free one
            "max-worker-port": 0,
            "num-cpus": os.cpu_count() or 1,
            "object-store-memory": OBJECT_STORE,
        }
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--no-monitor"]
        command += ["--disable-usage-stats"] + [f"--{name}={value}" for name, value in flags.items()]
        hooks = {"RAY_START_HOOK": HOOK, "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": GUARD}
        env = environment(self.settings) | QUIET | hooks | self._proxy(folder, proxy)
        self.daemon.start(command, env, cwd=REPOSITORY, wait=120)

    @property
    def logs(self) -> Path:
        """Folder of what its processes say, Serve's in `serve`."""
        return socket_folder(self.settings) / "r" / "session_latest" / "logs"

    def stop(self) -> None:
        # Workers first, so that each may finish what it is about; without Ray's core they cannot.
        members, whole = self.daemon.members(), self.running()
        workers = [process for process in members if _command(process).startswith("ray::")]
        end(workers, signal.SIGTERM, patience=5 if whole else 0.5)
        self.daemon.stop(patience=5 if whole else 0.5)

    def _proxy(self, folder: Path, ports: list[int]) -> dict[str, str]:
        """Environment of Serve's HTTP proxy; it must be Ray's, since Ray starts Serve's processes."""
        if self.settings.http_proxy == "python":
            return {"RAY_SERVE_ENABLE_HA_PROXY": "0"}
        files = folder / "h"
        files.mkdir(mode=0o700, exist_ok=True)
        return {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5",  # of 30: how long new code waits for old replicas
            "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # of 10; the third failure has HAProxy started anew
            "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",  # of what is asked only, see haproxy.py
            "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",  # of 3600; a client that neither sends nor takes anything
            "RAY_SERVE_HAPROXY_MAXCONN": str(haproxy.connections()),
            "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1)),
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy.program(self.settings, files)),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(files / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(files / "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(files / "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(files),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(files / "server-state"),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(ports[0]),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports[1]),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports[2]),
        }


def _command(process: psutil.Process) -> str:
    """Program and first arguments."""
    return " ".join(command_of(process)[:3])
