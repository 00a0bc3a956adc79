"""Rows per second of batch predictions through Ray Data, against bare ONNX loops in one process.

    .venv/bin/python benchmarks/batch_predictions.py                       200,000 rows, on a Ray of its own
    .venv/bin/python benchmarks/batch_predictions.py --rows 1000000 --trees 300

wine's forest, and rows drawn from wine's own with a little noise. `bare` reads the Parquet file, predicts block by
block and keeps nothing; `one process` does all that a worker does (answers, and Parquet written) without Ray; then Ray
Data with one worker and two, without and with the start of its processes.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from pyarrow import parquet

from workloads.sdk.artifacts import sha256
from workloads.sdk.contract import TEST, TRAIN, VALIDATION, Tier
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import ROW_ID, read_split, write_split
from workloads.sdk.programs.batch import score
from workloads.sdk.programs.batch.spec import BatchSpec
from workloads.sdk.programs.spec import InputFile, Spec
from workloads.sdk.programs.training.run import run


def wine_with(rows: int, trees: int, folder: Path) -> BatchSpec:
    """A trained forest, and a scoring of a split with so many rows."""
    wine = workload_of("workloads.wine")
    for name in ("raw", "processed"):
        (folder / name).mkdir()
    wine.resolve(wine.data.fetch)(wine.data.parameters(), folder / "raw")
    wine.resolve(wine.data.process)(wine.data.parameters(), folder / "raw", folder / "processed")
    files = {split: folder / "processed" / f"{split}.parquet" for split in (TRAIN, VALIDATION, TEST)}
    data = {split: InputFile(path=file, sha256=sha256(file)) for split, file in files.items()}
    training = Spec(package="workloads.wine", data=data, parameters={"trees": trees})
    trained = run(training, folder / "out", lambda share, text: None)
    random, table = np.random.default_rng(7), read_split(files[TRAIN])
    chosen = random.integers(0, len(table), rows)
    columns = {
        name: table[name].to_numpy()[chosen] * random.normal(1, 0.01, rows).astype(np.float32)
        for name in table.column_names
        if name not in (ROW_ID, "target")
    }
    many = folder / "many.parquet"
    write_split({ROW_ID: [f"{number:064x}" for number in range(rows)], **columns}, many)
    return BatchSpec(
        package="workloads.wine",
        data={TEST: InputFile(path=many, sha256=sha256(many))},
        artifacts_uri=str(folder / "out" / "artifacts"),
        model_digest=trained.digest,
        destination=folder / "scored",
    )


def bare(spec: BatchSpec) -> None:
    """Read, stack, predict; nothing is kept."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = onnxruntime.InferenceSession(Path(spec.artifacts_uri, "model.onnx"), options)
    for block in parquet.ParquetFile(spec.data[TEST].path).iter_batches(score.BLOCK):
        names = [name for name in block.schema.names if name != ROW_ID]
        rows = np.column_stack([block[name].to_numpy() for name in names])
        for at in range(0, len(rows), 1000):
            model.run(["probabilities"], {"features": rows[at : at + 1000]})


def in_one_process(spec: BatchSpec) -> None:
    """What a worker does, without Ray."""
    with tempfile.TemporaryDirectory() as out:
        worker = score.Scorer(spec.model_dump_json(), out)
        for part, groups in enumerate(score.parts(spec.data[TEST].path)):
            worker.write(TEST, part, groups)


def timed(act: Callable[[], object]) -> float:
    begun = perf_counter()
    act()
    return perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--trees", type=int, default=100)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batch-") as name:
        spec = wine_with(flags.rows, flags.trees, Path(name))
        seconds = {"bare ONNX loop": timed(lambda: bare(spec)), "one process": timed(lambda: in_one_process(spec))}
        for workers in (1, 2):
            asked = spec.model_copy(
                update={"tier": Tier(workers=workers), "destination": spec.destination / str(workers)}
            )
            out = Path(name, f"out-{workers}")
            out.mkdir()
            result = score.run(asked, out, lambda share, text: None)
            seconds[f"Ray Data, {workers} worker(s)"] = result.seconds["score"]
            seconds[f"Ray Data, {workers} worker(s), with Ray's start"] = sum(result.seconds.values())
        print(f"\n{flags.rows:,} rows, {flags.trees} trees")
        best = seconds["bare ONNX loop"]
        for what, took in seconds.items():
            print(f"{what:<40}{took:8.1f} s {flags.rows / took:10,.0f} rows/s   {best / took:5.2f} of bare")


if __name__ == "__main__":
    main()
