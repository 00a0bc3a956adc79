"""How long the definitions of many workloads take to load, beyond `import dagster`.

    .venv/bin/python benchmarks/many_workloads.py                  100 workloads of all kinds, written by `mlops new`
    .venv/bin/python benchmarks/many_workloads.py --workloads 20 --rounds 3

Each round is a process of its own, as Dagster's are. Seconds of the clock and of the processor: on a busy machine the
second are the ones to believe.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops_assets.scaffold.generate import Wanted, generate, kinds

GOAL = 3  # seconds beyond `import dagster`
LOAD = """
import json, sys, time
from pathlib import Path
def now(): return [time.perf_counter(), time.process_time()]
start = now()
import dagster
imported = now()
from mlops_assets import build
defs = build(Path(sys.argv[1]))
loaded = now()
from dagster import AssetKey
assets = len(defs.resolve_asset_graph().get_all_asset_keys())
print(json.dumps([[b - a for a, b in zip(start, imported)], [b - a for a, b in zip(imported, loaded)], assets]))
"""


def write(folder: Path, count: int) -> None:
    """A repository with workloads of all kinds and of both tasks, in turn."""
    made = [(kind, task) for kind in kinds() for task in ("classification", "regression")]
    for number in range(count):
        kind, task = made[number % len(made)]
        generate(Wanted(f"{kind}_{task}_{number}", kind, task, folder))


def measure(folder: Path) -> tuple[list[float], list[float], int]:
    """Seconds (clock, processor) of `import dagster`, the same of the definitions beyond it, and their assets."""
    run = subprocess.run([sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"the definitions do not load: {run.stderr.strip().splitlines()[-1]}")
    return tuple(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    arguments = argparse.ArgumentParser(description="The loading of many workloads.")
    arguments.add_argument("--workloads", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    with TemporaryDirectory() as home:
        folder = Path(home, "many_models")
        write(folder, asked.workloads)
        rounds = [measure(folder) for _ in range(asked.rounds + 1)][1:]  # the first writes the byte code
    print(f"{asked.workloads} workloads, {rounds[0][2]} assets; load average {os.getloadavg()[0]:.1f}\n")
    print(f"{'seconds':22}{'clock':>8}{'processor':>11}")
    dagster = [min(one[0][at] for one in rounds) for at in (0, 1)]
    beyond = [min(one[1][at] for one in rounds) for at in (0, 1)]
    print(f"{'import dagster':22}{dagster[0]:8.2f}{dagster[1]:11.2f}")
    print(f"{'definitions beyond it':22}{beyond[0]:8.2f}{beyond[1]:11.2f}")
    print(f"{'ratio':22}{beyond[0] / dagster[0]:8.2f}{beyond[1] / dagster[1]:11.2f}")
    print(f"\nbest of {asked.rounds} rounds; the goal is under {GOAL} s beyond `import dagster`")


if __name__ == "__main__":
    main()
