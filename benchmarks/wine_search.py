"""Wine's search, serial and with Ray as joblib's backend, on the same splits: where the one and the other is quicker.

    python benchmarks/wine_search.py [--rows 134 1000 5000 20000] [--trials 8]

Rows beyond those of the wine data are drawn from it with some noise: for their number, not for what they teach. Ray is
timed twice: with its start, as a program by hand has it, and in a Ray that is there, as a job has it.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from workloads.sdk.contract import TIERS, TrainingJob
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import write_split
from workloads.sdk.kits.ray_session import session
from workloads.sdk.kits.tables.tabular import bundled
from workloads.wine.search import FOLDS, search

WINE = workload_of("workloads.wine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[134, 1000, 5000, 20_000])
    parser.add_argument("--trials", type=int, default=8)
    asked = parser.parse_args()
    tier = TIERS["cpu-medium"]
    with TemporaryDirectory() as folder:
        for rows in asked.rows:
            job = made(Path(folder), rows, asked.trials, "serial")
            serial, one = timed(job)
            alone, _ = timed(made(Path(folder), rows, asked.trials, "ray"))
            with session(tier):
                there, two = timed(made(Path(folder), rows, asked.trials, "ray"))
            figures = {
                "rows": rows,
                "fits": asked.trials * FOLDS,
                "rows_times_trees": rows * FOLDS * sum(trial.parameters["trees"] for trial in one),
                "serial_seconds": round(serial, 1),
                "ray_seconds": round(there, 1),
                "ray_seconds_with_start": round(alone, 1),
                "serial_over_ray": round(serial / there, 2),
                "same": [t.metrics for t in one] == [t.metrics for t in two],
            }
            print(json.dumps(figures), flush=True)


def made(folder: Path, rows: int, trials: int, by: str) -> TrainingJob:
    """A training's job on so many rows."""
    where = folder / f"{rows}-{by}"
    where.mkdir(exist_ok=True)
    bundled("wine", where)
    table = np.genfromtxt(where / "wine.csv", delimiter=",", skip_header=1, dtype=str)
    generator = np.random.default_rng(rows)
    chosen = table[generator.integers(len(table), size=rows)]
    values = chosen[:, :-1].astype(np.float64)
    values += generator.normal(size=values.shape) * table[:, :-1].astype(np.float64).std(axis=0) * 0.3
    names = WINE.resolve("data:TABLES")["scikit-learn"].names
    columns: dict[str, Any] = {name: values[:, at].astype(np.float32) for at, name in enumerate(names)}
    write_split({"row_id": [str(at) for at in range(rows)], **columns, "target": chosen[:, -1].tolist()}, where / "t")
    parameters = WINE.parameters(search_trials=trials, search_backend=by)
    return TrainingJob({"train": where / "t"}, parameters, where, where, where, TIERS["cpu-medium"])


def timed(job: TrainingJob) -> tuple[float, Any]:
    start = perf_counter()
    _, trials = search(job)
    return perf_counter() - start, trials


if __name__ == "__main__":
    main()
