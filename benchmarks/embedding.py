"""How fast a corpus is embedded and written: against the bare encoder, sentence-transformers, and LangChain's own way.

    .venv/bin/python benchmarks/embedding.py --most 15      about 1,000 chunks
    .venv/bin/python benchmarks/embedding.py                the default corpus, about 5,000
    .venv/bin/python benchmarks/embedding.py --workers 2

Three take turns at each part of the corpus, on one thread, so that other work on the machine is no reason for a
difference: `bare` only encodes the chunks' texts, which are in memory already; the asset's program does all that a
worker does (read, clean, cut, look for what is known, encode, write by COPY); sentence-transformers encodes a
third of the same texts. Then the whole program by Ray Data, with its start and the indexes. Last, chunks whose vectors
are known are written by COPY, and by `add_documents` of langchain-postgres. PostgreSQL is one of the benchmark's own.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from time import perf_counter, process_time

import numpy as np
from pyarrow import parquet

from resources.embedded.network import free_ports
from resources.embedded.postgres import Postgres
from resources.embedded.variables import socket_folder
from resources.settings import Settings
from resources.vectors import VectorStore
from workloads.corpus import data
from workloads.corpus.chunks import chunk
from workloads.corpus.data_parameters import CorpusData
from workloads.corpus.workload import CorpusParameters
from workloads.sdk.artifacts import sha256
from workloads.sdk.contract import Tier
from workloads.sdk.kits.retrieval.chunking import Chunk
from workloads.sdk.kits.retrieval.embedder import DIGEST, DIMENSIONS, LONGEST, NAME, Embedder, published
from workloads.sdk.programs.embedding.embed import Worker, run
from workloads.sdk.programs.embedding.spec import EmbeddingSpec
from workloads.sdk.programs.embedding.table import METADATA, VectorTable
from workloads.sdk.programs.spec import InputFile

EVERY = 3  # of the texts, sentence-transformers encodes one in so many: it is slow
WRITTEN = 5000  # chunks that LangChain writes


def documents(most: int, folder: Path) -> Path:
    """The file of the default corpus."""
    parameters = CorpusData(most=most)
    for name in ("raw", "processed"):
        (folder / name).mkdir()
    data.fetch(parameters, folder / "raw")
    data.process(parameters, folder / "raw", folder / "processed")
    return folder / "processed" / "documents.parquet"


def specification(file: Path, store: VectorStore, table: str, tier: Tier) -> EmbeddingSpec:
    return EmbeddingSpec(
        package="workloads.corpus",
        data={"documents": InputFile(path=file, sha256=sha256(file))},
        tier=tier,
        index=table,  # an index of its own: so nothing is taken from another table
        parameters=CorpusParameters().model_dump(),
        embedder=NAME,
        embedder_digest=DIGEST,
        dimensions=DIMENSIONS,
        db_schema=store.schema,
        table=table,
        connection=store.connection_file(),
    )


def seconds(work: Callable[[], object]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun


def in_turn(pieces: int, **works: Callable[[int], object]) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds that each needs for all pieces, and seconds of this process's processor time.

    They take turns, and who begins changes from piece to piece.
    """
    took, worked = dict.fromkeys(works, 0.0), dict.fromkeys(works, 0.0)
    for piece in range(pieces):
        names = list(works)
        for name in names[piece % len(names) :] + names[: piece % len(names)]:
            before = process_time()
            took[name] += seconds(lambda name=name, piece=piece: works[name](piece))
            worked[name] += process_time() - before
    return took, worked


def sentence_transformers() -> Callable[[list[str]], np.ndarray]:
    """Its `encode`, on one thread."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(str(published()), device="cpu", local_files_only=True)
    model.max_seq_length = LONGEST
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def by_copy(chunks: list[Chunk], vectors: np.ndarray, store: VectorStore) -> float:
    """Rows in a second, without indexes, which are built after."""
    table = VectorTable("by_copy", "bench", "1.0.0", "", "", NAME, DIGEST, DIMENSIONS)
    with store.opened() as opened:
        opened.migrate()
        opened.create(table)
        return len(chunks) / seconds(lambda: opened.copy_in(table, chunks, vectors))


class Known(Embedder):
    """Vectors that are known already, so that writing them is all that is measured."""

    def __init__(self, vectors: dict[str, list[float]]):
        self.vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.vectors[text] for text in texts]


def by_langchain(chunks: list[Chunk], vectors: np.ndarray, store: VectorStore) -> float:
    """The same by `add_documents`, into a table of the same shape."""
    from langchain_core.documents import Document
    from langchain_postgres import PGEngine, PGVectorStore

    with store.opened() as opened:
        opened.create(VectorTable("by_langchain", "bench", "1.0.0", "", "", NAME, DIGEST, DIMENSIONS))
    url = store.settings.database("mlops").replace("postgresql://", "postgresql+psycopg://")
    columns = [*METADATA, "text_digest"]
    theirs = PGVectorStore.create_sync(
        PGEngine.from_connection_string(url),
        Known(dict(zip((chunk.content for chunk in chunks), vectors.tolist(), strict=True))),
        "by_langchain",
        schema_name=store.schema,
        metadata_columns=columns,
    )
    rows = [
        Document(
            id=str(chunk.id), page_content=chunk.content, metadata={name: getattr(chunk, name) for name in columns}
        )
        for chunk in chunks
    ]
    return len(rows) / seconds(lambda: theirs.add_documents(rows))


def by_ray(spec: EmbeddingSpec, folder: Path) -> tuple[float, float]:
    """The whole program on a Ray that runs already: chunks in a second while it embeds, and over all of it."""
    import ray

    started = ray.init(address="local", num_cpus=spec.tier.workers, include_dashboard=False, log_to_driver=False)
    os.environ["RAY_ADDRESS"] = started.address_info["address"]
    try:
        begun = perf_counter()
        result = run(spec, folder, lambda share, text: None)
        return result.chunks / result.seconds["embed"], result.chunks / (perf_counter() - begun)
    finally:
        del os.environ["RAY_ADDRESS"]
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=80, help="documents of one source")
    parser.add_argument("--workers", type=int, default=1, help="of Ray Data; each has one processor")
    flags = parser.parse_args()
    os.environ.pop("RAY_ADDRESS", None)
    folder = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp"))  # short, for PostgreSQL's socket
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    settings = Settings(home=folder / "home", postgres_port=free_ports(1)[0])
    with ExitStack() as stack:
        stack.callback(lambda: [shutil.rmtree(each, ignore_errors=True) for each in (folder, socket_folder(settings))])
        server = Postgres(settings)
        server.start()
        stack.callback(server.stop)
        store = VectorStore(settings)
        file = documents(flags.most, folder)
        groups = parquet.ParquetFile(file)
        parts = [
            [each for row in groups.read_row_group(at).to_pylist() for each in chunk(row, CorpusParameters())]
            for at in range(groups.num_row_groups)
        ]
        texts = [[each.text for each in part] for part in parts]
        chunks = [each for part in parts for each in part]
        print(f"{len(chunks)} chunks of {mean(len(each.text) for each in chunks):.0f} characters")

        alone = specification(file, store, "alone", Tier())
        with store.opened() as opened:
            opened.migrate()
            opened.create(alone.vector_table())
        worker, theirs = Worker(alone.model_dump_json()), sentence_transformers()
        encode = worker.embedder.encode
        encode(texts[0][:64]), theirs(texts[0][:64])
        took, worked = in_turn(
            len(parts),
            bare=lambda at: encode(texts[at]),
            program=worker.part,
            sentence_transformers=lambda at: theirs(texts[at][::EVERY]),
        )
        bare, own = len(chunks) / took["bare"], len(chunks) / took["program"]
        other = sum(len(part[::EVERY]) for part in texts) / took["sentence_transformers"]
        ray, whole = by_ray(specification(file, store, "ray", Tier(workers=flags.workers)), folder)
        line("bare encoder, one thread", bare, "chunks/s")
        line("asset's program, one thread", own, "chunks/s", f"{own / bare:.2f} of bare")
        line("  by processor time of its process", len(chunks) / worked["program"], "chunks/s",
             f"{worked['bare'] / worked['program']:.2f} of bare")  # fmt: skip
        line("sentence-transformers, one thread", other, "texts/s", f"the encoder is {bare / other:.2f} times as fast")
        line(f"by Ray Data, {flags.workers} worker(s)", ray, "chunks/s", f"{ray / bare:.2f} of bare")
        line("  with its start and indexes", whole, "chunks/s", f"{whole / bare:.2f} of bare")

        vectors = np.concatenate([encode([text[:50] for text in part]) for part in texts])
        copied = by_copy(chunks, vectors, store)
        added = by_langchain(chunks[:WRITTEN], vectors[:WRITTEN], store)
        line("COPY", copied, "rows/s")
        line("add_documents", added, "rows/s", f"COPY is {copied / added:.1f} times as fast")


def line(what: str, value: float, unit: str, ratio: str = "") -> None:
    print(f"{what:36}{value:10,.1f} {unit:9} {ratio}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
