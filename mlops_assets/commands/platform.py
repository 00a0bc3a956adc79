"""`mlops up`, `down`, `status`, `doctor`: the platform on this machine."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_assets.commands.errors import sentences

if TYPE_CHECKING:
    from resources.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root application."""
    for command in (up, down, status, doctor):
        app.command(rich_help_panel="Platform")(sentences(command))


def up(
    without_dagster: Annotated[
        bool, typer.Option("--without-dagster", help="Leave out Dagster's webserver and daemon, to run `dagster dev`.")
    ] = False,
    without_playground: Annotated[
        bool, typer.Option("--without-playground", help="Leave out the page to try endpoints on.")
    ] = False,
) -> None:
    """Start what does not run, mend what does not answer; what is well is left alone."""
    from rich.console import Console

    from resources.settings import settings

    console = Console(highlight=False)
    started = start(
        settings(),
        lambda text: console.print(f"  {text}", markup=False),
        dagster=not without_dagster,
        playground=not without_playground,
    )
    console.print("The platform is up." if started else "The platform runs already.")
    for title, address in _addresses(without_dagster, without_playground):
        console.print(f"  {title:<18} {address}")


def start(settings: "Settings", say: Callable[[str], Any], dagster: bool = True, playground: bool = True) -> bool:
    """Bring the platform up and tell each step as a line; whether anything had to be started."""
    from resources.embedded import Platform

    return Platform(settings).up(lambda title, text: say(f"{title:<18} {text}"), dagster, playground)


def down(
    dagster: Annotated[bool, typer.Option("--dagster", help="Only Dagster's webserver and daemon.")] = False,
) -> None:
    """End every process of the platform; the data stays in its home."""
    from rich.console import Console

    from resources.embedded import Platform
    from resources.settings import settings

    console = Console(highlight=False)
    Platform(settings()).down(lambda title, text: console.print(f"  {title:<18} {text}"), services=not dagster)
    console.print("Dagster is down." if dagster else "The platform is down.")


def status(json: Json = False) -> None:
    """State, address, processes, memory and CPU of each part; exit code 1 where one does not answer."""
    from dataclasses import asdict

    from resources.embedded import CPU_GOAL, MEMORY_GOAL, Platform
    from resources.settings import settings

    chosen = settings()
    parts, alerts = Platform(chosen).status(), _alerts()
    total = {"memory": sum(part.memory for part in parts), "cpu": sum(part.cpu for part in parts)}
    goal = {"memory": MEMORY_GOAL, "cpu": CPU_GOAL}
    if json:
        typer.echo(_json({"home": str(chosen.home), "parts": [asdict(part) for part in parts], "total": total,
                          "goal": goal, "alerts": alerts}))  # fmt: skip
    else:
        _print_status(parts, total, goal, alerts)
    if any(part.fault for part in parts):
        raise typer.Exit(1)


def doctor(json: Json = False) -> None:
    """Examine machine, services and settings, and say how to mend what is wrong; exit code 1 on a problem."""
    from dataclasses import asdict

    from rich.console import Console

    from resources.embedded.doctor import examine
    from resources.settings import settings

    findings = examine(settings())
    if json:
        typer.echo(_json([asdict(finding) for finding in findings]))
    else:
        console, colours = Console(highlight=False), {"ok": "green", "warning": "yellow", "problem": "red"}
        for finding in findings:
            console.print(
                f"[{colours[finding.level]}]{finding.level:<8}[/] {finding.subject}: {finding.text}", soft_wrap=True
            )
            if finding.mend:
                console.print(f"         -> {finding.mend}", soft_wrap=True, markup=False)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def _addresses(without_dagster: bool, without_playground: bool) -> list[tuple[str, str]]:
    from resources.settings import settings

    chosen = settings()
    shown = [("Dagster", chosen.dagster)] if not without_dagster else []
    shown += [("Playground", chosen.playground)] if not without_playground else []
    return [*shown, ("MLflow", chosen.mlflow), ("Ray", chosen.ray), ("Endpoints", chosen.serve)]


def _print_status(parts: list, total: dict[str, float], goal: dict[str, float], alerts: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "state", "address", "pids", box=None, pad_edge=False)
    table.add_column("memory MiB", justify="right")
    table.add_column("CPU %", justify="right")
    for part in parts:
        pids = ", ".join(map(str, part.pids[:2])) + (f" + {len(part.pids) - 2}" if len(part.pids) > 2 else "")
        table.add_row(part.title, part.state, part.address, pids, f"{part.memory / 2**20:.0f}", f"{part.cpu:.1f}")
    memory, cpu = f"{total['memory'] / 2**20:.0f}", f"{total['cpu']:.1f}"
    table.add_row("total", "", "", "", memory, cpu)
    table.add_row("goal when idle", "", "", "", f"{goal['memory'] / 2**20:.0f}", f"{goal['cpu']:.1f}")
    console = Console(highlight=False)
    console.print(table)
    for part in parts:
        if part.fault:
            console.print(f"{part.title}: {part.fault}", soft_wrap=True, markup=False)
    for alert in alerts:
        console.print(
            f"alert {alert['at']} {alert['thing']} {alert['kind']}: {alert['text']}", soft_wrap=True, markup=False
        )


def _alerts() -> list[dict]:
    """Alerts of the last seven days, newest first, at most ten; none where the database is away."""
    from datetime import UTC, datetime, timedelta

    from resources.database import DatabaseUnavailable
    from resources.ledger import Ledger
    from resources.settings import settings

    try:
        found = Ledger(settings()).alerts.since(datetime.now(UTC) - timedelta(days=7))
    except DatabaseUnavailable:
        return []
    return [
        {"at": f"{alert.created_at:%Y-%m-%d %H:%M}", "thing": alert.thing, "kind": alert.kind, "text": alert.text}
        for alert in sorted(found, key=lambda alert: alert.created_at, reverse=True)[:10]
    ]


def _json(value: object) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
