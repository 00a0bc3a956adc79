"""What becomes of a data version, step by step, on the command line: from its tag to live, or to the reason why not."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resources.all import Resources
from resources.registry.version import tag_of, version_order
from workloads.sdk.contract import Declared
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    import dagster as dg

ASKED_SECONDS = 120  # within which the sensor asks for a run: four of its ticks
POLL_SECONDS = 0.5
TRIGGER_SECONDS = 3  # a tick that was under way has not seen the tag


class NotLive(PlatformError):
    """A data version did not become live; the message says why."""


def follow(
    declared: Declared,
    version: str,
    resources: Resources,
    instance: "dg.DagsterInstance",
    say: Callable[[str], Any],
    seconds: float = float("inf"),
) -> "dg.DagsterRun":
    """The run that the sensor asks for, when it, and what goes on with it by itself, has ended; `say` gets each step.

    Raises:
        NotLive: the sensor asks for none, or it has not ended after `seconds`.
    """
    import dagster as dg

    from jobs.failures import failure
    from jobs.pipelines import pipeline_name
    from sensors.tick import trigger_tick

    tag = tag_of(declared.data.name, version)
    filters = dg.RunsFilter(job_name=pipeline_name(declared.name), tags={"dagster/partition": version})
    began, triggered, shown = time.monotonic(), float("-inf"), ""
    while (waited := time.monotonic() - began) < seconds:
        run = next(iter(instance.get_runs(filters, limit=1)), None)
        stage = _stage(instance, run) if run else "the sensor looks for new tags"
        if (state := f"{declared.name} {version}: {stage}") != shown:
            say(shown := state)
        if run and run.is_finished and (not run.is_failure or failure(instance, run)):
            return run
        if run is None:
            newest = resources.ledger.data.newest(declared.data.name)
            if newest and version_order(newest.version) > version_order(version):
                raise NotLive(f"{newest.tag} is newer than {tag}, and is what is trained")
            if waited > ASKED_SECONDS:
                raise NotLive(f"nothing was asked for since {tag} is there: {_waiting(declared, resources)}")
            if waited - triggered > TRIGGER_SECONDS:
                trigger_tick(instance, "data_tags")
                triggered = waited
        time.sleep(POLL_SECONDS)
    page = f"{resources.settings.dagster}/runs"
    raise NotLive(f"{tag} is not live after {seconds:g} s; look at `mlops status` and at {page}")


def outcome(
    declared: Declared, version: str, run: "dg.DagsterRun", resources: Resources, instance: "dg.DagsterInstance"
) -> str:
    """What came of a run that went well: what is live, or what waits.

    Raises:
        NotLive: it did not go well; the message says why.
    """
    from jobs.failures import failure
    from mlops_assets.release.targets import targets_of

    page = f"{resources.settings.dagster}/runs/{run.run_id}"
    if found := failure(instance, run):
        raise NotLive(f"{found.why}\nWhat was live stays live. The run: {page}")
    if not run.is_success:
        raise NotLive(f"the run was cancelled: {page}")
    ledger, tag = resources.ledger, tag_of(declared.data.name, version)
    for target in targets_of(declared):
        if not target.partitioned:
            continue
        current, made = ledger.current(target.name), ledger.candidates.newest(target.name, data_version=version)
        if made and current and current.candidate == made.id:
            return f"{target.name} {current.version}, made from {tag}, is live"
        if made and made.id in {each.id for each in ledger.candidates.waiting(target.name)}:
            return f"version {made.number} of {target.name} waits for a person: `mlops approve {target.name} --why ...`"
        live = current.version if current else "nothing"
        return f"{tag} went through, and {live} of {target.name} stays live: {page}"
    return f"{tag} went through: {page}"


def _stage(instance: "dg.DagsterInstance", run: "dg.DagsterRun") -> str:
    if run.is_finished:
        return f"the run is over: {run.status.value.lower()}"
    steps = [stat.step_key for stat in instance.get_run_step_stats(run.run_id) if stat.end_time is None]
    return steps[0].replace("__", "/") if steps else f"the run is {run.status.value.lower().replace('_', ' ')}"


def _waiting(declared: Declared, resources: Resources) -> str:
    """What is said of a declaration whose newest tag has no run."""
    alerts = [alert.text for alert in resources.ledger.alerts.standing() if alert.thing == declared.name]
    return "; ".join(alerts) or "look whether the sensor data_tags runs, in Dagster under Automation"
