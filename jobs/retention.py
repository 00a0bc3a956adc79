"""What is kept for a time only: predictions for as long as the settings say, and for a week what jobs leave on disk,
caches, and tables of vectors that were never released. And whether what is kept is still what it was."""

import dagster as dg

from mlops_assets.assets.errors import clean_errors
from mlops_assets.release.index_retention import prune
from mlops_assets.release.intact import damage
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


@dg.op(
    description="Compare the files of what is released, and was before, with their digests; alert where they differ."
)
@clean_errors
def check_artifacts(context: dg.OpExecutionContext, delivery: dg.ResourceParam[Delivery]) -> None:
    ledger, tracking = delivery.resources.ledger, delivery.resources.tracking
    found = []
    for current in ledger.all_current():
        for release in (current, *([before] if (before := ledger.previous(current.thing)) else [])):
            candidate = ledger.candidates.by_id(release.candidate)
            damaged = damage(candidate, tracking) if candidate else None
            text = f"{release.thing} {release.version} could not be served again: {damaged}" if damaged else None
            ledger.alerts.settle(release.thing, "damaged", text, str(release.number))
            found += [text] if text else []
    for text in found:
        context.log.warning(text)
    context.log.info(f"{len(found)} of what is released are not what they were" if found else "all files are intact")


@dg.job(description=__doc__, executor_def=dg.in_process_executor)
def retention() -> None:
    prune_predictions()
    prune_jobs()
    prune_caches()
    prune_vectors()
    check_artifacts()


def nightly(settings: Settings) -> dg.ScheduleDefinition:
    """Every night at three; it starts stopped where a service is external, whose owner then starts it."""
    return dg.ScheduleDefinition(
        name="retention_nightly",
        job=retention,
        cron_schedule="0 3 * * *",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.external else dg.DefaultScheduleStatus.RUNNING,
    )
