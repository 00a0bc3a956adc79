"""Puts everything together: workloads become assets, jobs, sensors and schedules over the doors."""

from pathlib import Path

import dagster as dg

from jobs.pipelines import EXECUTOR, pipelines
from jobs.refresh import daily, refresh
from jobs.retention import nightly, retention
from mlops_assets.batches import batch
from mlops_assets.datasets import dataset, tags_of
from mlops_assets.delivery import Delivery
from mlops_assets.endpoints import endpoint
from mlops_assets.models import model
from mlops_assets.releases import aliases_of, release
from resources.doors import Doors
from resources.settings import settings
from sensors.data_tags import data_tags
from sensors.registry import registry
from workloads.loading import load


def assemble(folder: Path) -> dg.Definitions:
    """The definitions of a folder of workloads. See `mlops_assets.build`."""
    workloads = load(folder)
    chosen = settings()
    doors = Doors(chosen)
    jobs = pipelines(workloads)
    refreshing = refresh(workloads)
    return dg.Definitions(
        assets=[
            part(workload)
            for workload in workloads
            for part in (tags_of, dataset, model, aliases_of, release, endpoint, batch)
        ],
        jobs=[*jobs, refreshing, retention],
        sensors=[data_tags(workloads, jobs, chosen), registry(workloads, jobs, chosen)],
        schedules=[daily(refreshing, workloads, chosen), nightly(chosen)],
        resources={
            "registry": doors.registry,
            "compute": doors.compute,
            "tracking": doors.tracking,
            "ledger": doors.ledger,
            "delivery": Delivery({workload.name: workload for workload in workloads}, doors),
        },
        executor=EXECUTOR,
    )
