"""Tables of vectors that nobody needs any more."""

from datetime import UTC, datetime, timedelta

from mlops_assets.gates.index import content_of
from resources.all import Resources

KEPT = timedelta(days=7)
PREFIX = "index/"  # of an index' name in the ledger


def prune(resources: Resources) -> list[str]:
    """Drop what is not needed of every index that ever had a candidate; the tables' names."""
    indexes = [target for target in resources.ledger.candidates.targets() if target.startswith(PREFIX)]
    return [name for target in indexes for name in prune_index(target, resources)]


def prune_index(target: str, resources: Resources) -> list[str]:
    """Drop an index' tables that were whole a week ago and that nobody may ask for; the names of those dropped.

    What was ever released stays, for a rollback or a look at an old answer asks for it; so does the newest candidate's
    table, and that of one on which a person is still to decide.

    Raises:
        workloads.sdk.artifacts.BrokenArtifacts: a candidate does not say any more which table is its own; nothing is
            dropped.
        resources.tracking.TrackingUnavailable: as it does where MLflow is away.
    """
    tables, before = resources.vectors.tables(target.removeprefix(PREFIX)), datetime.now(UTC) - KEPT
    old = [table.name for table in tables if table.finished_at and table.finished_at < before]
    if not old:
        return []
    ledger, candidates = resources.ledger, resources.ledger.candidates.of(target)
    wanted = {release.candidate for release in ledger.releases(target)}
    wanted |= {candidate.id for candidate in ledger.candidates.waiting(target)}
    wanted |= {candidate.id for candidate in candidates if not ledger.decisions(candidate.id)}
    wanted |= {candidate.id for candidate in candidates[-1:]}
    kept = {content_of(candidate, resources.settings)["table"] for candidate in candidates if candidate.id in wanted}
    dropped = [name for name in old if name not in kept]
    for name in dropped:
        resources.vectors.drop(name)
    return dropped
