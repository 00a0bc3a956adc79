"""`mlops tiers`: what a job may ask of the machine, and what of it there is room for."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
COLOURS = {"now": "green", "when idle": "yellow", "never": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the root application."""
    app.command(rich_help_panel="Platform")(tiers)


def tiers(as_json: AsJson = False) -> None:
    """The compute tiers: what each asks for, and whether there is room for it here: now, when idle, or never."""
    from resources.compute import Compute
    from resources.compute_tiers import described, nearest, placement
    from resources.settings import settings
    from workloads.contract import TIERS

    room = Compute(settings()).room()
    rows = [
        {
            "tier": name,
            **asdict(tier),
            "fits": (fits := placement(tier, room)),
            "instead": nearest(tier, room.nodes) if fits == "never" else None,
        }
        for name, tier in TIERS.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("tier", "asks for", "fits", "instead", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        fits = f"[{COLOURS[row['fits']]}]{row['fits']}[/]"
        table.add_row(row["tier"], described(TIERS[row["tier"]]), fits, row["instead"] or "")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"Ray has {room}.")
