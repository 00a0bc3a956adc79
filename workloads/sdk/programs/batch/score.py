"""The program that scores a dataset version: `python -m workloads.sdk.programs.batch.score --spec spec.json --out DIR`.

A dataset for Ray Data is the list of a split's parts: some row groups each, which a worker reads by itself, a block of
rows at a time, so that neither the split nor a part has to fit into memory. What a row is, the workload says: a block
is a small Parquet file of the split's own columns, as its `rows` reads them.
"""

import argparse
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from workloads.sdk.artifacts import File, in_parts, sha256
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import ROW_ID
from workloads.sdk.programs.batch.columns import table
from workloads.sdk.programs.batch.spec import SCORED, BatchResult, BatchSpec, Scored
from workloads.sdk.programs.batch.workers import workers
from workloads.sdk.programs.spec import RESULT, write_last
from workloads.sdk.programs.training.run import NoServices, Progress, TrainingError, say
from workloads.sdk.serving.versions.loading import verified_folder

BLOCK = 8192  # rows that a worker holds at once
PART = 4 * BLOCK  # rows of a part, at least; a row group is never divided


def run(spec: BatchSpec, out: Path, progress: Progress = say) -> BatchResult:
    """Score the splits that are not scored yet, and write `result.json` into `out`.

    Each split appears at the destination whole or not at all.

    Raises:
        TrainingError: an input is not what the spec says.
    """
    progress(0, "checking the data")
    for split, file in spec.data.items():
        if not file.path.is_file() or sha256(file.path) != file.sha256:
            raise TrainingError(f"the file of the split {split!r} is missing or changed: {file.path}")
    there = spec.scored()
    work = [
        {"split": split, "part": number, "groups": groups}
        for split, file in spec.data.items()
        if split not in there
        for number, groups in enumerate(parts(file.path))
    ]
    seconds = {"start": 0.0, "score": 0.0}
    if work:
        begun = perf_counter()
        with workers(spec.tier) as resources:
            seconds["start"] = round(perf_counter() - begun, 3)
            for done, split in enumerate(_score(spec, work, resources), 1):
                progress(0.05 + 0.95 * done / len(work), f"{done} of {len(work)} parts, the last of {split}")
            seconds["score"] = round(perf_counter() - begun - seconds["start"], 3)
    result = BatchResult(spec_hash=spec.hash, splits=spec.scored(), reused=sorted(there), seconds=seconds)
    write_last(out / RESULT, result.model_dump_json(indent=2))
    progress(1, f"done: {spec.destination}")
    return result


def parts(file: Path) -> list[list[int]]:
    """A Parquet file's row groups, neighbours put together up to at least `PART` rows."""
    metadata = parquet.ParquetFile(file).metadata
    found: list[list[int]] = []
    rows = PART
    for group in range(metadata.num_row_groups):
        if rows >= PART:
            found.append([])
            rows = 0
        found[-1].append(group)
        rows += metadata.row_group(group).num_rows
    return found or [[]]


def _score(spec: BatchSpec, work: list[dict[str, Any]], resources: dict[str, Any]) -> Iterator[str]:
    """Score parts with Ray Data; yields the split of each part as soon as that is written."""
    import ray.data

    spec.destination.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=spec.destination))
    try:
        scored = ray.data.from_items(work, override_num_blocks=len(work)).map_batches(
            Scorer,
            fn_constructor_args=[spec.model_dump_json(), str(partial)],
            batch_size=1,
            batch_format="pyarrow",
            **resources,
        )
        rows: Counter[str] = Counter()
        for written in scored.iter_rows():
            rows[written["split"]] += written["rows"]
            yield written["split"]
        for split in dict.fromkeys(each["split"] for each in work):
            _publish(spec, split, partial / split, rows[split])
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(spec: BatchSpec, split: str, partial: Path, rows: int) -> None:
    """Let a split's parts appear at the destination; where another job was quicker, its parts stay."""
    files = sorted(partial.glob("part-*.parquet"))
    scored = Scored(
        rows=rows,
        parts=[File(path=file.name, sha256=sha256(file), size=file.stat().st_size) for file in files],
        columns={field.name: str(field.type) for field in parquet.read_schema(files[0])} if files else {},
        source=spec.data[split].sha256,
    )
    write_last(partial / SCORED, scored.model_dump_json(indent=2))
    final = spec.destination / split
    if Scored.read(final) is None:
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)


class Scorer:
    """A worker with the model in memory, which is handed the numbers of row groups and writes a part."""

    def __init__(self, spec: str, out: str) -> None:
        self.spec, self.out = BatchSpec.model_validate_json(spec), Path(out)
        workload = workload_of(self.spec.package)
        kind = workload.resolve(workload.predictor)
        self.scratch = Path(tempfile.mkdtemp(prefix="scoring-"))
        folder, _ = verified_folder(self.spec.artifacts_uri, self.spec.model_digest, kind, self.scratch)
        self.predictor = kind.load(folder, NoServices())
        self.rows = workload.resolve(workload.rows)
        self.origin = {  # so that a part that is copied elsewhere still says where it came from
            "workload": self.spec.package,
            "model": self.spec.model_digest,
            "data": self.spec.data_digest,
            "data_version": self.spec.data_version,
            "code": self.spec.code_version,
        }

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Takes `split`, `part` (a number) and `groups` (of the split's file); gives `split`, and `rows` written."""
        rows = [self.write(**part) for part in batch.to_pylist()]
        return pa.table({"split": batch["split"], "rows": rows})

    def write(self, split: str, part: int, groups: list[int]) -> int:
        """Score some row groups of a split into `<split>/part-<number>.parquet`; returns the rows."""
        (self.out / split).mkdir(exist_ok=True)
        writer, rows = None, 0
        for block in parquet.ParquetFile(self.spec.data[split].path).iter_batches(BLOCK, row_groups=groups):
            answered = self.answer(pa.Table.from_batches([block]))
            writer = writer or parquet.ParquetWriter(
                self.out / split / f"part-{part:05d}.parquet", answered.schema, compression="zstd", version="2.6"
            )
            writer.write_table(answered)
            rows += len(answered)
        if writer:
            writer.close()
        return rows

    def answer(self, block: pa.Table) -> pa.Table:
        """The rows of a block, answered."""
        file = self.scratch / "block.parquet"
        parquet.write_table(block, file, compression="none")
        outputs = in_parts(self.predictor.outputs, self.rows(file))
        answered = table(block[ROW_ID], outputs, self.predictor.answers(outputs), self.predictor.Prediction)
        return answered.replace_schema_metadata(self.origin)


def main(arguments: list[str] | None = None) -> None:
    """The command line. Exit status 1: the scoring failed, and the last line says why."""
    parser = argparse.ArgumentParser(
        prog="python -m workloads.sdk.programs.batch.score", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--spec", type=Path, required=True, help="JSON file that says everything")
    parser.add_argument("--out", type=Path, required=True, help="folder for result.json")
    flags = parser.parse_args(arguments)
    try:
        run(BatchSpec.model_validate_json(flags.spec.read_text()), flags.out)
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"scoring failed: {' '.join(str(error).split()) or type(error).__name__}")


if __name__ == "__main__":
    main()
