"""How far the figures of two trainings alike differ: same data, code, parameters, seed and tier.

    python benchmarks/repeatability.py fashion_mnist --data FOLDER [--epochs 2]

`FOLDER` holds `<split>.parquet`. The one figure that is compared with a limit is the test metric of the gate: it must
differ by less than the gate's margin, else a retraining alone could pass for a better or a worse model. What differs
by more than 0 is shown by name. Ends with 1 where the limit is passed.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.spec import Result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trainings", type=int, default=2)
    asked, flags = parser.parse_known_args()
    gates = workload_of(f"workloads.{asked.workload}").gates
    results = [trained(asked.workload, ["--data", str(asked.data), *flags]) for _ in range(asked.trainings)]
    figures = [flat(result) for result in results]
    spread = {name: max(one[name] for one in figures) - min(one[name] for one in figures) for name in figures[0]}
    for name, by in spread.items():
        if by:
            print(f"{name:32} differs by {by:.2g} (first {figures[0][name]:.4f})")
    judged = spread[f"test_{gates.metric}"]
    stored = "equal to the bit" if len({result.digest for result in results}) == 1 else "not equal"
    print(
        f"{asked.workload}: {sum(map(bool, spread.values()))} of {len(spread)} figures differ, stored files {stored};"
    )
    print(f"test_{gates.metric} differs by {judged:.2g}, {judged / gates.margin:.2f} of the gate's margin")
    return int(judged >= gates.margin)


def trained(workload: str, flags: list[str]) -> Result:
    """A training as a program by hand, in a process and a Ray of its own."""
    with TemporaryDirectory() as out:
        command = [sys.executable, "-m", f"workloads.{workload}.train", "--out", f"{out}/trained", "--json", *flags]
        return Result.model_validate_json(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def flat(result: Result) -> dict[str, float]:
    """Every figure by name: the metrics, and each curve's value of each epoch."""
    curves = {f"{name}, epoch {at}": value for name, line in result.curves.items() for at, value in enumerate(line, 1)}
    return {**result.metrics, **curves}


if __name__ == "__main__":
    sys.exit(main())
