"""What a training leaves when it cannot end itself: its process was killed, or MLflow was away when it failed.

A retry of the same run goes on with all of it. Where none follows, its job is stopped, its run in MLflow ended, and a
version that never came into the ledger removed: nothing says what that was made from.
"""

from collections.abc import Mapping
from typing import Literal

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, ROOT_RUN_ID_TAG, WILL_RETRY_TAG

from mlops_assets.release.targets import targets_of
from resources.all import Resources
from resources.tracking.runs import KEY
from workloads.sdk.contract import Declared

Running = Mapping[str, Mapping[str, str]]  # tags, by the run's id in MLflow


def reap(declared: Declared, running: Running, resources: Resources, instance: dg.DagsterInstance) -> list[str]:
    """Settle what is left of a declaration's runs in MLflow that nobody has ended; returns a sentence for each.

    Raises:
        resources.tracking.TrackingUnavailable: MLflow does not answer.
        resources.database.DatabaseUnavailable: PostgreSQL does not answer.
        resources.compute.ComputeUnavailable: Ray does not answer.
    """
    said = []
    targets = [target.name for target in targets_of(declared)]
    for run_id, tags in running.items():
        root = tags.get("dagster.root_run") or tags.get("dagster.run", "")
        if not _over(instance, root):
            continue
        resources.compute.stop_all(declared.name, root)
        of = next((name for name in targets if tags.get(KEY, "").startswith(f"{name}:")), targets[0])
        status: Literal["FINISHED", "FAILED"] = "FINISHED" if withdraw(of, run_id, resources) else "FAILED"
        resources.tracking.runs.close(run_id, status)
        said.append(f"what the run {root} made of {of} was left behind; in MLflow it is {status.lower()} now")
    return said


def withdraw(target: str, run_id: str, resources: Resources) -> bool:
    """Remove what a run in MLflow registered and the ledger does not know. Returns whether the ledger knows any."""
    known = {candidate.number for candidate in resources.ledger.candidates.of(target) if candidate.run_id == run_id}
    resources.tracking.registry.unregister(target, run_id, known)
    return bool(known)


def _over(instance: dg.DagsterInstance, root: str) -> bool:
    """Whether a run and all its retries have ended, and none will follow by itself. Another instance's is not ours."""
    if (first := instance.get_run_by_id(root)) is None:
        return False
    runs = [first, *instance.get_runs(dg.RunsFilter(tags={ROOT_RUN_ID_TAG: first.root_run_id or root}))]
    return all(
        run.is_finished and not (run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags)
        for run in runs
    )
