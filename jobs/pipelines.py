"""What is launched together: for each workload its whole chain, and its release and rollout alone."""

from collections.abc import Sequence

import dagster as dg

from mlops_assets.releases import answering
from workloads.contract import Workload

# These jobs submit and wait: in process they start three times sooner than with a process a step.
EXECUTOR = dg.in_process_executor


def pipeline_name(workload: str) -> str:
    """Job that takes a data tag to a live endpoint: dataset, model, release, endpoint."""
    return f"{workload}_pipeline"


def release_name(workload: str) -> str:
    """Job that decides on a candidate and rolls the endpoint out; it trains nothing."""
    return f"{workload}_release"


def approve_name(workload: str) -> str:
    """Job that enters a person's answer to a candidate that waits, and rolls out what is released then."""
    return f"{workload}_approve"


def rollout_name(workload: str) -> str:
    """Job that makes the endpoint serve what is released, no more."""
    return f"{workload}_rollout"


def pipelines(workloads: Sequence[Workload]) -> list:
    """The jobs of all workloads."""
    return [job for workload in workloads for job in _jobs(workload)]


def _jobs(workload: Workload) -> list:
    dataset, model, release, endpoint = (
        dg.AssetKey([stage, workload.name]) for stage in ("datasets", "models", "releases", "endpoints")
    )

    def job(name: str, description: str, *keys: dg.AssetKey, config: dg.ConfigMapping | None = None):
        return dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*keys),
            description=description,
            executor_def=EXECUTOR,
            config=config,
            tags={"workload": workload.name},
        )

    return [
        job(
            pipeline_name(workload.name),
            f"{workload.name}: from a data tag to the live endpoint.",
            dataset,
            model,
            release,
            endpoint,
        ),
        job(release_name(workload.name), f"{workload.name}: decide and roll out.", release, endpoint),
        job(
            approve_name(workload.name),
            f"{workload.name}: say yes or no to a candidate that waits for a person, and roll out.",
            release,
            endpoint,
            config=answering(workload.name),
        ),
        job(rollout_name(workload.name), f"{workload.name}: serve what is released.", endpoint),
    ]
