"""The gates of an index: what they refuse is really wrong with a table in PostgreSQL."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from index_support import COPIES, REAL, SCHEMA, chunks, fill, make, vectors
from psycopg import errors

from mlops_assets.gates.evaluation import leads_to
from mlops_assets.gates.index import _of_table, judge, rules
from resources.database import DatabaseUnavailable, connect
from resources.ledger import Candidate
from resources.ledger.reports import Check, GateReport
from resources.settings import Settings
from workloads.sdk.artifacts import Manifest
from workloads.sdk.contract import OnInconclusive
from workloads.sdk.contract.applications import PART, Index, IndexGates
from workloads.sdk.contract.loading import declared_of
from workloads.sdk.programs.embedding import indexes

CHUNKS = REAL * (COPIES + 1)
POOR = {"links": 2, "candidates": 4}


@pytest.fixture(scope="module")
def index() -> Index:
    return replace(declared_of("workloads.corpus"), gates=IndexGates(queries=60, latency_ms=1000))


@pytest.fixture(scope="module")
def table(postgres: Settings) -> str:
    make(postgres, "gates")
    return "gates"


@pytest.fixture(scope="module")
def poor(postgres: Settings) -> str:
    make(postgres, "gates_poor", **POOR)
    return "gates_poor"


@pytest.fixture
def candidate(tmp_path: Path) -> Callable[..., Candidate]:
    """A candidate that says what it is told of a table."""

    def made(table: str, number: int = 1, **said: object) -> Candidate:
        folder = tmp_path / str(number)
        folder.mkdir()
        content = {"schema": SCHEMA, "table": table, "type": "vector", "dimensions": 384, "chunks": CHUNKS, **said}
        (folder / PART).write_text(json.dumps(content))
        digest = Manifest.write(folder, "workloads.corpus").digest
        uri, now = folder.as_uri(), datetime.now(UTC)
        return Candidate(
            id=number, thing="index/corpus", number=number, digest=digest, artifacts_uri=uri, created_at=now
        )

    return made


def check(report: GateReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_a_good_index_passes(postgres: Settings, index: Index, table: str, candidate: Callable[..., Candidate]) -> None:
    report = judge(index, candidate(table), None, postgres)
    assert report.verdict == "pass", report.reasons()
    names = ["table", "plan", "recall", "plan:source", "recall:source", "latency", "champion"]
    assert [check.name for check in report.checks] == names
    assert (report.thing, report.n, report.champion_digest) == ("index/corpus", 60, None)
    assert report.rules == rules(index)
    recall = check(report, "recall")
    assert recall.value is not None
    assert recall.value >= 0.98
    assert (recall.n, recall.threshold, recall.evidence["k"], recall.evidence["chunks"]) == (60, 0.98, 10, CHUNKS)
    assert check(report, "plan").evidence["able"] == ["gates_hnsw"]
    assert check(report, "plan:source").evidence["able"] == ["gates_hnsw"]
    assert 0 < check(report, "latency").evidence["p50"] <= check(report, "latency").value
    assert leads_to(report, index.gates) == OnInconclusive.RELEASE
    again = judge(index, candidate(table, 2), None, postgres)
    assert again.test_digest == report.test_digest
    assert check(again, "recall").value == recall.value


def test_an_index_that_finds_too_little_is_refused(
    postgres: Settings, index: Index, table: str, poor: str, candidate: Callable[..., Candidate]
) -> None:
    good, bad = candidate(table, 1), candidate(poor, 2)
    report = judge(index, bad, good, postgres)
    assert report.verdict == "refuse"
    recall = check(report, "recall")
    assert recall.value is not None
    assert recall.value < 0.9
    assert f"of the 10 nearest of {CHUNKS} chunks, asked at least 0.98" in recall.text
    champion = check(report, "champion")
    assert champion.verdict == "refuse"
    assert champion.text.startswith("worse by more than the margin of 0.01: recall is worse by")
    assert (champion.n, champion.evidence["champion"]) == (60, 1)
    assert champion.value == pytest.approx(recall.value - 1, abs=0.02)
    assert leads_to(report, index.gates) == OnInconclusive.REFUSE
    better = judge(index, good, bad, postgres)
    assert better.verdict == "pass"
    assert check(better, "champion").value == pytest.approx(-champion.value)
    assert better.champion_digest == bad.digest
    assert check(judge(index, good, good, postgres), "champion").text.startswith("the same table as number 1")


def test_a_champion_that_cannot_be_asked_is_no_comparison(
    postgres: Settings, index: Index, table: str, candidate: Callable[..., Candidate]
) -> None:
    with connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.gates_empty (LIKE {SCHEMA}.gates)")
    for number, (gone, why) in enumerate({"nowhere": "there is no table", "gates_empty": "none of the chunks"}.items()):
        report = judge(index, candidate(table, 10 + number), candidate(gone, 20 + number), postgres)
        assert check(report, "champion").verdict == report.verdict == "inconclusive"
        assert why in check(report, "champion").text


def test_a_table_that_is_not_whole_is_refused(
    postgres: Settings, index: Index, table: str, candidate: Callable[..., Candidate]
) -> None:
    with connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.gates_one (LIKE {SCHEMA}.gates INCLUDING ALL)")
        columns = "langchain_id, content, embedding, source, path, heading, position, document, text_digest"
        one = f"SELECT {columns} FROM {SCHEMA}.gates LIMIT 1"
        connection.execute(f"TRUNCATE {SCHEMA}.gates_one; INSERT INTO {SCHEMA}.gates_one ({columns}) {one}")
        fill(postgres, "gates_bare")
    without_column = replace(index, gates=replace(index.gates, filters=("author",)))
    broken = candidate(table, 9)
    (Path(broken.artifacts_uri.removeprefix("file://")) / PART).write_text("{}")
    for declared, judged, name, text in (
        (index, candidate("nowhere", 1), "table", f"there is no table {SCHEMA}.nowhere"),
        (index, candidate(table, 2, chunks=CHUNKS + 1), "table", f"chunks {CHUNKS} instead of {CHUNKS + 1}"),
        (index, candidate(table, 3, type="halfvec"), "table", "type vector instead of halfvec"),
        (index, candidate(table, 4, dimensions=768), "table", "dimensions 384 instead of 768"),
        (index, candidate("gates_one", 5, chunks=1), "recall", "holds one chunk or none"),
        (index, candidate("gates_bare", 6), "plan", "EXPLAIN shows no HNSW index; make the index again"),
        (without_column, candidate(table, 7), "table", "no column 'author'"),
        (index, broken, "table", "was changed: its SHA-256 is not the one"),
    ):
        report = judge(declared, judged, None, postgres)
        assert report.verdict == "refuse"
        refused = check(report, name)
        assert refused.verdict == "refuse"
        assert text in refused.text


def test_a_slow_index_is_refused(
    postgres: Settings, index: Index, table: str, candidate: Callable[..., Candidate]
) -> None:
    hurried = replace(index, gates=replace(index.gates, latency_ms=1e-3, queries=5))
    latency = check(judge(hurried, candidate(table), None, postgres), "latency")
    assert latency.verdict == "refuse"
    assert latency.text.endswith("budget 0.001 ms")
    assert rules(hurried) != rules(index)


def test_without_postgres_nothing_is_judged(index: Index, candidate: Callable[..., Candidate]) -> None:
    nobody = Settings(postgres_url="postgresql://mlops:wrong@127.0.0.1:9")
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        judge(index, candidate("gates"), None, nobody)


def test_a_filter_that_leads_away_from_the_query_finds_its_nearest_too(
    postgres: Settings, index: Index, candidate: Callable[..., Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks on either side of a line, which stand for two sources: each has an index of its own."""
    monkeypatch.setattr(indexes, "OWN", 100)
    middle = vectors() - vectors().mean(0)
    side = middle @ np.linalg.svd(middle, full_matrices=False)[2][0] > 0
    names = ("here", "there")
    parted = [replace(chunk, source=names[int(at)]) for chunk, at in zip(chunks(), side, strict=True)]
    make(postgres, "gates_parted", chosen=parted)
    report = judge(index, candidate("gates_parted", 30), None, postgres)
    assert check(report, "plan:source").evidence["able"] == ["gates_parted_hnsw_0"]
    found = check(report, "recall:source")
    assert found.verdict == "pass", found.text
    assert min(found.evidence["by_value"][name] for name in names) >= 0.98


def test_only_what_does_not_fit_the_table_is_its_fault() -> None:
    for outside in (errors.DiskFull("no space"), errors.QueryCanceled("too long"), errors.InsufficientPrivilege("no")):
        with pytest.raises(type(outside)):
            _of_table(outside)
    assert isinstance(_of_table(errors.UndefinedTable("gone")), LookupError)
