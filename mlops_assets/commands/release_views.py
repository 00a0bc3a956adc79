"""How reports, releases and their errors look on the command line."""

import getpass
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from mlops_assets.release.mechanism import Outcome
from resources.ledger import Candidate, Decided, Release
from resources.ledger.reports import Check, GateReport

COLOURS = {"pass": "green", "refuse": "red", "inconclusive": "yellow"}


def user() -> str:
    """Who types."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"


def report(report: GateReport, name: str) -> Group:
    """A table of a report's checks; `name` is of what was judged."""
    names = [Column(name, no_wrap=True) for name in ("check", "verdict")]
    table = Table(*names, *_figures("value", "asked", "n"), "what was found", box=box.SIMPLE_HEAD, pad_edge=False)
    for check in report.checks:
        figures = [
            f"{value:.4g}{' ' + check.unit if check.unit else ''}" if value is not None else ""
            for value in (check.value, check.threshold)
        ]
        verdict = f"[{COLOURS[check.verdict]}]{check.verdict}[/]"
        table.add_row(check.name, verdict, *figures, str(check.n or ""), escape(check.text))
    against = f"champion {report.champion_digest[:12]}" if report.champion_digest else "nothing released before"
    head = (
        f"[bold]{name}[/] ({report.candidate_digest[:12]}) against {against}: "
        f"[bold {COLOURS[report.verdict]}]{report.verdict}[/]"
    )
    # What gave the answers that were judged, where something did: figures of one answerer say nothing of another.
    answerers = {check.evidence["answered by"] for check in report.checks if "answered by" in check.evidence}
    answered = [f"[bold]answered by {escape(one)}[/]" for one in sorted(answerers)]
    smallest = report.smallest_difference
    shows = f"; smallest difference that they can show: {smallest:.3g}" if smallest is not None else ""
    rows = f"{report.n} test rows ({report.test_digest[:12]}){shows}"
    metrics = [_metrics(found) for check in report.checks if (found := check.evidence.get("metrics"))]
    groups = [_groups(check) for check in report.checks if check.evidence.get("groups")]
    return Group(head, *answered, rows, table, *metrics, *groups)


def _figures(*names: str) -> list[Column]:
    return [Column(name, justify="right", no_wrap=True) for name in names]


def _metrics(metrics: Mapping[str, Any]) -> Table:
    """All metrics of a check: means over the rows that each applies to."""
    table = Table("metric", *_figures("mean", "rows"), box=box.SIMPLE_HEAD, pad_edge=False)
    for name, figure in metrics.items():
        value = figure["value"]
        table.add_row(name, "" if value is None else f"{value:.4g}", str(figure["n"]))
    return table


def _groups(check: Check) -> Table:
    """A table of the groups that a check of slices looked at, worst first."""
    evidence = check.evidence
    title = f"{escape(check.name)}: {evidence['metric']} of each group, with its 95 % interval"
    table = Table("group", *_figures("value", "from", "to", "n"), "", box=box.SIMPLE_HEAD, pad_edge=False,
                  title=title, title_justify="left", title_style="")  # fmt: skip
    for one in evidence["groups"]:
        figures = [f"{value:.4g}" for value in (one["value"], *one["interval"])]
        note = "" if one["judged"] else f"fewer than {evidence['minimum_rows']} rows: not judged"
        table.add_row(escape(one["group"]), *figures, str(one["n"]), note, style="" if one["judged"] else "dim")
    return table


def facts(
    release: Release, candidate: Candidate, previous: Release | None, report: GateReport | None
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


def waits(target: str, waiting: list[int]) -> str:
    return f"version {', '.join(map(str, waiting))} waits for `mlops approve {target} --why ...`"


def live(facts: Mapping[str, Any]) -> Table:
    """What is live, as a table without lines."""
    data, code, variant = facts["data"], facts["code"], facts["candidate"]["variant"]
    which = f" ({variant})" if variant else ""
    rows = {
        "version": f"[bold]{facts['thing']} {facts['version']}[/]",
        "candidate": f"{facts['candidate']['uri']}{which}, digest {facts['candidate']['digest'][:12]}",
        "data": f"{data['name']}-v{data['version']}, digest {data['digest'][:12]}",
        "code": f"{code['commit'][:12] or 'not in Git'}{' with changes' if code['dirty'] else ''}",
        "since": facts["since"],
        "decided": escape(f"{facts['action']} by {facts['by']}: {facts['why']}"),
        "changes": escape(", ".join(facts["changes"])),
        "verdict": facts["verdict"] or "not judged",
        "previous": facts["previous"]["version"] if facts["previous"] else "none",
    }
    if other := [one for one in facts["replicas"] if one["version"] != facts["version"]]:
        rows["answers"] = "[bold red]otherwise[/]: " + escape(
            "; ".join(f"a replica answers with {one['version']} ({one['error'] or 'it loads'})" for one in other)
        )
    if facts["aliases_pending"]:
        rows["pending"] = f"aliases still to be set in MLflow: {', '.join(facts['aliases_pending'])}"
    if facts["waiting_for_approval"]:
        rows["waiting"] = waits(facts["thing"], facts["waiting_for_approval"])
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(f"[dim]{name}[/]", value)
    return table


def everywhere(found: Sequence[Mapping[str, Any]]) -> Table | str:
    """What is live in all environments, a line each."""
    if not found:
        return "nothing is released yet"
    table = Table("environment", "what", "version", "answers", "since", "by", "why", box=None, pad_edge=False)
    for one in found:
        same = one["answers"] == [one["version"]]
        answers = one["url"] if same else f"[bold red]{', '.join(one['answers'])}[/]" if one["answers"] else ""
        since = f"{one['since'].astimezone():%Y-%m-%d %H:%M}"
        texts = (escape(one["by"]), escape(one["why"]))
        table.add_row(one["environment"], one["thing"], f"[bold]{one['version']}[/]", answers, since, *texts)
    return table


def history(decided: Sequence[Decided]) -> Table:
    """What was decided, newest first."""
    table = Table("when", "what", "version", "data", "by", "why", box=None, pad_edge=False)
    for one in decided:
        version = one.version or f"candidate {one.number}"
        colour = "green" if one.version else "yellow" if one.action == "hold" else "red"
        at = f"{one.created_at.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(at, f"[{colour}]{one.action}[/]", version, one.data_version, escape(one.actor), escape(one.why))
    return table


def outcome(target: str, outcome: Outcome, endpoint: Mapping[str, Any] | None) -> Text:
    """What came of a decision, in a line or two."""
    colour = {"released": "green", "refused": "red", "rejected": "red"}.get(outcome.result, "yellow")
    release = outcome.release
    now = f"{target} {release.version} is released" if release else f"nothing of {target} is released"
    text = Text.assemble((outcome.result, colour), f": {now}")
    if outcome.why:
        text.append(f"\n{outcome.why}")
    if endpoint:
        text.append(f"\n{endpoint['url']} answers with it (plan {endpoint['plan']}, after {endpoint['seconds']} s)")
    return text
