"""Tables of vectors: filled by the program that embeds, killed in between, and from one version to the next."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from homes import kill
from psycopg import sql

from resources.database import connect
from resources.embedded.postgres import Postgres
from resources.settings import Settings
from resources.vectors import VectorStore
from workloads.corpus.data import TOGETHER
from workloads.corpus.workload import CorpusParameters
from workloads.sdk.artifacts import sha256
from workloads.sdk.dataset import ROW_ID, identity, write_split
from workloads.sdk.kits.retrieval.chunking import Chunk, chunks_of
from workloads.sdk.kits.retrieval.embedder import DIGEST, DIMENSIONS, NAME, Embedder
from workloads.sdk.programs.embedding.embed import run
from workloads.sdk.programs.embedding.spec import Counts, EmbeddingResult, EmbeddingSpec
from workloads.sdk.programs.embedding.table import VectorTable
from workloads.sdk.programs.spec import RESULT, InputFile
from workloads.sdk.programs.training.run import TrainingError

SIZE = 200


@pytest.fixture
def store(postgres: Settings) -> VectorStore:
    """An environment of the test's own."""
    return VectorStore(postgres.model_copy(update={"env": f"v{uuid4().hex[:8]}"}))


ASKED = {"notes/001.md": {"Note 1 > Part 1": ["where are the zebras?"]}}


def documents(number: int, sections: int = 2) -> dict[str, str]:
    return {
        f"notes/{at:03}.md": "\n".join(
            f"# Note {at}\n\n## Part {part}\n\nWhat note {at} says about part {part}." for part in range(sections)
        )
        for at in range(number)
    }


def asked(
    store: VectorStore, folder: Path, texts: dict[str, str], version: str = "1.0.0", **more: Any
) -> EmbeddingSpec:
    """What embedding some documents (by path) is asked for."""
    file = folder / version / "documents.parquet"
    columns = {
        ROW_ID: [identity(path.encode(), text.encode()) for path, text in texts.items()],
        "path": list(texts),
        "source": ["notes"] * len(texts),
        "title": ["A note"] * len(texts),
        "text": list(texts.values()),
        "asked": [json.dumps(ASKED.get(path, {})) for path in texts],
    }
    write_split(columns, file, TOGETHER)
    digest = sha256(file)
    parameters = CorpusParameters(size=SIZE, type=more.get("type", "vector"))
    spec = EmbeddingSpec(
        package="workloads.corpus",
        data={"documents": InputFile(path=file, sha256=digest)},
        data_version=version,
        data_digest=digest,
        index="corpus",
        parameters=parameters.model_dump(),
        embedder=NAME,
        embedder_digest=DIGEST,
        dimensions=DIMENSIONS,
        db_schema=store.schema,
        table=f"corpus_{digest[:12]}",
        connection=store.connection_file(),
    )
    return spec.model_copy(update=more)


def embedded(spec: EmbeddingSpec, out: Path) -> EmbeddingResult:
    out.mkdir(exist_ok=True)
    result = run(spec, out, lambda share, text: None)
    assert EmbeddingResult.model_validate_json((out / RESULT).read_text()) == result == spec.finished(out)
    return result


def rows(store: VectorStore, table: str) -> dict[str, tuple[str, np.ndarray]]:
    """Content and vector of each chunk by its id."""
    query = sql.SQL("SELECT langchain_id::text, content, embedding::vector::text FROM {}")
    with connect(store.settings) as connection:
        found = connection.execute(query.format(sql.Identifier(store.schema, table))).fetchall()
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: (row[1], np.fromstring(row[2][1:-1], sep=",", dtype=np.float32)) for row in found}


def test_every_chunk_is_in_the_table_with_its_vector_and_indexes(store: VectorStore, tmp_path: Path) -> None:
    texts = documents(3)
    spec = asked(store, tmp_path, texts)
    result = embedded(spec, tmp_path / "out")
    document = {"source": "notes", "title": "A note"}
    chunks = [
        chunk
        for path, text in texts.items()
        for chunk in chunks_of({"path": path, "text": text, **document}, SIZE, ASKED.get(path, {}))
    ]
    assert (result.documents, result.chunks, result.counts) == (3, 6, Counts(embedded=6))
    found = rows(store, spec.table)
    assert {str(chunk.id): chunk.content for chunk in chunks} == {key: content for key, (content, _) in found.items()}
    vectors = Embedder.load(threads=1).encode([chunk.text for chunk in chunks])
    np.testing.assert_allclose([found[str(chunk.id)][1] for chunk in chunks], vectors, atol=1e-5)
    (table,) = store.tables("corpus")
    assert (table.name, table.chunks, table.embedder_digest) == (spec.table, 6, DIGEST)
    chunk = chunks[3]
    assert store.chunk(spec.table, chunk.id) == {
        "id": str(chunk.id),
        "content": "What note 1 says about part 1.",
        "heading": "Note 1 > Part 1",
        "path": "notes/001.md",
        "source": "notes",
        "position": 1,
        "document": chunk.document,
    }
    assert store.chunk(spec.table, uuid4()) is store.chunk("nothing", chunk.id) is store.chunk(spec.table, "x") is None
    with connect(store.settings) as connection:
        words = sql.SQL("SELECT langchain_id FROM {} WHERE search @@ plainto_tsquery('english', 'zebras')")
        assert connection.execute(words.format(sql.Identifier(store.schema, spec.table))).fetchall() == [(chunk.id,)]
        kinds = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s", [store.schema, spec.table]
        ).fetchall()
        assert [kind for kind in ("hnsw", "gin (search)", "(text_digest)") if kind not in str(kinds)] == []
        found = connection.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE search @@ to_tsquery('english', 'saying & parts')").format(
                sql.Identifier(store.schema, spec.table)
            )
        ).fetchone()
        assert found == (6,)


def test_a_repeat_writes_nothing_and_a_change_embeds_only_itself(store: VectorStore, tmp_path: Path) -> None:
    texts = documents(20)
    first = asked(store, tmp_path, texts)
    embedded(first, tmp_path / "first")
    before = rows(store, first.table)
    again = embedded(first, tmp_path / "again")
    assert again.counts == Counts(skipped=40)
    assert rows(store, first.table).keys() == before.keys()
    changed = {**texts, "notes/007.md": texts["notes/007.md"] + "\n\nAnd one thing more."}
    del changed["notes/011.md"]
    second = asked(store, tmp_path, changed, "1.1.0")
    result = embedded(second, tmp_path / "second")
    assert result.counts == Counts(embedded=1, copied=37)
    after = rows(store, second.table)
    assert len(before.keys() - after.keys()) == 3  # the changed one, and two of the document that is gone
    for key in before.keys() & after.keys():
        assert np.array_equal(before[key][1], after[key][1])
    assert [table.name for table in store.tables("corpus")] == [second.table, first.table]
    store.drop(first.table)
    assert store.table(first.table) is None


@pytest.mark.parametrize("lost", ["job", "PostgreSQL"])
def test_killed_in_between_nothing_is_embedded_or_written_twice(
    own_postgres: Postgres, tmp_path: Path, lost: str
) -> None:
    store = VectorStore(own_postgres.settings)
    texts = documents(4 * TOGETHER, sections=8)
    spec, out = asked(store, tmp_path, texts), tmp_path / "out"
    out.mkdir()
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", spec.program, "--spec", str(tmp_path / "spec.json"), "--out", str(out)]
    with store.opened() as vectors:
        vectors.migrate()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end and not written(store, spec.table):
            time.sleep(0.05)
        if lost == "job":
            process.kill()
        else:
            kill(*own_postgres.processes())
            said = process.communicate(timeout=120)[1]
            assert said.strip().endswith("start this again, and it goes on where it stopped"), said
            own_postgres.start()
    there = rows(store, spec.table)
    assert 0 < len(there) < 8 * len(texts)
    assert store.tables("corpus") == []  # it is not whole, and nobody takes it for that
    assert spec.finished(out) is None
    result = embedded(spec, out)
    assert result.counts == Counts(embedded=8 * len(texts) - len(there), skipped=len(there))
    after = rows(store, spec.table)
    assert len(after) == result.chunks == 8 * len(texts)
    assert all(np.array_equal(after[key][1], vector) for key, (_, vector) in there.items())


def written(store: VectorStore, table: str) -> bool:
    if store.table(table) is None:
        return False
    with connect(store.settings) as connection:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(store.schema, table))
        row = connection.execute(query).fetchone()
    return row == (True,)


def test_halves_are_copied_from_whole_vectors_and_never_the_other_way(store: VectorStore, tmp_path: Path) -> None:
    texts = documents(2)
    half = asked(store, tmp_path, texts, type="halfvec")
    assert embedded(half, tmp_path / "a").counts == Counts(embedded=4)
    whole = asked(store, tmp_path, texts, table="corpus_whole")
    assert embedded(whole, tmp_path / "b").counts == Counts(embedded=4)
    other = asked(store, tmp_path, texts, table="corpus_other", type="halfvec")
    assert embedded(other, tmp_path / "c").counts == Counts(copied=4)
    exact, rounded = rows(store, whole.table), rows(store, other.table)
    difference = max(abs(exact[key][1] - rounded[key][1]).max() for key in exact)
    assert 0 < difference < 2**-11


def test_vectors_of_another_encoder_are_refused(store: VectorStore, tmp_path: Path) -> None:
    table = VectorTable("corpus_a", "corpus", "1.0.0", "d", "c", NAME, DIGEST, 3)
    chunk = Chunk(uuid4(), "a", "b", 0, "notes", "notes/a.md", "d")
    vector = np.ones((1, 3), np.float32)
    with store.opened() as tables:
        tables.migrate()
        tables.create(table)
        with pytest.raises(ValueError, match=r"table of 3 dimensions got vectors of shape \(1, 384\)"):
            tables.copy_in(table, [chunk], np.zeros((1, 384), np.float32))
        pairs = ([chunk, replace(chunk, id=uuid4())] for _ in "ab")
        assert [tables.copy_in(table, pair, np.repeat(vector, 2, 0)) for pair in pairs] == [2, 1]
    spec = asked(store, tmp_path, documents(1), embedder_digest="another")
    with pytest.raises(TrainingError, match="the encoder here is another than the all-MiniLM-L6-v2"):
        run(spec, tmp_path, lambda share, text: None)
    spec.data["documents"].path.write_bytes(b"harmed")
    with pytest.raises(TrainingError, match="file of the split 'documents' is missing or changed"):
        run(spec, tmp_path, lambda share, text: None)


def test_what_the_job_is_told_holds_no_password(store: VectorStore, tmp_path: Path) -> None:
    spec = asked(store, tmp_path, documents(1))
    assert store.settings.postgres_password not in spec.model_dump_json()
    assert spec.connection.stat().st_mode & 0o777 == 0o600
