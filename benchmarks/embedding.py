"""How fast a corpus is embedded and written: against the bare encoder, sentence-transformers, and LangChain's own way.

    .venv/bin/python benchmarks/embedding.py                the default corpus, on one processor
    .venv/bin/python benchmarks/embedding.py --most 10      a small one
    .venv/bin/python benchmarks/embedding.py --workers 2

`bare` only encodes the chunks' texts, in memory already, a thousand at a time: before and after the others, the mean of
both counts. `program` is the asset's: it reads, cleans, cuts, looks for what is known, encodes, and writes by COPY; by
itself, and by Ray Data; then all of it with its start and the indexes. sentence-transformers encodes a part of the same
texts, and so does the encoder. Last, chunks whose vectors are known are written by COPY, and by `add_documents` of
langchain-postgres. PostgreSQL is one of the benchmark's own.
"""

import argparse
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from time import perf_counter

import numpy as np

from resources.embedded.environment import socket_folder
from resources.embedded.postgres import Postgres
from resources.settings import Settings
from resources.vector_store import VectorStore
from workloads.artifacts import sha256
from workloads.contract import Tier
from workloads.corpus import data
from workloads.corpus.data_parameters import CorpusData
from workloads.corpus.workload import CorpusParameters
from workloads.data import read_split
from workloads.embedding.embed import BLOCK, run
from workloads.embedding.spec import EmbeddingSpec
from workloads.embedding.table import METADATA, VectorTable
from workloads.kits.chunking import Chunk, chunks_of
from workloads.kits.embedding import DIGEST, DIMENSIONS, NAME, Embedder, published
from workloads.results import DataFile

PART = 1500  # texts that sentence-transformers encodes
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
        data={"documents": DataFile(path=file, sha256=sha256(file))},
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


def program(spec: EmbeddingSpec, folder: Path) -> tuple[float, float]:
    """Chunks in a second while it embeds, and over all of it."""
    out = folder / spec.table
    out.mkdir()
    whole = perf_counter()
    result = run(spec, out, lambda share, text: None)
    whole = perf_counter() - whole
    assert result.rate is not None
    assert result.counts.embedded + result.counts.copied == result.chunks
    return result.chunks / result.seconds["embed"], result.chunks / whole


def by_sentence_transformers(texts: list[str], threads: int) -> float:
    """Texts in a second."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(published()), device="cpu", local_files_only=True)
    model.max_seq_length = 256
    model.encode(texts[:32])
    return len(texts) / seconds(lambda: model.encode(texts, normalize_embeddings=True, show_progress_bar=False))


def by_copy(chunks: list[Chunk], vectors: np.ndarray, store: VectorStore) -> float:
    """Rows in a second, without indexes, which are built after."""
    table = VectorTable("by_copy", "bench", "1.0.0", "", "", NAME, DIGEST, DIMENSIONS)
    store.create(table)
    return len(chunks) / seconds(lambda: store.copy_in(table, chunks, vectors))


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

    store.create(VectorTable("by_langchain", "bench", "1.0.0", "", "", NAME, DIGEST, DIMENSIONS))
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


def with_ray(spec: EmbeddingSpec, folder: Path) -> tuple[float, float]:
    """The program on a Ray that runs already."""
    import ray

    started = ray.init(address="local", num_cpus=spec.tier.workers, include_dashboard=False, log_to_driver=False)
    os.environ["RAY_ADDRESS"] = started.address_info["address"]
    try:
        return program(spec, folder)
    finally:
        del os.environ["RAY_ADDRESS"]
        ray.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=80, help="documents of one source")
    parser.add_argument("--workers", type=int, default=1, help="of Ray Data; each has one processor")
    flags = parser.parse_args()
    os.environ.pop("RAY_ADDRESS", None)
    folder = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp"))  # short, for PostgreSQL's socket
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    settings = Settings(home=folder / "home", postgres_port=free_port())
    with ExitStack() as stack:
        stack.callback(lambda: [shutil.rmtree(each, ignore_errors=True) for each in (folder, socket_folder(settings))])
        server = Postgres(settings)
        server.start()
        stack.callback(server.stop)
        store = VectorStore(settings)
        file, tier = documents(flags.most, folder), Tier(workers=flags.workers)
        chunks = [chunk for row in read_split(file).to_pylist() for chunk in chunks_of(row, 600, 60)]
        texts = [chunk.text for chunk in chunks]
        embedder = Embedder.load(threads=1)
        embedder.encode(texts[:64])
        print(f"{len(chunks)} chunks of {mean(map(len, texts)):.0f} characters, {os.cpu_count()} processors")

        kept: list[np.ndarray] = []

        def loop() -> None:
            kept[:] = [embedder.encode(texts[at : at + BLOCK]) for at in range(0, len(texts), BLOCK)]

        bare = [len(texts) / seconds(loop)]
        alone, alone_whole = program(specification(file, store, "alone", Tier()), folder)
        ray, ray_whole = with_ray(specification(file, store, "ray", tier), folder)
        bare.append(len(texts) / seconds(loop))
        print(f"bare encoder loop, one thread       {mean(bare):8.1f} chunks/s ({bare[0]:.1f} and {bare[1]:.1f})")
        for name, rate in (
            ("program, while it embeds", alone),
            ("  with its start and indexes", alone_whole),
            (f"by Ray Data, {flags.workers} worker(s), while it embeds", ray),
            ("  with its start and indexes", ray_whole),
        ):
            print(f"{name:36}{rate:8.1f} chunks/s  {rate / mean(bare):.2f} of bare")

        some = texts[:: max(1, len(texts) // PART)]
        ours = len(some) / seconds(lambda: embedder.encode(some))
        theirs = by_sentence_transformers(some, 1)
        again = len(some) / seconds(lambda: embedder.encode(some))
        ours = mean([ours, again])
        print(f"encoder                             {ours:8.1f} texts/s, of {len(some)}")
        print(
            f"sentence-transformers               {theirs:8.1f} texts/s; the encoder is {ours / theirs:.2f} times that"
        )

        vectors = np.concatenate(kept)
        copied = by_copy(chunks, vectors, store)
        added = by_langchain(chunks[:WRITTEN], vectors[:WRITTEN], store)
        print(f"COPY                                {copied:8.0f} rows/s")
        print(f"add_documents                       {added:8.0f} rows/s; COPY is {copied / added:.1f} times as fast")


if __name__ == "__main__":
    main()
