"""From a data tag to an endpoint that answers with it: how long, and where the time goes.

    .venv/bin/python benchmarks/tag_to_live.py                     on a running platform: new versions of wine and iris
    .venv/bin/python benchmarks/tag_to_live.py iris --rounds 3

Each round releases a data version with a number of rows that no tag has yet, asks the endpoint ten times a second
which data its model was made from, and then reads Dagster's events and the training's result. Training is what the
workload's own `train` takes, and nothing else: starting its process, evaluating and judging count as the platform's.
A workload without any version gets its first one before, which is not measured: its endpoint is started then.
"""

import argparse
import json
import os
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import dagster as dg

from jobs.pipelines import pipeline_name
from resources.all import Resources
from resources.compute.folder import JobFolder
from resources.registry.version import tag_of
from resources.settings import settings
from sensors.tick import trigger_tick
from workloads.sdk.contract import TRAIN, VALIDATION, Workload
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.spec import RESULT

GOAL = 20  # seconds beyond training
PATIENCE = 600


def unused(resources: Resources, workload: Workload) -> dict[str, int]:
    """Parameters of the pipeline that give a content which no tag has."""
    versions = resources.registry.versions(workload.data.name)
    taken = {version.metadata["dataset"].get("parameters", {}).get("rows") for version in versions}
    splits = [version.metadata["splits"] for version in versions]
    whole = max(each[TRAIN]["rows"] + each[VALIDATION]["rows"] for each in splits)
    return {"rows": next(rows for rows in range(whole - 1, 20, -1) if rows not in taken)}


def live_data(resources: Resources, workload: Workload) -> str | None:
    """Version of the data that the endpoint's model was made from."""
    try:
        with urlopen(f"{resources.serving.address(workload.name)}/info", timeout=5) as answer:
            return json.load(answer).get("data_version")
    except (URLError, OSError, ValueError):
        return None


def measure(resources: Resources, instance: dg.DagsterInstance, workload: Workload) -> list[tuple[str, float]]:
    """One round; the parts in seconds, in their order."""
    version, tagged, live = until_live(resources, instance, workload, unused(resources, workload))
    run = instance.get_runs(dg.RunsFilter(job_name=pipeline_name(workload.name), tags={"dagster/partition": version}))[
        0
    ]
    return parts(resources, instance, workload, run, tagged, live)


def until_live(
    resources: Resources, instance: dg.DagsterInstance, workload: Workload, parameters: dict[str, int]
) -> tuple[str, float, float]:
    """Release a version of the data and wait until it is live; the version, and when it was tagged and when live."""
    released = resources.registry.release(workload, parameters=parameters)
    version, tagged = released.version.version, time.time()
    trigger_tick(instance, "data_tags")
    while live_data(resources, workload) != version:
        if time.time() - tagged > PATIENCE:
            sys.exit(f"{tag_of(workload.data.name, version)} is not live after {PATIENCE} s")
        if runs := failed(instance, workload, version):
            sys.exit(
                f"{tag_of(workload.data.name, version)} was not released: {resources.settings.dagster}/runs/{runs[0]}"
            )
        time.sleep(0.1)
    return version, tagged, time.time()


def failed(instance: dg.DagsterInstance, workload: Workload, version: str) -> list[str]:
    ended = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    wanted = dg.RunsFilter(job_name=pipeline_name(workload.name), tags={"dagster/partition": version}, statuses=ended)
    return [run.run_id for run in instance.get_runs(wanted)]


def parts(
    resources: Resources,
    instance: dg.DagsterInstance,
    workload: Workload,
    run: dg.DagsterRun,
    tagged: float,
    live: float,
) -> list[tuple[str, float]]:
    while not instance.get_run_by_id(run.run_id).is_finished:
        time.sleep(0.2)
    events = instance.all_logs(run.run_id)
    steps = {
        (event.dagster_event.event_type_value, event.step_key): event.timestamp
        for event in events
        if event.is_dagster_event and event.step_key
    }
    submitted = next(event.timestamp for event in events if "submitted the job" in event.user_message)
    (folder,) = JobFolder.all_of(resources.settings, workload.name, run.root_run_id or run.run_id)
    file = folder.path / "out" / RESULT
    seconds, done = json.loads(file.read_text())["seconds"], file.stat().st_mtime

    created = instance.get_run_record_by_id(run.run_id).create_timestamp.timestamp()

    def at(kind: str, stage: str) -> float:
        return steps[(kind, f"{workload.name}__{stage}")]

    moments = [
        ("tag to tick: the sensor looks", tick(instance, run)),
        ("tick to run: tag read and registered, run queued", created),
        ("run to its first step: queue, process, definitions", at("STEP_START", "datasets")),
        ("dataset: files, digests, data gates", at("STEP_START", "models")),
        ("model: MLflow run, job submitted", submitted),
        ("model: the job's process starts, libraries load", done - sum(seconds.values())),
        ("TRAINING: the workload's own train", done - sum(seconds.values()) + seconds["verify"] + seconds["train"]),
        ("model: served form loaded, parity, evaluation", done),
        ("model: tracked, registered, judged", at("STEP_START", "releases")),
        ("release: report read again, decided, aliases", at("STEP_START", "endpoints")),
        ("endpoint: plan, load, swap, acknowledged", live),
    ]
    before, found = tagged, []
    for name, moment in moments:
        found.append((name, moment - before))
        before = moment
    return found


def tick(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float:
    """When the sensor's evaluation began that asked for the run."""
    state = next(state for state in instance.all_instigator_state() if state.instigator_name == "data_tags")
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=50)
    return next(one.timestamp for one in ticks if run.run_id in one.run_ids)


def report(resources: Resources, instance: dg.DagsterInstance, workload: Workload, rounds: int) -> None:
    """Measure one workload, and print its table."""
    if not resources.registry.versions(workload.data.name):
        until_live(resources, instance, workload, {})
    measured = []
    for number in range(rounds):
        load = os.getloadavg()[0]
        measured.append(measure(resources, instance, workload))
        print(f"{workload.name}, round {number + 1} of {rounds}: load average {load:.1f} before", flush=True)
    print()
    for row in zip(*measured, strict=True):
        print(f"{row[0][0]:55}" + "".join(f"{seconds:8.1f}" for _, seconds in row))
    totals = [sum(seconds for _, seconds in round_) for round_ in measured]
    training = [dict(round_)["TRAINING: the workload's own train"] for round_ in measured]
    beyond = [total - part for total, part in zip(totals, training, strict=True)]
    print(f"{'tag to live':55}" + "".join(f"{value:8.1f}" for value in totals))
    print(f"{'beyond training':55}" + "".join(f"{value:8.1f}" for value in beyond))
    print(f"\nseconds on {os.cpu_count()} cores; the goal is at most {GOAL} beyond training\n", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description="From a data tag to a live endpoint.")
    arguments.add_argument("workloads", nargs="*", default=["wine", "iris"], help="default: wine iris")
    arguments.add_argument("--rounds", type=int, default=1)
    asked = arguments.parse_args()
    chosen = settings()
    resources = Resources(chosen)
    with dg.DagsterInstance.from_config(str(chosen.home / "dagster")) as instance:
        for name in asked.workloads:
            report(resources, instance, workload_of(f"workloads.{name}"), asked.rounds)


if __name__ == "__main__":
    main()
