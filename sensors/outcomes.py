"""What came of the newest data version: alerted where its run failed, and asked for again where the run was lost."""

import time
from collections.abc import Iterator

import dagster as dg

from jobs.failures import failure
from jobs.pipelines import pipeline_name
from mlops_assets.assets.partitions import newest
from mlops_assets.release.targets import targets_of
from resources.ledger import Ledger
from resources.registry.version import tag_of
from workloads.sdk.contract import Declared

FAILED = "failed-run"  # kind of the alert; its key is the run
AGAIN, MOST = "mlops/again", 12  # tag of a run: how often it was asked for before; one waits for ten minutes by itself
SETTLED_SECONDS = 60  # after which Dagster has said whether it starts a run again


def outcomes(declared: Declared, ledger: Ledger, instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """Settle the alerts about a declaration's pipelines, of its newest data version and of what has none."""
    targets = targets_of(declared)
    if version := newest(instance, declared.name, ledger):
        released = next((target.name for target in targets if target.partitioned), None)
        about = tag_of(declared.data.name, version)
        yield from _outcome(declared.name, about, pipeline_name(declared.name), version, released, ledger, instance)
    for target in targets:
        if not target.partitioned:  # the registry sensor asks for it again itself
            yield from _outcome(target.name, target.name, pipeline_name(target.word), None, None, ledger, instance)


def _outcome(
    thing: str, about: str, job: str, version: str | None, released: str | None, ledger: Ledger,
    instance: dg.DagsterInstance,
) -> Iterator[dg.RunRequest]:  # fmt: skip
    filters = dg.RunsFilter(job_name=job, tags={"dagster/partition": version} if version else {})
    record = next(iter(instance.get_run_records(filters, limit=1)), None)
    if record is None or not record.end_time or time.time() - record.end_time < SETTLED_SECONDS:
        return
    run, key = record.dagster_run, record.dagster_run.run_id[:8]
    standing = {alert.key for alert in ledger.alerts.standing(FAILED) if alert.thing == thing}
    found = failure(instance, run)
    if found is None or _released_since(released, version, record.end_time, ledger):
        ledger.alerts.resolve([FAILED], thing, standing)
        return
    tried = int(run.tags.get(AGAIN, 0))
    again = version is not None and found.lost and tried < MOST
    if again:
        key_of_run, tags = f"{job}:{version}:again:{run.run_id}", {AGAIN: str(tried + 1)}
        yield dg.RunRequest(job_name=job, run_key=key_of_run, partition_key=version, tags=tags)
    if key not in standing:
        then = "it is asked for again" if again else "what was live stays live; mend it, and materialize it again"
        page = f"{ledger.settings.dagster}/runs/{run.run_id}"
        ledger.alerts.add(thing, FAILED, f"the run of {about} failed: {found.why} ({page}); {then}", key)
    ledger.alerts.resolve([FAILED], thing, standing - {key})


def _released_since(target: str | None, version: str | None, ended: float, ledger: Ledger) -> bool:
    """Whether a person released what the run made all the same."""
    current = ledger.current(target) if target else None
    candidate = ledger.candidates.by_id(current.candidate) if current else None
    return bool(current and candidate and candidate.data_version == version and current.created_at.timestamp() > ended)
