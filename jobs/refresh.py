"""The daily refresh of the data registry: each dataset is fetched again, and tagged where its content changed."""

from collections.abc import Sequence

import dagster as dg

from resources.data_registry import DataRegistry
from resources.settings import Settings
from workloads.contract import Workload


def refresh(workloads: Sequence[Workload]) -> dg.JobDefinition:
    """A job with one step per dataset, independent of each other: one that fails leaves the others."""

    @dg.job(description=str(__doc__), executor_def=dg.in_process_executor)
    def refresh_data() -> None:
        for workload in workloads:
            _step(workload)()

    return refresh_data


def _step(workload: Workload) -> dg.OpDefinition:
    @dg.op(name=f"refresh_{workload.name}", description=f"Run the data pipeline of {workload.data.name}.")
    def step(context: dg.OpExecutionContext, registry: dg.ResourceParam[DataRegistry]) -> None:
        released = registry.release(workload)
        context.log.info(str(released))

    return step


def daily(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Every night at two; it starts stopped where a service is external, whose owner then starts it."""
    return dg.ScheduleDefinition(
        name="refresh_data_daily",
        job=job,
        description="Every night at two: fetch each dataset again, and tag it where its content changed.",
        cron_schedule="0 2 * * *",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.external else dg.DefaultScheduleStatus.RUNNING,
    )
