"""Loading the definitions, against importing Dagster alone, which nothing that uses Dagster can do without.

    .venv/bin/python benchmarks/load.py

Every run's process pays this. Prints both times (median of several processes, in turn), their ratio, and what each of
this project's and its libraries' modules takes of it.
"""

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FLOOR, OURS = "import dagster", "import mlops_assets.definitions"
ROUNDS = 7
GOAL = 1.2
# Without bytecode on disk every start would compile this project's modules, and none of Dagster's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=ENVIRONMENT, check=True, capture_output=True)
    return time.perf_counter() - start


def shares() -> dict[str, float]:
    """Own import time by top-level package, in milliseconds."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", OURS],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    shares: dict[str, float] = defaultdict(float)
    for line in run.stderr.splitlines():
        own, _, name = (part.strip() for part in line.removeprefix("import time:").split("|"))
        if own.isdigit():
            shares[name.split(".")[0]] += int(own) / 1000
    return shares


def main() -> None:
    for code in (FLOOR, OURS):
        seconds(code)  # writes the bytecode
    floors, ours = zip(*((seconds(FLOOR), seconds(OURS)) for _ in range(ROUNDS)), strict=True)
    floor, our = statistics.median(floors), statistics.median(ours)
    print(f"{FLOOR:34} {floor:6.2f} s")
    print(f"{OURS:34} {our:6.2f} s")
    print(f"ratio {our / floor:.2f} (goal: at most {GOAL})\n")
    print("share of the import time, by package (ms)")
    for name, share in sorted(shares().items(), key=lambda item: -item[1])[:15]:
        print(f"  {name:30} {share:7.1f}")


if __name__ == "__main__":
    main()
