"""The prediction log keeps its rows for as long as the settings say."""

import dagster as dg

from mlops_assets.delivery import Delivery
from resources.settings import Settings


@dg.op(description="Delete what is older than `log_retention_days`.")
def prune_predictions(context: dg.OpExecutionContext, delivery: dg.ResourceParam[Delivery]) -> None:
    days = delivery.doors.settings.log_retention_days
    context.log.info(f"{delivery.doors.predictions.prune()} predictions were older than {days} days")


@dg.job(description=__doc__, executor_def=dg.in_process_executor)
def retention() -> None:
    prune_predictions()


def nightly(settings: Settings) -> dg.ScheduleDefinition:
    """Every night at three; it starts stopped where a service is external, whose owner then starts it."""
    return dg.ScheduleDefinition(
        name="retention_nightly",
        job=retention,
        cron_schedule="0 3 * * *",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.external else dg.DefaultScheduleStatus.RUNNING,
    )
