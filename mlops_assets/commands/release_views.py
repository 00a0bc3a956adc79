"""How reports, releases and their errors look on the command line."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_assets.release.mechanism import Outcome
    from resources.ledger import Candidate, Release
    from resources.ledger.reports import Check, GateReport

COLOURS = {"pass": "green", "refuse": "red", "inconclusive": "yellow"}


def user() -> str:
    """Who types."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"


def show(value: Any, as_json: bool, view: Callable[[], Any]) -> None:
    """Print a value as JSON, or as `view` returns it."""
    if as_json:
        json.dump(value, sys.stdout, indent=2, default=str)
        print()
        return
    from rich.console import Console

    Console(highlight=False).print(view(), soft_wrap=True)


def report(report: "GateReport", name: str) -> Any:
    """A table of a report's checks; `name` is of what was judged."""
    from rich import box
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in ("check", "verdict"):
        table.add_column(column, no_wrap=True)
    for column in ("value", "asked", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what was found")
    for check in report.checks:
        figures = [
            f"{value:.4g}{' ' + check.unit if check.unit else ''}" if value is not None else ""
            for value in (check.value, check.threshold)
        ]
        verdict = f"[{COLOURS[check.verdict]}]{check.verdict}[/]"
        table.add_row(check.name, verdict, *figures, str(check.n or ""), escape(check.text))
    against = f"champion {report.champion_digest[:12]}" if report.champion_digest else "nothing released before"
    smallest = report.smallest_difference
    shows = f"; smallest difference that they can show: {smallest:.3g}" if smallest is not None else ""
    head = (
        f"[bold]{name}[/] ({report.candidate_digest[:12]}) against {against}: "
        f"[bold {COLOURS[report.verdict]}]{report.verdict}[/]"
    )
    sliced = [_groups(check) for check in report.checks if check.evidence.get("groups")]
    rows = f"{report.n} test rows ({report.test_digest[:12]}){shows}"
    return Group(head, *_answerer(report), rows, table, *_metrics(report), *sliced)


def _answerer(report: "GateReport") -> list[str]:
    """What gave the answers that were judged, where something did: figures of one answerer say nothing of another."""
    from rich.markup import escape

    found = {check.evidence["answered by"] for check in report.checks if "answered by" in check.evidence}
    return [f"[bold]answered by {escape(one)}[/]" for one in sorted(found)]


def _metrics(report: "GateReport") -> list[Any]:
    """All metrics where a check has them: means over the rows that each applies to."""
    from rich import box
    from rich.table import Table

    tables = []
    for check in report.checks:
        if metrics := check.evidence.get("metrics"):
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            table.add_column("metric")
            table.add_column("mean", justify="right")
            table.add_column("rows", justify="right")
            for name, figure in metrics.items():
                value = figure["value"]
                table.add_row(name, "" if value is None else f"{value:.4g}", str(figure["n"]))
            tables.append(table)
    return tables


def _groups(check: "Check") -> Any:
    """A table of the groups that a check of slices looked at, worst first."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    evidence = check.evidence
    title = f"{escape(check.name)}: {evidence['metric']} of each group, with its 95 % interval"
    table = Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("group")
    for column in ("value", "from", "to", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for one in evidence["groups"]:
        figures = [f"{value:.4g}" for value in (one["value"], *one["interval"])]
        note = "" if one["judged"] else f"fewer than {evidence['minimum_rows']} rows: not judged"
        table.add_row(escape(one["group"]), *figures, str(one["n"]), note, style="" if one["judged"] else "dim")
    return table


def facts(
    release: "Release", candidate: "Candidate", previous: "Release | None", report: "GateReport | None"
) -> dict[str, Any]:
    """What is live, JSON-ready."""
    return {
        "thing": release.thing,
        "version": release.version,
        "release": release.id,
        "candidate": {
            "number": candidate.number,
            "variant": candidate.variant,
            "digest": candidate.digest,
            "uri": candidate.model_uri,
        },
        "run": candidate.run_id,
        "data": {"name": candidate.data_name, "version": candidate.data_version, "digest": candidate.data_digest},
        "code": {"commit": candidate.git_commit, "dirty": candidate.git_dirty, "digest": candidate.code_version},
        "since": release.created_at.isoformat(),
        "action": release.action,
        "by": release.actor,
        "why": release.why,
        "changes": release.changes,
        "verdict": report.verdict if report else None,
        "previous": {"version": previous.version, "release": previous.id} if previous else None,
    }


def nothing_live(target: str, waiting: list[int]) -> str:
    """A line or two for a target of which nothing is released."""
    return "\n".join([f"nothing of {target} is released yet", *([_waits(target, waiting)] if waiting else [])])


def _waits(target: str, waiting: list[int]) -> str:
    return f"version {', '.join(map(str, waiting))} waits for `mlops approve {target} --why ...`"


def live(facts: Mapping[str, Any]) -> Any:
    """What is live, as a table without lines."""
    from rich.markup import escape
    from rich.table import Table

    data, code, variant = facts["data"], facts["code"], facts["candidate"]["variant"]
    which = f" ({variant})" if variant else ""
    rows = {
        "version": f"[bold]{facts['thing']} {facts['version']}[/] (release {facts['release']})",
        "candidate": f"{facts['candidate']['uri']}{which}, digest {facts['candidate']['digest'][:12]}",
        "data": f"{data['name']}-v{data['version']}, digest {data['digest'][:12]}",
        "code": f"{code['commit'][:12] or 'not in Git'}{' with changes' if code['dirty'] else ''}",
        "since": facts["since"],
        "decided": escape(f"{facts['action']} by {facts['by']}: {facts['why']}"),
        "changes": escape(", ".join(facts["changes"])),
        "verdict": facts["verdict"] or "not judged",
        "previous": facts["previous"]["version"] if facts["previous"] else "none",
    }
    if facts["aliases_pending"]:
        rows["pending"] = f"aliases still to be set in MLflow: {', '.join(facts['aliases_pending'])}"
    if facts["waiting_for_approval"]:
        rows["waiting"] = _waits(facts["thing"], facts["waiting_for_approval"])
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(f"[dim]{name}[/]", value)
    return table


def outcome(target: str, outcome: "Outcome", endpoint: Mapping[str, Any] | None) -> str:
    """What came of a decision, in a line or two."""
    from rich.markup import escape

    now = f"{target} {outcome.release.version}" if outcome.release else "nothing"
    colour = {"released": "green", "refused": "red", "rejected": "red"}.get(outcome.result, "yellow")
    text = (
        f"[{colour}]{outcome.result}[/]: {now} is released (release {outcome.release.id})"
        if outcome.release
        else (f"[{colour}]{outcome.result}[/]: nothing of {target} is released")
    )
    text += f"\n{escape(outcome.why)}" if outcome.why else ""
    if endpoint:
        text += f"\n{endpoint['url']} answers with it (plan {endpoint['plan']}, after {endpoint['seconds']} s)"
    return text
