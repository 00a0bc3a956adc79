"""Gates as blocking asset checks: what must hold before the next asset may exist."""

from typing import Any

import dagster as dg

from resources.ledger.reports import Check, GateReport
from workloads.sdk.contract import Declared, Metric, OnInconclusive, Slice, Workload
from workloads.sdk.contract.applications import Application, Index


def specs(declared: Declared, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One blocking check per gate that the declaration asks for."""
    return [
        dg.AssetCheckSpec(name, asset=key, blocking=True, description=text) for name, text in asked(declared).items()
    ]


def results(declared: Declared, report: GateReport, inconclusive: OnInconclusive) -> list[dg.AssetCheckResult]:
    """A report as check results: what is refused blocks; the `inconclusive` warns, unless that leads to a refusal."""
    found = {_name(check): check for check in report.checks}
    judged = len(found) > 1
    return [_result(name, found.get(name), judged, inconclusive) for name in asked(declared)]


def asked(declared: Declared) -> dict[str, str]:
    """What each gate of a declaration asks of a candidate, by the check's name."""
    match declared:
        case Workload():
            return _of_model(declared)
        case Application():
            return _of_part(declared)
        case Index():
            return _of_index(declared)
    raise TypeError(f"nothing says what {declared.name} must show")


def _of_part(application: Application) -> dict[str, str]:
    gates, metric = application.gates, application.metric
    bound = "at least" if metric.higher_is_better else "at most"
    return {
        "load": "The application loads with it, and answers.",
        "floor": f"{metric.name} on the questions is {bound} {gates.floor:g}.",
        **{f"slices_{cut.column}": _of_slice(metric, cut) for cut in gates.slices},
        "latency": f"95 % of single questions are answered within {gates.latency_ms:g} ms.",
        "control": "Answers from other questions' passages fail: else the evaluation shows nothing.",
        "champion": f"Not worse than what is released by {gates.margin:g}: paired bootstrap on the same questions.",
    }


def _of_index(index: Index) -> dict[str, str]:
    gates = index.gates
    found, of = (
        {"table": "The table holds every chunk that was counted, each embedded."},
        f"of the {gates.k} nearest chunks",
    )
    for column in ("", *gates.filters):
        end, among = (f"_{column}", f" among those of one {column}") if column else ("", "")
        found[f"plan{end}"] = f"PostgreSQL answers by the HNSW index{among and ', filtered by ' + column}."
        found[f"recall{end}"] = f"The index finds at least {gates.recall:g} {of}{among}: as an exact search does."
    found["latency"] = f"95 % of queries are answered within {gates.latency_ms:g} ms."
    found["champion"] = f"Recall is not worse than that of what is released by {gates.margin:g}, on the same queries."
    return found


def _of_slice(metric: Metric, cut: Slice) -> str:
    bound = "at least" if metric.higher_is_better else "at most"
    return f"{metric.name} within each {cut.column}" + ("." if cut.floor is None else f" is {bound} {cut.floor:g}.")


def _of_model(workload: Workload) -> dict[str, str]:
    gates, metric = workload.gates, workload.metric
    bound = "at least" if metric.higher_is_better else "at most"
    found = {
        "load": "The artifacts are whole, and the served form loads and answers.",
        "floor": f"{metric.name} on the frozen test rows is {bound} {gates.floor:g}.",
        **{
            f"slices_{cut.column}": _of_slice(metric, cut)
            for rules in (*workload.gates_by_source.values(), gates)
            for cut in rules.slices
        },
    }
    if gates.golden:
        found["golden"] = "Golden rows get the answers that any version must give."
    found["latency"] = f"95 % of single rows are answered within {gates.latency_ms:g} ms."
    if workload.parity:
        found["parity"] = (
            f"Served and trained form differ by at most {workload.parity.tolerance:g} on all held-out rows."
        )
    found["champion"] = (
        f"Not worse than what is released by {gates.margin:g}: paired bootstrap on the frozen test rows."
    )
    return found


def _name(check: Check) -> str:
    return check.name.replace(":", "_")


def _result(name: str, check: Check | None, judged: bool, inconclusive: OnInconclusive) -> dg.AssetCheckResult:
    if check is None:
        text = "not asked of data from this source" if judged else "not judged: the candidate cannot be loaded"
        return dg.AssetCheckResult(
            check_name=name, passed=judged, severity=dg.AssetCheckSeverity.WARN, description=text
        )
    blocks = check.verdict == "refuse" or inconclusive == OnInconclusive.REFUSE
    figures = {"value": _short(check.value), "threshold": _short(check.threshold), "unit": check.unit or None}
    return dg.AssetCheckResult(
        check_name=name,
        passed=check.verdict == "pass",
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=check.text,
        metadata={
            "verdict": check.verdict,
            "n": check.n,
            **{name: value for name, value in figures.items() if value is not None},
            **_groups(check),
            "evidence": dg.JsonMetadataValue(check.evidence),
        },
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _groups(check: Check) -> dict[str, Any]:
    """The groups that a check of slices looked at, as a table, worst first."""
    groups = check.evidence.get("groups")
    if not groups:
        return {}
    records = [
        dg.TableRecord(
            {
                "group": one["group"],
                "value": _short(one["value"]),
                "from": _short(one["interval"][0]),
                "to": _short(one["interval"][1]),
                "n": one["n"],
                "judged": one["judged"],
            }
        )
        for one in groups
    ]
    gap = check.evidence.get("gap")
    return {
        "groups": dg.MetadataValue.table(records),
        **({"gap between best and worst group": _short(gap["difference"])} if gap else {}),
    }
