"""`mlops tiers`: what a job may ask of the machine. `mlops estimate`: what a training is expected to take of it."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Group
from rich.table import Table

from mlops_assets.commands.shared import AsJson, add, show
from resources.all import Resources
from resources.compute.capacity import described, nearest, placement
from resources.settings import settings
from workloads.sdk.contract import TIERS, Workload
from workloads.sdk.contract.loading import load

COLOURS = {"now": "green", "when idle": "yellow", "never": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the root application."""
    add(app, tiers, estimate, panel="Platform")


def tiers(as_json: AsJson = False) -> None:
    """The compute tiers: what each asks for, and whether there is room for it here: now, when idle, or never."""
    capacity = Resources(settings()).compute.capacity()
    rows: list[dict[str, Any]] = [
        {
            "tier": name,
            **asdict(tier),
            "fits": (fits := placement(tier, capacity)),
            "instead": nearest(tier, capacity.nodes) if fits == "never" else None,
        }
        for name, tier in TIERS.items()
    ]
    table = Table("tier", "asks for", "fits", "instead", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        coloured = f"[{COLOURS[row['fits']]}]{row['fits']}[/]"
        table.add_row(row["tier"], described(TIERS[row["tier"]]), coloured, row["instead"])
    show(rows, as_json, lambda: Group(table, f"Ray has {capacity}."))


def estimate(
    name: Annotated[str, typer.Argument(help="The workload, for example wine.", show_default=False)],
    tier: Annotated[str | None, typer.Option("--tier", help="A tier; the workload's own by default.")] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="Rows of data; the newest version's.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a training is expected to take, by earlier ones on the same tier. Exit code 1: none is known."""
    from mlops_assets.assets.estimates import estimate as expected

    workloads = {one.name: one for one in load(settings().workloads) if isinstance(one, Workload)}
    if name not in workloads:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(workloads)}", param_hint="name")
    workload = workloads[name]
    if tier is not None and tier not in TIERS:
        raise typer.BadParameter(f"{tier!r} is none of {', '.join(TIERS)}", param_hint="--tier")
    resources = Resources(settings())
    if rows is None:
        versions = resources.registry.versions(workload.data.name, lambda line: typer.echo(line, err=True))
        if not versions:
            raise typer.BadParameter(f"{workload.data.name} has no version yet; say how many", param_hint="--rows")
        rows = versions[-1].rows
    found = expected(workload, tier or workload.tier, rows, resources.ledger)
    show(found.json(), as_json, lambda: str(found))
    if found.cost is None:
        raise typer.Exit(1)
