"""What was decided or served outside of Dagster (`mlops rollback`, `release`, `approve`), reported to its assets.

A run that decides materializes them itself. Whatever else does is seen by the registry sensor at its next tick, so that
the pages of `<w>/releases` and `<w>/endpoints` show what is released and served now, by whom and why.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.assets.endpoints import endpoint_key, served_facts
from mlops_assets.assets.releases import describe
from mlops_assets.release.rollout import Delivery, RolledOut
from mlops_assets.release.targets import ReleaseTarget

SETTLED_SECONDS = 20  # within which whoever decides or rolls out in a run reports it himself
RELEASE = "release"  # metadata: the release's id


def shown(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> Mapping[dg.AssetKey, int]:
    """The release (id) that each asset's last materialization names; one query for all."""
    found = {}
    for record in instance.get_asset_records(list(keys)):
        event = record.asset_entry.last_materialization
        value = event.asset_materialization.metadata.get(RELEASE) if event and event.asset_materialization else None
        if value is not None and isinstance(value.value, int):
            found[record.asset_entry.asset_key] = value.value
    return found


def release_now(
    target: ReleaseTarget, shown: Mapping[dg.AssetKey, int], delivery: Delivery
) -> Iterator[dg.AssetMaterialization]:
    """What is released now, where its asset shows another."""
    resources = delivery.resources
    current = resources.ledger.current(target.name)
    if current is None or shown.get(target.released) == current.id or not _settled(current.created_at):
        return
    waiting = [each.number for each in resources.ledger.candidates.waiting(target.name)]
    address = resources.tracking.registry.url(target.name, current.number)
    tags = {"dagster/data_version": current.digest}
    yield dg.AssetMaterialization(target.released, metadata=describe(current, None, waiting, address), tags=tags)


def served_now(
    endpoint: str, shown: Mapping[dg.AssetKey, int], delivery: Delivery
) -> Iterator[dg.AssetMaterialization]:
    """What all replicas of an endpoint serve now, where its asset shows another."""
    resources, key = delivery.resources, endpoint_key(endpoint)
    plan = resources.serving.plan(endpoint)
    release = plan and plan.version.release_id and resources.ledger.release(plan.version.release_id)
    if not plan or not release or shown.get(key) == release.id or not _settled(release.created_at):
        return
    replicas = resources.serving.live(endpoint).values()
    candidate = resources.ledger.candidates.by_id(release.candidate)
    if candidate is None or not replicas or any(one.plan != plan.number for one in replicas):
        return
    url, model = resources.serving.address(endpoint), resources.tracking.registry.url(endpoint, candidate.number)
    live = RolledOut(release, candidate, plan.number, len(replicas), url, model, seconds=None)
    tags = {"dagster/data_version": candidate.digest}
    yield dg.AssetMaterialization(key, metadata=served_facts(live), tags=tags)


def _settled(since: datetime) -> bool:
    return (datetime.now(UTC) - since).total_seconds() > SETTLED_SECONDS
