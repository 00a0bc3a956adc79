"""Puts everything together: declarations become assets, jobs, sensors and schedules over the resources."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from jobs.pipelines import EXECUTOR, pipelines
from jobs.refresh import daily, refresh
from jobs.retention import nightly, retention
from mlops_assets.assets.components import part
from mlops_assets.assets.datasets import dataset, tags_of
from mlops_assets.assets.embeddings import embeddings
from mlops_assets.assets.endpoints import endpoint
from mlops_assets.assets.models import model
from mlops_assets.assets.predictions import batch
from mlops_assets.assets.releases import aliases_of, release
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import ReleaseTarget, served, targets_of
from mlops_assets.resource_page import shown
from resources.all import Resources
from resources.settings import settings
from sensors.data_tags import data_tags
from sensors.registry import registry
from workloads.sdk.contract import Declared, Workload
from workloads.sdk.contract.applications import Index
from workloads.sdk.contract.loading import load


def assemble(folder: Path) -> dg.Definitions:
    """The definitions of a folder of workloads. See `mlops_assets.build`."""
    declared = load(folder)
    chosen = settings()
    resources = Resources(chosen)
    jobs = pipelines(declared)
    refreshing = refresh(declared)
    return dg.Definitions(
        assets=[asset for one in declared for asset in assets(one)],
        jobs=[*jobs, refreshing, retention],
        sensors=[data_tags(declared, jobs, chosen), registry(declared, jobs, chosen)],
        schedules=[daily(refreshing, declared, chosen), nightly(chosen)],
        resources=shown(resources, Delivery(declared, resources)),
        executor=EXECUTOR,
    )


def assets(declared: Declared) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of one declaration."""
    yield from (tags_of(declared), dataset(declared))
    for target in targets_of(declared):
        yield from (made(target), aliases_of(target), release(target))
    if isinstance(declared, Workload):
        yield batch(declared)
    for one in served([declared]):
        yield endpoint(one)


def made(target: ReleaseTarget) -> dg.AssetsDefinition:
    """The asset that makes a target's candidates."""
    match target.declared:
        case Workload():
            return model(target.declared)
        case Index():
            return embeddings(target)
    return part(target)
