"""`mlops new`: a workload of one's own, written as a folder that trains, passes its gates and serves at once."""

from pathlib import Path
from typing import Annotated, cast

import typer

from mlops_assets.commands.shared import AsJson, add, show
from mlops_assets.scaffold.generate import Generated, Task, Wanted, add_location, generate, package_of
from resources.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command to the root application."""
    add(app, new, panel="Workloads")


def new(
    name: Annotated[str, typer.Argument(help="Name of workload, folder and endpoint, for example house_prices.")],
    kind: Annotated[str, typer.Option("--kind", help="sklearn, lightning, transformers or plain.")] = "sklearn",
    task: Annotated[str, typer.Option("--task", help="classification or regression.")] = "classification",
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Your data: CSV, TSV, Parquet or JSON lines; else a small example.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Column of the file that is to be told.")] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Another repository, which becomes a code location of its own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a workload's folder. Nothing outside of it is edited. Exit code 1: nothing was written, and why."""
    folder = package_of(into.resolve()) if into else settings().workloads
    made = generate(Wanted(name, kind, cast(Task, task), folder, csv, target))
    location = add_location(folder) if into else None
    steps = _next(name, folder)
    facts = {
        "name": name,
        "kind": kind,
        "task": task,
        "folder": str(made.folder),
        "files": made.files,
        "left_out": made.left_out,
        "definitions": str(location) if location else None,
        "next": [{"why": why, "command": command} for why, command in steps.items()],
    }
    show(facts, as_json, lambda: _text(made, location, steps))


def _next(name: str, folder: Path) -> dict[str, str]:
    """What to do now: each step's command, by its reason."""
    there = "" if folder == settings().workloads else f"MLOPS_WORKLOADS={folder} "
    return {
        "train it by hand": f"cd {folder.parent} && python -m {folder.name}.{name}.train",
        "start the platform, or let it see the new workload": "mlops down --dagster && mlops up",
        "tag its data: it is trained, judged, released and served": f"{there}mlops data release {name}",
        "see how far it is": f"{there}mlops live {name}",
        "try it in a browser": f"{settings().serve}{settings().route(name)}/docs",
    }


def _text(made: Generated, location: Path | None, steps: dict[str, str]) -> str:
    lines = [f"{made.folder} is written: {', '.join(made.files)}"]
    if made.left_out:
        lines.append(f"Left out, since they hold no numbers: {', '.join(made.left_out)}")
    if location:
        lines += [
            "",
            "Once, in the platform's workspace.yaml, under load_from:",
            "  - python_file:",
            f"      relative_path: {location}",
            f"      location_name: {location.parent.name}",
        ]
    lines += ["", "Next:"]
    for why, command in steps.items():
        lines += [f"  # {why}", f"  {command}"]
    return "\n".join(lines)
