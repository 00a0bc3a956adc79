"""What the platform costs a training: the asset's run, against the same workload's bare program on the same spec.

    .venv/bin/python benchmarks/platform_overhead.py                       on a running platform with data released
    .venv/bin/python benchmarks/platform_overhead.py wine --rounds 3
    .venv/bin/python benchmarks/platform_overhead.py fashion_mnist --set epochs=1

Each round launches `<workload>/models` for the newest data version as the launchpad does, waits until its run is over,
and then runs `python -m <package>.train --spec ... --out ...` with the very spec of that job, nothing else being up but
the idle platform. The bare program verifies, trains, loads the served form, evaluates and draws too, so the difference
is queue, processes, job, MLflow, registration and gates. The run makes a candidate and releases nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

import dagster as dg
import yaml

from jobs.pipelines import pipeline_name
from resources.all import Resources
from resources.compute.folder import JobFolder
from resources.embedded.variables import environment
from resources.settings import REPOSITORY, settings
from workloads.sdk.contract import Workload
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.spec import RESULT

LAUNCH = """mutation Launch($run: ExecutionParams!) { launchRun(executionParams: $run) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""


def launch(resources: Resources, workload: Workload, version: str, parameters: dict) -> str:
    """Materialize the model of a data version by a run of the daemon; the run's id."""
    selector = {
        "repositoryLocationName": "mlops_assets",
        "repositoryName": "__repository__",
        "jobName": pipeline_name(workload.name),
        "assetSelection": [{"path": [workload.name, "models"]}],
    }
    config = {"ops": {f"{workload.name}__models": {"config": parameters}}} if parameters else {}
    tags = [{"key": "dagster/partition", "value": version}]
    run = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": tags}}
    body = json.dumps({"query": LAUNCH, "variables": {"run": run}}).encode()
    asked = Request(f"{resources.settings.dagster}/graphql", body, {"Content-Type": "application/json"})
    with urlopen(asked, timeout=60) as response:
        answer = json.load(response)["data"]["launchRun"]
    if answer["__typename"] != "LaunchRunSuccess":
        sys.exit(f"{workload.name} cannot be trained: {answer.get('message', answer)}")
    return answer["run"]["runId"]


def on_the_platform(
    resources: Resources, instance: dg.DagsterInstance, workload: Workload, version: str, parameters: dict
) -> tuple[float, float, list[Path]]:
    """Seconds from launch to the model's end, those of them in the training's own program, and its jobs' folders."""
    began = time.time()
    identity = launch(resources, workload, version, parameters)
    while not (run := instance.get_run_by_id(identity)) or not run.is_finished:
        time.sleep(0.1)
    seconds = time.time() - began
    jobs = [job.path for job in JobFolder.all_of(resources.settings, workload.name, identity)]
    results = [json.loads(file.read_text()) for job in jobs if (file := job / "out" / RESULT).exists()]
    if not results:
        sys.exit(f"the training failed: {resources.settings.dagster}/runs/{identity}")
    return seconds, max(sum(result["seconds"].values()) for result in results), jobs


def bare(resources: Resources, workload: Workload, jobs: list[Path]) -> float:
    """Seconds of the same training, or of all of a materialization's variants side by side, as a bare program."""
    with tempfile.TemporaryDirectory() as folder:
        began, running = time.time(), []
        for number, job in enumerate(jobs):
            (spec,) = sorted(job.glob("**/spec.json"))[-1:]
            own = Path(folder, f"{number}.json")
            own.write_text(json.dumps({**json.loads(spec.read_text()), "checkpoints": None}))
            command = [sys.executable, "-m", f"{workload.package}.train", "--spec", str(own)]
            command += ["--out", str(Path(folder, str(number)))]
            env = {
                name: value for name, value in environment(resources.settings).items() if not name.startswith("RAY_")
            }
            pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
            running.append(subprocess.Popen(command, cwd=REPOSITORY, env=env, **pipes))
        for process in running:
            _, said = process.communicate()
            if process.returncode:
                sys.exit(f"the bare program failed: {said[-2000:]}")
        return time.time() - began


def main() -> None:
    arguments = argparse.ArgumentParser(description="Training through the platform against the bare program.")
    arguments.add_argument("workloads", nargs="*", default=["wine", "fashion_mnist"])
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE")
    asked = arguments.parse_args()
    parameters = {name: yaml.safe_load(value) for name, _, value in (each.partition("=") for each in asked.set)}
    chosen = settings()
    resources = Resources(chosen)
    titles = ("data", "load", "platform s", "program s", "bare s", "more s", "more %")
    print(f"{'workload':16}" + "".join(f"{title:>12}" for title in titles))
    with dg.DagsterInstance.from_config(str(chosen.home / "dagster")) as instance:
        for name in asked.workloads:
            workload = workload_of(f"workloads.{name}")
            versions = resources.registry.versions(workload.data.name)
            if not versions:
                sys.exit(f"no data of {name} is released; run `mlops data release {name}` first")
            version = versions[-1].version
            for _ in range(asked.rounds):
                load = os.getloadavg()[0]
                through, inside, jobs = on_the_platform(resources, instance, workload, version, parameters)
                alone = bare(resources, workload, jobs)
                more = through - alone
                figures = (through, inside, alone, more)
                print(f"{name:16}{version:>12}{load:12.1f}" + "".join(f"{figure:12.1f}" for figure in figures), end="")
                print(f"{100 * more / alone:11.0f}%", flush=True)
    print(f"\n{os.cpu_count()} cores; `program s` is what the job's own phases took, without its process's start")


if __name__ == "__main__":
    main()
