"""What is kept for a time only: predictions for as long as the settings say, and for a week what jobs leave on disk,
caches, and tables of vectors that were never released."""

import dagster as dg

from mlops_assets.assets.errors import clean_errors
from mlops_assets.release.index_retention import prune
from mlops_assets.release.rollout import Delivery
from resources import cache
from resources.settings import Settings


@dg.op(description="Delete what is older than `log_retention_days`.")
def prune_predictions(context: dg.OpExecutionContext, delivery: dg.ResourceParam[Delivery]) -> None:
    days = delivery.resources.settings.log_retention_days
    context.log.info(f"{delivery.resources.predictions.prune()} predictions were older than {days} days")


@dg.op(description="Delete the folders of jobs that nobody touched for a week; their results stand elsewhere.")
def prune_jobs(context: dg.OpExecutionContext, delivery: dg.ResourceParam[Delivery]) -> None:
    context.log.info(f"{delivery.resources.compute.prune()} jobs left folders that nobody needs any more")


@dg.op(description="Delete data, artifacts and evaluations that nobody used for a week; they can be had again.")
def prune_caches(context: dg.OpExecutionContext, delivery: dg.ResourceParam[Delivery]) -> None:
    context.log.info(f"{cache.prune(delivery.resources.settings)} cached files and folders were used by nobody")


@dg.op(description="Drop tables of vectors that were whole a week ago and that no release and no open decision names.")
@clean_errors
def prune_vectors(context: dg.OpExecutionContext, delivery: dg.ResourceParam[Delivery]) -> None:
    dropped = prune(delivery.resources)
    context.log.info(f"{len(dropped)} tables of vectors are needed by nobody any more: {', '.join(dropped) or 'none'}")


@dg.job(description=__doc__, executor_def=dg.in_process_executor)
def retention() -> None:
    prune_predictions()
    prune_jobs()
    prune_caches()
    prune_vectors()


def nightly(settings: Settings) -> dg.ScheduleDefinition:
    """Every night at three; it starts stopped where a service is external, whose owner then starts it."""
    return dg.ScheduleDefinition(
        name="retention_nightly",
        job=retention,
        cron_schedule="0 3 * * *",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.external else dg.DefaultScheduleStatus.RUNNING,
    )
