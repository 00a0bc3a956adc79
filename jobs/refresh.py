"""The nightly refresh of the data registry: each dataset is fetched again, and tagged where its content changed.

A job refreshes one dataset; the schedule asks for a run for each, so that one that fails leaves the others. By hand:
the job `refresh_data` in Dagster's launchpad, or `mlops data release <dataset>`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import dagster as dg
from pydantic import Field, create_model

from mlops_assets.assets.errors import clean_errors
from resources.registry import DataRegistry
from resources.settings import Settings
from workloads.sdk.contract import Declared


def refresh(workloads: Sequence[Declared]) -> dg.JobDefinition:
    """The job that refreshes one dataset; which one, and what part of the version is raised, are its configuration."""
    datasets = {workload.data.name: workload for workload in workloads}
    config_type: Any = create_model(
        "RefreshConfig",
        __base__=dg.Config,
        dataset=(Literal[tuple(datasets)], Field(description="The dataset to fetch again.")),  # type: ignore[arg-type]
        bump=(  # type: ignore[arg-type]
            Literal["patch", "minor", "major"],  # type: ignore[maybe-unrecognized-str-typeform]
            Field("patch", description="Part of the version that is raised where the content changed."),
        ),
    )

    @dg.op(name="refresh", description="Run a dataset's pipeline; tag what it made where no version holds the same.")
    @clean_errors
    def step(context: dg.OpExecutionContext, config: config_type, registry: dg.ResourceParam[DataRegistry]) -> None:
        asked: Any = config
        released = registry.release(datasets[asked.dataset], asked.bump, progress=context.log.info)
        context.log.info(str(released))
        context.add_output_metadata({"new tag": released.created, "tag": released.version.tag})

    @dg.job(description=str(__doc__), executor_def=dg.in_process_executor)
    def refresh_data() -> None:
        step()

    return refresh_data


def daily(job: dg.JobDefinition, workloads: Sequence[Declared], settings: Settings) -> dg.ScheduleDefinition:
    """Every night at two; it starts stopped where a service is external, whose owner then starts it."""

    @dg.schedule(
        name="refresh_data_daily",
        job=job,
        description="Every night at two: a run for each dataset, which fetches it, and tags it where it changed.",
        cron_schedule="0 2 * * *",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.external else dg.DefaultScheduleStatus.RUNNING,
    )
    def fan_out(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for workload in workloads:
            dataset = workload.data.name
            yield dg.RunRequest(
                run_key=f"{dataset}:{context.scheduled_execution_time:%Y-%m-%d}",
                run_config={"ops": {"refresh": {"config": {"dataset": dataset}}}},
                tags={"workload": workload.name},
            )

    return fan_out
