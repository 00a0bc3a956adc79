"""What the running platform takes of the processors while nobody asks anything, part by part, and what Ray alone takes.

    python -m benchmarks.idle                        the platform as it runs, over a minute
    python -m benchmarks.idle --seconds 120

The floor is Ray's own: a head with its dashboard, Serve, and one endpoint that does nothing, with the defaults of all.
It is started in a home of its own after the platform was measured, which goes on; both are in percent of one core.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import psutil

from resources.embedded import Platform
from resources.embedded.network import free_ports
from resources.settings import settings

SETTLE = 45  # seconds: for what is done once after a start

BARE = """
import sys, time
import ray
from ray import serve

@serve.deployment
class Nothing:
    async def __call__(self, request):
        return ""

folder, dashboard, http = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ray.init(_temp_dir=folder, include_dashboard=True, dashboard_port=dashboard, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": http})
serve.run(Nothing.bind())
print("ready", flush=True)
time.sleep(3600)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    parts = Platform(settings()).parts
    figures = taken({part.title: part.processes for part in parts}, asked.seconds)
    if not any(part.processes() for part in parts):
        sys.exit("no part of the platform runs; start it with `mlops up`")
    floor = bare(asked.seconds)
    total = sum(figures.values())
    rounded = {name: round(value, 1) for name, value in figures.items()}
    print(json.dumps({"parts": rounded, "total": round(total, 1), "ray and serve alone": round(floor, 1)}, indent=2))
    print(f"ratio to Ray and Serve alone: {total / floor:.2f}")


def taken(groups: dict[str, Callable[[], list[psutil.Process]]], seconds: float) -> dict[str, float]:
    """Percent of a core that each group of processes takes, those included that come and go meanwhile."""
    first: dict[tuple[int, float], float] = {}
    last: dict[tuple[int, float], tuple[str, float]] = {}
    begun = time.monotonic()
    while (now := time.monotonic()) < begun + seconds or not last:
        for name, processes in groups.items():
            for process in processes():
                try:
                    times, key = process.cpu_times(), (process.pid, process.create_time())
                except psutil.Error:
                    continue
                used = times.user + times.system
                known = time.time() - (now - begun) > key[1]  # it ran before
                first.setdefault(key, used if known else 0)
                last[key] = (name, used)
        time.sleep(1)
    spent = time.monotonic() - begun
    return {
        name: 100 / spent * sum(used - first[key] for key, (group, used) in last.items() if group == name)
        for name in groups
    }


def bare(seconds: float) -> float:
    """The same of Ray and Serve with an endpoint that does nothing."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        command = [sys.executable, "-c", BARE, folder, *map(str, free_ports(2))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
            try:
                if "ready\n" not in driver.stdout:
                    sys.exit("Ray with Serve did not start")
                time.sleep(SETTLE)
                tree = psutil.Process(driver.pid)
                return taken({"ray": lambda: [tree, *tree.children(recursive=True)]}, seconds)["ray"]
            finally:
                driver.terminate()


if __name__ == "__main__":
    main()
