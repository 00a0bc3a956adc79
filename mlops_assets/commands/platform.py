"""`mlops up`, `down`, `status`, `doctor`: the platform on this machine."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlops_assets.commands.shared import WIDE, AsJson, add, show
from resources.all import Resources
from resources.database import DatabaseUnavailable
from resources.ledger import Alert
from resources.settings import settings

if TYPE_CHECKING:
    from resources.embedded import PartStatus
    from resources.embedded.doctor import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the root application."""
    add(app, up, down, status, doctor, panel="Platform")


def up(
    without_dagster: Annotated[
        bool, typer.Option("--without-dagster", help="Leave out Dagster's webserver and daemon, to run `dagster dev`.")
    ] = False,
    without_playground: Annotated[
        bool, typer.Option("--without-playground", help="Leave out the page to try endpoints on.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Without the supervisor: what ends stays down until the next `mlops up`.")
    ] = False,
) -> None:
    """Start what does not run, mend what does not answer; what is well is left alone."""
    from resources.embedded import Platform

    console, chosen = Console(highlight=False), settings()
    started = Platform(chosen).up(
        lambda title, text: console.print(f"  {title:<18} {text}", markup=False),
        dagster=not without_dagster,
        playground=not without_playground,
        supervised=not once,
    )
    console.print("The platform is up." if started else "The platform runs already.")
    shown = {} if without_dagster else {"Dagster": chosen.dagster}
    shown |= {} if without_playground else {"Playground": chosen.playground}
    shown |= {"MLflow": chosen.mlflow, "Ray": chosen.ray, "Endpoints": chosen.serve}
    for title, address in shown.items():
        console.print(f"  {title:<18} {address}")


def down(
    dagster: Annotated[bool, typer.Option("--dagster", help="Only Dagster's webserver and daemon.")] = False,
) -> None:
    """End every process of the platform; the data stays in its home."""
    from resources.embedded import Platform

    console = Console(highlight=False)
    Platform(settings()).down(lambda title, text: console.print(f"  {title:<18} {text}"), services=not dagster)
    console.print("Dagster is down." if dagster else "The platform is down.")


def status(as_json: AsJson = False) -> None:
    """State, address, processes, memory and CPU of each part; exit code 1 where one does not answer."""
    from resources.embedded import CPU_GOAL, MEMORY_GOAL, Platform
    from resources.embedded.serve import silent

    parts, endpoints, alerts = Platform(settings()).status(), silent(settings()), _alerts()
    total = {"memory": sum(part.memory for part in parts), "cpu": sum(part.cpu for part in parts)}
    goal = {"memory": MEMORY_GOAL, "cpu": CPU_GOAL}
    facts = {"home": str(settings().home), "parts": list(map(asdict, parts)), "total": total, "goal": goal}
    faults = [f"{part.title}: {part.fault}" for part in parts if part.fault] + list(endpoints.values())
    facts |= {"silent": endpoints, "alerts": list(map(asdict, alerts))}
    show(facts, as_json, lambda: _status(parts, total, goal, faults, alerts), WIDE)
    if faults:
        raise typer.Exit(1)


def doctor(as_json: AsJson = False) -> None:
    """Examine machine, services and settings, and say how to mend what is wrong; exit code 1 on a problem."""
    from resources.embedded.doctor import examine

    findings = examine(settings())
    show(list(map(asdict, findings)), as_json, lambda: Group(*map(_finding, findings)))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def _finding(finding: "Finding") -> str:
    line = f"[{COLOURS[finding.level]}]{finding.level:<8}[/] {finding.subject}: {finding.text}"
    return f"{line}\n         -> {escape(finding.mend)}" if finding.mend else line


def _status(
    parts: "list[PartStatus]", total: dict[str, float], goal: dict[str, float], faults: list[str],
    alerts: "list[Alert]",
) -> Group:  # fmt: skip
    table = Table("part", "state", "since", "address", "pids", box=None, pad_edge=False)
    for title in ("restarts", "memory MiB", "CPU %"):
        table.add_column(title, justify="right")
    for part in parts:
        pids = ", ".join(map(str, part.pids[:2])) + (f" + {len(part.pids) - 2}" if len(part.pids) > 2 else "")
        since = "" if part.since is None else f"{datetime.fromtimestamp(part.since):%m-%d %H:%M}"
        figures = (str(part.restarts), f"{part.memory / 2**20:.0f}", f"{part.cpu:.1f}")
        table.add_row(part.title, part.state, since, part.address, pids, *figures)
    for name, sums in {"total": total, "goal when idle": goal}.items():
        table.add_row(name, "", "", "", "", "", f"{sums['memory'] / 2**20:.0f}", f"{sums['cpu']:.1f}")
    return Group(table, *map(Text, faults + list(map(_alert, alerts))))


def _alert(alert: Alert) -> str:
    last = f"{alert.last_at:%m-%d %H:%M}"
    seen = f"{alert.count} times, {alert.created_at:%m-%d %H:%M} to {last}" if alert.count > 1 else last
    over = f", over since {alert.resolved_at:%m-%d %H:%M}" if alert.resolved_at else ""
    return f"alert {alert.thing} {alert.kind} ({seen}{over}): {alert.text}"


def _alerts() -> list[Alert]:
    """All that stand, then the last of the week that are over, ten in all; none where the database is away."""
    try:
        alerts = Resources(settings()).ledger.alerts
        standing, week = alerts.standing(), alerts.since(datetime.now(UTC) - timedelta(days=7))
    except DatabaseUnavailable:
        return []
    over = [alert for alert in week if alert.resolved_at]
    return [
        *sorted(standing, key=lambda alert: alert.last_at, reverse=True),
        *sorted(over, key=lambda alert: alert.last_at, reverse=True)[: max(0, 10 - len(standing))],
    ]
