"""`mlops new`: a workload of one's own, written as a folder that trains, passes its gates and serves at once."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mlops_assets.commands.errors import sentences

if TYPE_CHECKING:
    from workloads.sdk.kits.tables.examine import Task


def register(app: typer.Typer) -> None:
    """Add the command to the root application."""
    app.command("new", rich_help_panel="Workloads")(sentences(new))


def new(
    name: Annotated[str, typer.Argument(help="Name of workload, folder and endpoint, for example house_prices.")],
    kind: Annotated[str, typer.Option("--kind", help="sklearn, lightning, transformers or plain.")] = "sklearn",
    task: Annotated[str, typer.Option("--task", help="classification or regression.")] = "classification",
    csv: Annotated[
        Path | None, typer.Option("--csv", help="CSV file with your data; else a small example is taken.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Column of the file that is to be told.")] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Another repository, which becomes a code location of its own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Write a workload's folder. Nothing outside of it is edited. Exit code 1: nothing was written, and why."""
    from mlops_assets.scaffold.generate import Wanted, add_location, generate, package_of
    from resources.settings import settings

    folder = package_of(into.resolve()) if into else settings().workloads
    made = generate(Wanted(name, kind, cast("Task", task), folder, csv, target))
    location = add_location(folder) if into else None
    facts: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "task": task,
        "folder": str(made.folder),
        "files": made.files,
        "left_out": made.left_out,
        "definitions": str(location) if location else None,
        "next": _next(name, folder),
    }
    typer.echo(json.dumps(facts, indent=2) if as_json else _text(facts))


def _next(name: str, folder: Path) -> list[dict[str, str]]:
    """What to do now: each step's reason, and its command."""
    from resources.settings import settings

    there = "" if folder == settings().workloads else f"MLOPS_WORKLOADS={folder} "
    by_hand = f"python -m {folder.name}.{name}.train"
    return [
        {"why": "train it by hand", "command": f"cd {folder.parent} && {by_hand}"},
        {"why": "start the platform, or let it see the new workload", "command": "mlops down --dagster && mlops up"},
        {
            "why": "tag its data: it is trained, judged, released and served",
            "command": f"{there}mlops data release {name}",
        },
        {"why": "see how far it is", "command": f"{there}mlops live {name}"},
        {"why": "try it in a browser", "command": f"{settings().serve}{settings().route(name)}/docs"},
    ]


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{facts['folder']} is written: {', '.join(facts['files'])}"]
    if facts["left_out"]:
        lines.append(f"Left out, since they hold no numbers: {', '.join(facts['left_out'])}")
    if facts["definitions"]:
        lines += [
            "",
            "Once, in the platform's workspace.yaml, under load_from:",
            "  - python_file:",
            f"      relative_path: {facts['definitions']}",
            f"      location_name: {Path(facts['definitions']).parent.name}",
        ]
    lines += ["", "Next:"]
    for step in facts["next"]:
        lines += [f"  # {step['why']}", f"  {step['command']}"]
    return "\n".join(lines)
