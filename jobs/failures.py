"""Why a run failed, in the words of its gates and steps, and whether it is worth asking for again."""

from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG


@dataclass(frozen=True)
class Failure:
    """What ended a run. `lost`: a service was away for longer than its steps wait, or its process is gone."""

    why: str
    lost: bool


def failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Failure | None:
    """What ended a run; None where it goes on, went well, was cancelled, or another run goes on with it by itself."""
    if not run.is_failure or (run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags):
        return None
    kinds = dg.DagsterEventType
    wanted = {kinds.ASSET_CHECK_EVALUATION, kinds.STEP_FAILURE, kinds.RUN_FAILURE}
    events = [entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=wanted) if entry.dagster_event]
    steps = [event.step_failure_data for event in events if event.event_type == kinds.STEP_FAILURE]
    said = [step.user_failure_data.description for step in steps if step.user_failure_data]
    if said:
        away = all(step.error and step.error.message.startswith("Exceeded max_retries") for step in steps)
        return Failure("; ".join(filter(None, said)), away)
    checks = [event.asset_check_evaluation_data for event in events if event.event_type == kinds.ASSET_CHECK_EVALUATION]
    refused = [each for each in checks if not each.passed and each.severity == dg.AssetCheckSeverity.ERROR]
    if refused:
        return Failure("; ".join(f"{each.check_name}: {each.description}" for each in refused), False)
    errors = [(step.error.cause or step.error).message.strip() for step in steps if step.error]
    ended = [event.message for event in events if event.event_type == kinds.RUN_FAILURE and event.message]
    return Failure("; ".join(errors or ended[-1:]) or "it does not say why", not steps)
