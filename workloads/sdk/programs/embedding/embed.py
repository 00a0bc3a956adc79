"""The program that embeds a corpus version.

`python -m workloads.sdk.programs.embedding.embed --spec spec.json --out DIR`

Ray Data hands out the row groups of the documents' file; by hand, without a Ray, one worker does them all. A worker
cleans and cuts documents, and writes blocks of chunks with their vectors into the table. A chunk's id is a hash, so
what an attempt before has written is left out, and a text whose vector another table holds is not computed again.
"""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from math import ceil, inf
from pathlib import Path
from time import time

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from workloads.sdk.artifacts import sha256
from workloads.sdk.contract.applications import Index, IndexParameters
from workloads.sdk.contract.loading import declared_of
from workloads.sdk.kits.retrieval.chunking import Chunk
from workloads.sdk.kits.retrieval.embedder import LONGEST, Embedder
from workloads.sdk.programs.embedding.spec import Counts, EmbeddingResult, EmbeddingSpec
from workloads.sdk.programs.embedding.table import Vectors, opened
from workloads.sdk.programs.spec import FAILED, RESULT, write_last
from workloads.sdk.programs.training.run import Progress, TrainingError, say

BLOCK = 1024  # chunks that are embedded and written together


def run(spec: EmbeddingSpec, out: Path, progress: Progress = say) -> EmbeddingResult:
    """Fill the table, build its indexes, and write `result.json` into `out`.

    Raises:
        TrainingError: an input is not what the spec says.
        WrongWeights: the encoder is not the published one.
    """
    progress(0, "checking the data")
    ((split, file),) = spec.data.items()
    if not file.path.is_file() or sha256(file.path) != file.sha256:
        raise TrainingError(f"the file of the split {split!r} is missing or changed: {file.path}")
    metadata = parquet.ParquetFile(file.path).metadata
    groups, counts = metadata.num_row_groups, Counts()
    _, parameters = declaration(spec)
    with opened(database(spec)) as connection:
        vectors, table = Vectors(connection, spec.db_schema), spec.vector_table()
        vectors.migrate()
        vectors.lock(spec.table, lambda: progress(0.01, "waiting for another job that fills the same table"))
        vectors.create(table)
        begun, ready = time(), inf
        for done, (found, at) in enumerate(_parts(spec, groups), 1):
            counts, ready = counts + found, min(ready, at)
            progress(0.05 + 0.8 * done / groups, f"{done} of {groups} parts: {told(counts)}")
        ready = min(ready, time())
        seconds = {"start": ready - begun, "embed": time() - ready}
        progress(0.86, "building the indexes")
        begun = time()
        chunks = vectors.finish(table, parameters.links, parameters.candidates)
        seconds["index"] = time() - begun
    result = EmbeddingResult(
        spec_hash=spec.hash,
        table=spec.table,
        documents=metadata.num_rows,
        chunks=chunks,
        counts=counts,
        seconds={phase: round(value, 3) for phase, value in seconds.items()},
    )
    write_last(out / RESULT, result.model_dump_json(indent=2))
    progress(1, f"done: {chunks} chunks in {spec.table}")
    return result


def told(counts: Counts) -> str:
    return f"{counts.embedded} chunks embedded, {counts.copied} copied, {counts.skipped} there already"


def declaration(spec: EmbeddingSpec) -> tuple[Index, IndexParameters]:
    """What is embedded, and with which parameters."""
    declared = declared_of(spec.package)
    if not isinstance(declared, Index):
        raise TrainingError(f"{spec.package} declares no Index, so there is nothing to embed")
    return declared, declared.parameters.model_validate(spec.parameters)


def database(spec: EmbeddingSpec) -> str:
    """URL of the database."""
    return json.loads(spec.connection.read_text())["database"]


def _parts(spec: EmbeddingSpec, groups: int) -> Iterator[tuple[Counts, float]]:
    """What became of each row group, and when (seconds since 1970) the worker that did it was ready for its first."""
    if "RAY_ADDRESS" not in os.environ:
        worker = Worker(spec.model_dump_json())
        yield from ((worker.part(group), worker.ready) for group in range(groups))
        return

    import ray.data

    from workloads.sdk.programs.batch.workers import workers

    with workers(spec.tier) as resources:
        items = [{"group": group} for group in range(groups)]
        parts = ray.data.from_items(items, override_num_blocks=max(groups, 1)).map_batches(
            Worker,
            fn_constructor_args=[spec.model_dump_json()],
            batch_size=1,
            batch_format="pyarrow",
            **resources,
        )
        for row in parts.iter_rows():
            ready = row.pop("ready")
            yield Counts(**row), ready


class Worker:
    """Encoder and connection, in memory of one process."""

    def __init__(self, spec: str) -> None:
        self.spec = EmbeddingSpec.model_validate_json(spec)
        declared, self.parameters = declaration(self.spec)
        self.chunk = declared.resolve(declared.chunk)
        tier = self.spec.tier
        self.embedder = Embedder.load("cuda" if tier.gpus else "cpu", threads=max(1, ceil(tier.cpus)))
        if self.embedder.digest != self.spec.embedder_digest:
            raise TrainingError(f"the encoder here is another than the {self.spec.embedder} that was asked for")
        self.vectors = Vectors(opened(database(self.spec), application_name="mlops embedding"), self.spec.db_schema)
        self.table = self.spec.vector_table()
        ((_, file),) = self.spec.data.items()
        self.documents = parquet.ParquetFile(file.path)
        self.ready = time()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Takes `group`, the number of a row group; gives what became of its chunks, and since when this is ready."""
        found = sum((self.part(group) for group in batch["group"].to_pylist()), Counts())
        return pa.Table.from_pylist([{**found.model_dump(), "ready": self.ready}])

    def part(self, group: int) -> Counts:
        """Embed and write the documents of one row group, a block of chunks at a time."""
        documents = self.documents.read_row_group(group).to_pylist()
        chunks = [chunk for document in documents for chunk in self.chunk(document, self.parameters)]
        blocks = (chunks[at : at + BLOCK] for at in range(0, len(chunks), BLOCK))
        return sum((self.block(block) for block in blocks), Counts())

    def block(self, chunks: list[Chunk]) -> Counts:
        """Embed what is new of a block, and write it in one transaction."""
        there = self.vectors.there(self.spec.table, [chunk.id for chunk in chunks])
        new = [chunk for chunk in chunks if chunk.id not in there]
        texts = {chunk.text_digest: chunk.text for chunk in new}
        known: Mapping[str, np.ndarray] = self.vectors.known(self.table, list(texts))
        unknown = {digest: text for digest, text in texts.items() if digest not in known}
        computed = dict(zip(unknown, self.embedder.encode(list(unknown.values())), strict=True))
        truncated = sum(count >= LONGEST for count in self.embedder.tokens([chunk.text for chunk in new]))
        if new:
            found = {**known, **computed}
            self.vectors.copy_in(self.table, new, np.stack([found[chunk.text_digest] for chunk in new]))
        return Counts(embedded=len(computed), copied=len(new) - len(computed), skipped=len(there), truncated=truncated)


def main(arguments: list[str] | None = None) -> None:
    """The command line. Exit status 1: the embedding failed, and the last line says why."""
    parser = argparse.ArgumentParser(
        prog="python -m workloads.sdk.programs.embedding.embed", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--spec", type=Path, required=True, help="JSON file that says everything")
    parser.add_argument("--out", type=Path, required=True, help="folder for result.json")
    flags = parser.parse_args(arguments)
    try:
        run(EmbeddingSpec.model_validate_json(flags.spec.read_text()), flags.out)
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"{FAILED}{_sentence(error)}")


def _sentence(error: BaseException) -> str:
    from psycopg import OperationalError

    while error.__cause__ is not None:  # a worker's own error stands behind Ray's
        error = error.__cause__
    if isinstance(error, OperationalError):
        return "PostgreSQL went away, or does not answer; start this again, and it goes on where it stopped"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    main()
