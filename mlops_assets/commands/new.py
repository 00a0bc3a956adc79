"""`mlops new`: a workload of one's own, written as a folder that trains, passes its gates and serves at once."""

from pathlib import Path
from typing import Annotated, cast

import typer

from mlops_assets.commands.shared import AsJson, add, show
from mlops_assets.scaffold.generate import CannotGenerate, Generated, Task, Wanted, add_location, generate, package_of
from mlops_assets.scaffold.names import holder
from resources.settings import settings
from workloads.sdk.kits.tables.examine import Examined


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
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME=KIND",
            help="What a column holds, if not what it is taken for: number, boolean, category, date, date:%d.%m.%Y, "
            "text (is learned from then), identifier, out. Can be given several times.",
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Another repository, which becomes a code location of its own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a workload's folder. Nothing outside of it is edited. Exit code 1: nothing was written, and why."""
    folder = package_of(into.resolve()) if into else settings().workloads
    found: list[Examined] = []

    def tell(examined: Examined) -> None:
        found.append(examined)
        if not as_json and csv is not None:
            _table(examined)

    if into and (other := holder(name, folder)):
        raise CannotGenerate(
            f"{name!r} is taken by {other}, and names differ between the locations of a platform; choose another"
        )
    made = generate(Wanted(name, kind, cast(Task, task), folder, csv, target, _columns(column or [])), tell)
    location = add_location(folder) if into else None
    steps = _next(name, folder)
    facts = {
        "name": name,
        "kind": kind,
        "task": task,
        "folder": str(made.folder),
        "files": made.files,
        "columns": [each.facts() for each in found[0].columns] if found else [],
        "target": _target(found[0]) if found else None,
        "definitions": str(location) if location else None,
        "next": [{"why": why, "command": command} for why, command in steps.items()],
    }
    show(facts, as_json, lambda: _text(made, location, steps))


def _columns(asked: list[str]) -> dict[str, str]:
    """What a person says, by the column's name; the last `=` divides, since a name may have one."""
    for each in asked:
        if not all(each.rpartition("=")[::2]):
            raise CannotGenerate(f"--column {each}: say NAME=KIND, for example 'zip code=category'")
    return {each.rpartition("=")[0]: each.rpartition("=")[2] for each in asked}


def _target(found: Examined) -> dict[str, object]:
    return {
        "column": found.target,
        "classes": found.classes,
        "rows_without_it": found.without_target,
        "rows_alike": found.alike,
        "rows_alike_with_another_target": found.contrary,
        "columns_that_give_it_away": found.giving_away,
        "classes_of_few_rows": found.rare,
    }


def _table(found: Examined) -> None:
    """What was understood of each column, before anything is written."""
    from rich.console import Console
    from rich.table import Table

    title = f"{found.rows:,} different rows ({found.read_as})"
    table = Table("column", "kind", "missing", "examples", "becomes", "why", title=title, title_justify="left")
    for each in found.columns:
        share = f"{each.missing:.1%}" if each.missing else ""
        examples = ", ".join(cell if len(cell) <= 20 else f"{cell[:19]}…" for cell in each.examples)
        why = each.column.why if each.alone is None else f"{each.column.why}; alone tells {each.alone:.0%}"
        row = (each.name, each.column.kind, share, examples, each.becomes, why)
        table.add_row(*(" ".join(text.split()).replace("[", "\\[") for text in row))
    console = Console()
    console.print(table)
    what = f"one of {len(found.classes)} classes" if found.classes else found.number.becomes
    console.print(f"To be told: {found.target!r}, {what}.", highlight=False, markup=False)
    if found.without_target:
        console.print(f"{found.without_target} rows without it are left out.", highlight=False)
    for name, told in found.giving_away.items():
        said = f"{name!r} gives the target away: alone it tells {told:.0%} of what there is to tell. If it is a copy of"
        said += f" the target, or known only afterwards, leave it out: --column '{name}=out'."
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    if found.alike:
        what = "texts are near-duplicates of another" if found.text else "rows are alike in all columns to one before"
        console.print(f"{found.alike} {what}; a release drops them.")
    if found.contrary:
        console.print(f"{found.contrary} texts are alike, with different targets; a release drops them.")
    if found.rare:
        few = ", ".join(f"{name!r} {count}" for name, count in found.rare.items())
        console.print(f"Classes of few rows, spread over the splits: {few}.", highlight=False, markup=False)
    console.print("Change a column's line in data.py, or say --column NAME=KIND.\n", highlight=False, markup=False)


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
