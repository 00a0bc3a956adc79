"""`embeddings/corpus` on the platform: a data tag is embedded, judged, and released by sensor and daemon."""

from pathlib import Path

from graph_fixtures import World

from mlops_assets.things import things_of
from workloads.generative import Index
from workloads.loading import declared_of

pytest_plugins = ("graph_fixtures",)


def test_a_tag_becomes_a_released_index(world: World, tmp_path: Path) -> None:
    corpus = declared_of("workloads.corpus")
    assert isinstance(corpus, Index)
    (thing,) = things_of(corpus)
    for number in range(12):
        text = "\n\n".join(f"## Part {part}\n\nWhat note {number} says about part {part}." for part in range(20))
        (tmp_path / f"{number:02}.md").write_text(f"# Note {number}\n\n{text}\n")
    version = world.release(corpus, project=None, python=False, libraries=[], folders=[str(tmp_path)])
    run = world.sensed(corpus, version)
    assert run.is_success, world.said(run.run_id)
    checks = world.checks(run.run_id)
    assert checks["embeddings/recall"].passed
    assert checks["embeddings/plan_source"].passed
    found = world.materialization("embeddings", "corpus", version).metadata
    metadata = {name: value.value for name, value in found.items()}
    assert (metadata["dagster/row_count"], metadata["chunks embedded"], metadata["documents"]) == (240, 240, 12)
    assert metadata["chunks/s"] > 0
    table = world.doors.vectors.table(metadata["table"])
    assert table is not None
    assert (table.chunks, table.data_version) == (240, version)
    current = world.doors.ledger.current(thing.name)
    assert current is not None
    candidate = world.doors.ledger.candidate_by_id(current.candidate)
    assert candidate is not None
    assert (candidate.data_version, candidate.kind, candidate.digest) == (version, "index", metadata["digest"])
