"""What a training leaves when it cannot end itself: its process was killed, or MLflow was away when it failed.

A retry of the same run goes on with all of it. Where none follows, its job is stopped, its run in MLflow ended, and a
version that never came into the ledger removed: nothing says what that was made from.
"""

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, ROOT_RUN_ID_TAG, WILL_RETRY_TAG

from resources.all import Resources


def reap(target: str, resources: Resources, instance: dg.DagsterInstance) -> list[str]:
    """Settle what is left of a target's trainings; returns a sentence for each.

    Raises:
        resources.tracking.TrackingUnavailable: MLflow does not answer.
        resources.database.DatabaseUnavailable: PostgreSQL does not answer.
        resources.compute.ComputeUnavailable: Ray does not answer.
    """
    said = []
    for run_id, tags in resources.tracking.running(target).items():
        root = tags.get("dagster.root_run", "")
        if not _over(instance, root):
            continue
        resources.compute.stop_all(target, root)
        status = "FINISHED" if withdraw(target, run_id, resources) else "FAILED"
        resources.tracking.close_run(run_id, status)
        said.append(f"the training of the run {root} was left behind; in MLflow it is {status.lower()} now")
    return said


def withdraw(target: str, run_id: str, resources: Resources) -> bool:
    """Remove what a run in MLflow registered and the ledger does not know. Returns whether the ledger knows any."""
    known = {candidate.number for candidate in resources.ledger.candidates(target) if candidate.run_id == run_id}
    resources.tracking.unregister(target, run_id, known)
    return bool(known)


def _over(instance: dg.DagsterInstance, root: str) -> bool:
    """Whether a run and all its retries have ended, and none will follow by itself. Another instance's is not ours."""
    if (first := instance.get_run_by_id(root)) is None:
        return False
    runs = [first, *instance.get_runs(dg.RunsFilter(tags={ROOT_RUN_ID_TAG: root}))]
    return all(
        run.is_finished and not (run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags)
        for run in runs
    )
