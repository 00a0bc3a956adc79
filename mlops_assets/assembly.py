"""Puts everything together: declarations become assets, jobs, sensors and schedules over the doors."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from jobs.pipelines import EXECUTOR, pipelines
from jobs.refresh import daily, refresh
from jobs.retention import nightly, retention
from mlops_assets.batches import batch
from mlops_assets.datasets import dataset, tags_of
from mlops_assets.delivery import Delivery
from mlops_assets.embeddings import embeddings
from mlops_assets.endpoints import endpoint
from mlops_assets.models import model
from mlops_assets.parts import part
from mlops_assets.releases import aliases_of, release
from mlops_assets.things import Thing, served, things_of
from resources.doors import Doors
from resources.settings import settings
from sensors.data_tags import data_tags
from sensors.registry import registry
from workloads.contract import Declared, Workload
from workloads.generative import Index
from workloads.loading import load


def assemble(folder: Path) -> dg.Definitions:
    """The definitions of a folder of workloads. See `mlops_assets.build`."""
    declared = load(folder)
    chosen = settings()
    doors = Doors(chosen)
    jobs = pipelines(declared)
    refreshing = refresh(declared)
    return dg.Definitions(
        assets=[asset for one in declared for asset in assets(one)],
        jobs=[*jobs, refreshing, retention],
        sensors=[data_tags(declared, jobs, chosen), registry(declared, jobs, chosen)],
        schedules=[daily(refreshing, declared, chosen), nightly(chosen)],
        resources={
            "registry": doors.registry,
            "compute": doors.compute,
            "tracking": doors.tracking,
            "ledger": doors.ledger,
            "delivery": Delivery(declared, doors),
        },
        executor=EXECUTOR,
    )


def assets(declared: Declared) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of one declaration."""
    yield from (tags_of(declared), dataset(declared))
    for thing in things_of(declared):
        yield from (made(thing), aliases_of(thing), release(thing))
    if isinstance(declared, Workload):
        yield batch(declared)
    for one in served([declared]):
        yield endpoint(one)


def made(thing: Thing) -> dg.AssetsDefinition:
    """The asset that makes a thing's candidates."""
    match thing.declared:
        case Workload():
            return model(thing.declared)
        case Index():
            return embeddings(thing)
    return part(thing)
