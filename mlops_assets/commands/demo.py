"""The main job, from nothing: data tags to live, traced predictions, and a bad tag that changes nothing.

It does by hand only what people do by hand: start the platform, release data, ask for predictions. Training, judging,
releasing and serving are the sensor's and the daemon's work. Run again, it does what is not done yet.
"""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mlops_assets.commands.lineage import WIDE, trace_tree
from mlops_assets.commands.progress import follow
from mlops_assets.commands.shared import add
from resources.all import Resources
from resources.http import send
from resources.registry.version import split_tag, version_order
from resources.settings import REPOSITORY, Settings, settings
from workloads.sdk.contract import TEST, Declared, Workload
from workloads.sdk.contract.applications import Application
from workloads.sdk.contract.loading import load, workload_of
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.lineage.trace import Trace

# Share of the training rows whose answer is replaced by a wrong one: enough that no model of them reaches its floor.
CORRUPTION = 0.6
WAIT_SECONDS = 900
ROWS = 5  # of the frozen test split that a live endpoint is asked for
PATIENCE = 20.0  # seconds until the log, which is written in the background, must hold an answer
# To an application, about this project's own docs.
QUESTION = "What is a data tag, and what happens when one is pushed?"


class DemoFailed(PlatformError):
    """A step did not come to its end; the message says which, and where to look."""


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    add(app, demo)


def demo(
    every: Annotated[
        bool, typer.Option("--all", help="Every workload of this repository, which takes longer.")
    ] = False,
) -> None:
    """From nothing to live, traced predictions; then a bad data tag, which changes nothing that is live."""
    from resources.embedded import Platform

    console = Console()
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {text}", highlight=False, soft_wrap=True)

    chosen = settings()
    Platform(chosen).up(lambda title, text: say(f"{title:<18} {text}"), supervised=True)
    import dagster as dg  # not before the first lines are there to read: it takes a while

    from mlops_assets.lineage.trace import trace

    wine, fashion = (workload_of(f"workloads.{name}") for name in ("wine", "fashion_mnist"))
    others = [one for one in load(REPOSITORY / "workloads") if every and one.name not in (wine.name, fashion.name)]
    with dg.DagsterInstance.from_config(str(chosen.home / "dagster")) as instance:
        steps = Demo(Resources(chosen), instance, say)
        steps.resources.registry.init()
        rows = [steps.deliver(wine)]
        traced = trace(rows[0]["prediction"], steps.resources, PATIENCE)
        assert traced.endpoint is not None and traced.release is not None  # noqa: PT018  # it was live when it was asked
        say(f"traced: {traced.endpoint['name']} {traced.release['version']} <- {traced.data['tag']}")
        for workload in (fashion, *others):
            rows += [steps.deliver(workload)]
            if rows[-1]["prediction"]:
                trace(rows[-1]["prediction"], steps.resources, PATIENCE)
        rows += [steps.refuse(wine)]
    _show(console, rows, traced, chosen, [wine, fashion, *others])
    console.print(f"\nDone in {time.monotonic() - began:.0f} s. `mlops down` stops the platform; what it holds stays.")


def _show(
    console: Console, rows: list[dict[str, Any]], traced: "Trace", chosen: Settings, declared: list[Declared]
) -> None:
    from mlops_assets.release.targets import served

    console.print("\nWhere the first prediction came from (`mlops trace <id>` for any other):\n")
    Console(highlight=False, width=WIDE).print(trace_tree(traced), soft_wrap=True)
    table = Table(title="What happened", title_justify="left")
    columns = ("data tag", "run", "gate", "on test rows", "run took", "live")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    console.print("\n", table)
    for name, address in {
        "Dagster": f"{chosen.dagster}/asset-groups",
        "MLflow": chosen.mlflow,
        "Ray": chosen.ray,
        "Playground": chosen.playground,
        **{one.name: f"{chosen.serve}{chosen.route(one.name)}/docs" for one in served(declared)},
    }.items():
        console.print(f"{name:14} {address}", highlight=False)


class Demo:
    """The steps of the demo. `say` gets a line of progress for each step."""

    def __init__(self, resources: Resources, instance: "dg.DagsterInstance", say: Callable[[str], Any]) -> None:
        self.resources = resources
        self.instance = instance
        self.say = say

    def deliver(self, workload: Declared) -> dict[str, Any]:
        """A dataset's first version, as far as a live prediction; a line of the table at the end."""
        if self._versions(workload.data.name):
            self.say(f"{workload.data.name} has a data tag already")
        else:
            self._release(workload)
        version = self._versions(workload.data.name)[0]
        run = self.wait(workload, version)
        if not run.is_success:
            raise DemoFailed(
                f"the run of {workload.name} {version} failed: {self._page(run)}; "
                "mend what it says, and materialize the partition again in the UI"
            )
        return self._line(workload, version, run)

    def refuse(self, workload: Declared) -> dict[str, Any]:
        """A corrupted version, which the gate must refuse while the endpoint goes on."""
        version = self.bad_data(workload)
        run = self.wait(workload, version)
        if run.is_success:
            raise DemoFailed(f"the gate let a model of corrupted data pass: {workload.name} {version}")
        return self._line(workload, version, run)

    def _line(self, workload: Declared, version: str, run: "dg.DagsterRun") -> dict[str, Any]:
        from mlops_assets.release.targets import targets_of

        target = targets_of(workload)[0]
        candidate = self.resources.ledger.candidates.newest(target.name, data_version=version)
        report = self.resources.ledger.report(candidate.id) if candidate else None
        if report is None:
            raise DemoFailed(f"{workload.name} {version} has no gate report: {self._page(run)}")
        answer = self.answer(workload, version)
        refusals = [check.name for check in report.checks if check.verdict == "refuse"]
        quality = next((check.value for check in report.checks if check.name in ("floor", "recall")), None)
        metric = workload.metric.name if isinstance(workload, Workload | Application) else "recall"
        stats = self.instance.get_run_stats(run.run_id)
        sensor, tick = run.tags.get("dagster/sensor_name", "by hand"), run.tags.get("dagster/tick")
        return {
            "on test rows": f"{metric} {quality:.3f}" if quality is not None else "",
            "run took": f"{stats.end_time - stats.start_time:.0f} s" if stats.start_time and stats.end_time else "",
            "data tag": f"{workload.data.name}-v{version}",
            "run": f"{run.run_id[:8]}, {sensor}, tick {tick}",
            "gate": f"{report.verdict}{': ' + ', '.join(refusals) if refusals else ''}",
            "live": answer["version"],
            "prediction": answer["prediction_id"],
        }

    def bad_data(self, workload: Declared) -> str:
        """A version of the dataset with wrong answers among its training rows, released if there is none."""
        name = workload.data.name
        for version in self._versions(name):
            metadata = self.resources.registry.version(name, version).metadata
            if metadata["dataset"].get("parameters", {}).get("corruption", 0) > 0:
                self.say(f"{name} has a corrupted data tag already")
                return version
        return self._release(workload, corruption=CORRUPTION)

    def _release(self, workload: Declared, **parameters: Any) -> str:
        released = self.resources.registry.release(workload, parameters=parameters, progress=self.say)
        self.say(str(released))
        return released.version.version

    def wait(self, workload: Declared, version: str) -> "dg.DagsterRun":
        """The run that the sensor launched for a data version, when it has ended."""
        return follow(workload, version, self.resources, self.instance, self.say, WAIT_SECONDS)

    def answer(self, declared: Declared, version: str) -> dict[str, Any]:
        """What answers now, with an answer of it; an index is what others answer by."""
        if isinstance(declared, Workload):
            file = self.resources.registry.files(declared.data.name, version)[TEST]
            answer = self._post(declared.name, "predict", declared.resolve(declared.example)(file, ROWS))
            self.say(f"{declared.name} {answer['version']} answers: {json.dumps(answer['predictions'][0])}")
            return answer
        if isinstance(declared, Application):
            answer = self._post(declared.name, "query", {"question": QUESTION})
            self.say(f"{declared.name} {answer['version']} is asked: {QUESTION} It answers: {answer['answer']}")
            return answer
        from mlops_assets.release.targets import targets_of

        current = self.resources.ledger.current(targets_of(declared)[0].name)
        return {"version": current.version if current else None, "prediction_id": None}

    def _post(self, endpoint: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.resources.serving.address(endpoint)}/{what}"
        return send("POST", url, timeout=30, body=body).raise_for_status().json()

    def _versions(self, name: str) -> list[str]:
        return sorted((split_tag(tag)[1] for tag in self.resources.registry.tags(name)), key=version_order)

    def _page(self, run: "dg.DagsterRun") -> str:
        return f"{self.resources.settings.dagster}/runs/{run.run_id}"
