"""Tables of vectors that nobody needs any more."""

from datetime import UTC, datetime, timedelta

from mlops_assets.index_gates import content_of
from resources.doors import Doors

KEPT = timedelta(days=7)
PREFIX = "index/"  # of an index' name in the ledger


def prune(doors: Doors) -> list[str]:
    """Drop what is not needed of every index that ever had a candidate; the tables' names."""
    indexes = [thing for thing in doors.ledger.things() if thing.startswith(PREFIX)]
    return [name for thing in indexes for name in prune_index(thing, doors)]


def prune_index(thing: str, doors: Doors) -> list[str]:
    """Drop an index' tables that were whole a week ago and that nobody may ask for; the names of those dropped.

    What was ever released stays, for a rollback or a look at an old answer asks for it; so does the newest candidate's
    table, and that of one on which a person is still to decide.

    Raises:
        workloads.artifacts.BrokenArtifacts: a candidate does not say any more which table is its own; nothing is
            dropped.
        resources.tracking.TrackingUnavailable: as it does where MLflow is away.
    """
    old = [table.name for table in doors.vectors.tables(thing.removeprefix(PREFIX)) if _old(table.finished_at)]
    if not old:
        return []
    ledger, candidates = doors.ledger, doors.ledger.candidates(thing)
    wanted = {release.candidate for release in ledger.releases(thing)}
    wanted |= {candidate.id for candidate in ledger.waiting(thing)}
    wanted |= {candidate.id for candidate in candidates if not ledger.decisions(candidate.id)}
    wanted |= {candidate.id for candidate in candidates[-1:]}
    kept = {content_of(candidate, doors.settings)["table"] for candidate in candidates if candidate.id in wanted}
    dropped = [name for name in old if name not in kept]
    for name in dropped:
        doors.vectors.drop(name)
    return dropped


def _old(finished_at: datetime | None) -> bool:
    return finished_at is not None and finished_at < datetime.now(UTC) - KEPT
