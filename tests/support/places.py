"""Places that run training jobs, for the contract suite: each is started, killed and started again like this one."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from resources.compute import Compute, Job
from resources.compute.ray_jobs import ComputeUnavailable, RayJobs
from resources.embedded.variables import environment
from resources.settings import Settings


class Place:
    """A place of two CPUs. The suite needs no more than this of another implementation."""

    settings: Settings

    def compute(self, **changes: object) -> Compute:
        return Compute(self.settings.model_copy(update=changes))

    def start(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """End it with all that it knows, as a crash does."""
        raise NotImplementedError

    def lose(self, pid: int) -> None:
        """Kill the process that this one, of a job's program, was started from."""
        raise NotImplementedError


class LocalRay(Place):
    """A Ray head of our own, with two CPUs."""

    def __init__(self, home: Path, ports: list[int]) -> None:
        self.settings = Settings(home=home, ray_port=ports[0], ray_dashboard_port=ports[1])
        self._ports = ports
        self._processes: list[psutil.Process] = []

    def start(self) -> None:
        gcs, dashboard, *others = self._ports
        names = ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export", "runtime-env-agent")
        command = [
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "start",
            "--head",
            "--block",
            "--no-monitor",
            "--num-cpus=2",
        ]
        command += [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--temp-dir={self.settings.home}/r"]
        command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--include-log-monitor=false"]
        command += ["--no-monitor"]
        command += [f"--{name}-port={port}" for name, port in zip(names, others, strict=True)]
        started = subprocess.Popen(
            command, env=environment(self.settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes = [psutil.Process(started.pid)]
        for _ in range(60):
            with suppress(ComputeUnavailable):
                RayJobs(self.settings).capacity()
                return
            assert started.poll() is None, "Ray ended while it started"
        raise AssertionError("Ray did not start")

    def kill(self) -> None:
        for process in list(self._processes):
            with suppress(psutil.NoSuchProcess):
                self._processes += process.children(recursive=True)
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(self._processes, timeout=10)
        self._processes = []

    def lose(self, pid: int) -> None:
        supervisor = psutil.Process(pid).parent()
        assert supervisor, pid
        assert "JobSupervisor" in supervisor.name() + " ".join(supervisor.cmdline()), supervisor
        supervisor.kill()


class Wire:
    """A TCP relay to `target` that can be cut: open connections break and new ones are refused until it is mended."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: list[socket.socket] = []
        self._cut = False
        self.refused = 0  # connections since the start
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Break; returns how many connections were refused before."""
        self._cut = True
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return self.refused

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._cut:
                    near.close()
                    self.refused += 1
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open = [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def waiting_process(place: Place, path: Path, job: Job) -> subprocess.Popen:
    """A process that waits for a job as a step does; `path` is where it finds the job's package."""
    code = (
        "import signal, sys\nfrom resources.compute import Compute, Job\nfrom resources.settings import settings\n"
        "from workloads.sdk.programs.spec import Spec\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # it may be ignored where the tests were started
        "Compute(settings()).run(Job(sys.argv[1], Spec.model_validate_json(sys.argv[2]), sys.argv[3]))"
    )
    env = environment(place.settings)
    env["PYTHONPATH"] = os.pathsep.join([str(path), env["PYTHONPATH"]])
    arguments = [job.workload, job.spec.model_dump_json(), job.root_run]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=env, start_new_session=True)
