"""Tables of vectors go when nobody can ask for them any more, and no sooner."""

import json
from pathlib import Path

import pytest
from index_support import SCHEMA, fill

from mlops_assets.release.index_retention import prune, prune_index
from resources.all import Resources
from resources.database import connect
from resources.ledger import Candidate, NewCandidate
from resources.settings import Settings
from resources.vectors import VectorStore
from workloads.sdk.artifacts import BrokenArtifacts, Manifest
from workloads.sdk.contract.applications import PART

THING = "index/of_retention"
OLD, YOUNG = "8 days", "6 days"


class Kept:
    """An index whose tables are written and entered one by one."""

    def __init__(self, settings: Settings, folder: Path):
        self.resources, self.folder, self.settings = Resources(settings), folder, settings
        self.resources.ledger.migrate()

    def table(self, name: str, age: str = OLD) -> str:
        """A table that has been whole for a while."""
        fill(self.settings, name, count=2)
        with connect(self.settings, autocommit=True) as connection:
            text = f"""UPDATE {SCHEMA}.corpora SET index = 'of_retention', chunks = 2,
                       finished_at = now() - %s::interval WHERE name = %s"""
            connection.execute(text, [age, name])
        return name

    def candidate(self, table: str, *actions: str) -> Candidate:
        """Its candidate, and what was decided about it."""
        folder = self.folder / table
        folder.mkdir()
        (folder / PART).write_text(json.dumps({"schema": SCHEMA, "table": table}))
        digest = Manifest.write(folder, "workloads.corpus").digest
        number = len(self.resources.ledger.candidates.of(THING)) + 1
        new = NewCandidate(thing=THING, kind="index", number=number, digest=digest, artifacts_uri=folder.as_uri())
        candidate = self.resources.ledger.candidates.add(new)
        for action in actions:
            current = self.resources.ledger.current(THING)
            against = current.candidate if current else None
            self.resources.ledger.decide(candidate.id, action, actor="a test", why="retention", against=against)
        return candidate

    @property
    def tables(self) -> set[str]:
        return {table.name for table in VectorStore(self.settings).tables("of_retention")}


def test_only_what_nobody_can_ask_for_is_dropped(postgres: Settings, tmp_path: Path) -> None:
    kept = Kept(postgres, tmp_path)
    kept.candidate(kept.table("kept_released"), "release")
    refused = kept.candidate(kept.table("kept_refused"), "refuse")
    kept.candidate(kept.table("kept_refused_young", YOUNG), "refuse")
    kept.candidate(kept.table("kept_waiting"), "hold")
    kept.candidate(kept.table("kept_undecided"))
    kept.candidate(kept.table("kept_current"), "release")
    kept.candidate(kept.table("kept_newest"), "refuse")
    kept.table("kept_unknown")
    kept.table("kept_unknown_young", YOUNG)
    before = kept.tables
    assert len(before) == 9
    broken = Path(kept.resources.ledger.candidates.of(THING)[0].artifacts_uri.removeprefix("file://")) / PART
    right = broken.read_text()
    broken.write_text("{}")
    with pytest.raises(BrokenArtifacts, match="was changed"):
        prune_index(THING, kept.resources)
    assert kept.tables == before
    broken.write_text(right)
    dropped = {"kept_refused", "kept_unknown"}
    assert set(prune(kept.resources)) == dropped
    assert kept.tables == before - dropped
    assert kept.resources.vectors.chunk("kept_refused", "0" * 32) is None
    assert prune_index(THING, kept.resources) == []
    assert kept.resources.ledger.candidates.by_id(refused.id) is not None
