"""Gates as blocking asset checks: what must hold before the next asset may exist."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from resources.ledger.reports import Check, GateReport
from workloads.sdk.contract import Declared, Gates, OnInconclusive, Workload
from workloads.sdk.contract.applications import Application, Index

# What follows from an inconclusive check.
FOLLOWS = {
    OnInconclusive.RELEASE: "inconclusive, which does not stand in the way of a release",
    OnInconclusive.HOLD: "inconclusive, so a person is asked",
    OnInconclusive.REFUSE: "inconclusive, which is declared to be refused",
}


def specs(declared: Declared, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One blocking check per gate that the declaration asks for."""
    return [
        dg.AssetCheckSpec(name, asset=key, blocking=True, description=text) for name, text in asked(declared).items()
    ]


def results(declared: Declared, report: GateReport, inconclusive: OnInconclusive) -> list[dg.AssetCheckResult]:
    """A report as check results, each as what follows from it: what is refused has failed and blocks the rest.

    An inconclusive one has passed where it is let through, warns where a person is asked, else it has failed.
    """
    found = {check.name.replace(":", "_"): check for check in report.checks}
    judged = len(found) > 1
    return [_result(name, found.get(name), judged, inconclusive) for name in asked(declared)]


def asked(declared: Declared) -> dict[str, str]:
    """What each gate of a declaration asks of a candidate, by the check's name."""
    match declared:
        case Index():
            return _of_index(declared)
        case Workload():
            golden = {"golden": "Golden rows get the answers that any version must give."}
            parity = declared.parity and f"Served and trained form differ by at most {declared.parity.tolerance:g}"
            return {
                "load": "The artifacts are whole, and the served form loads and answers.",
                **_of_scores(declared, "the frozen test rows", declared.gates_by_source.values()),
                **(golden if declared.gates.golden else {}),
                "latency": f"95 % of single rows are answered within {declared.gates.latency_ms:g} ms.",
                **({"parity": f"{parity} on all held-out rows."} if parity else {}),
                "champion": _champion(declared.gates, "the frozen test rows"),
            }
        case Application():
            return {
                "load": "The application loads with it, and answers.",
                **_of_scores(declared, "the questions"),
                "latency": f"95 % of single questions are answered within {declared.gates.latency_ms:g} ms.",
                "control": "Answers from other questions' passages fail: else the evaluation shows nothing.",
                "champion": _champion(declared.gates, "the same questions"),
            }
    raise TypeError(f"nothing says what {declared.name} must show")


def _of_scores(declared: Workload | Application, rows: str, others: Iterable[Gates] = ()) -> dict[str, str]:
    """The floor, and the slices of all gates that may hold."""
    metric, gates = declared.metric, declared.gates
    bound = "at least" if metric.higher_is_better else "at most"
    asked = "beats that of the baselines" if gates.floor is None else f"is {bound} {gates.floor:g}"
    found = {"floor": f"{metric.name} on {rows} {asked}."}
    for cut in (cut for rules in (*others, gates) for cut in rules.slices):
        asks = "" if cut.floor is None else f" is {bound} {cut.floor:g}"
        found[f"slices_{cut.column}"] = f"{metric.name} within each {cut.column}{asks}."
    return found


def _champion(gates: Gates, rows: str) -> str:
    return f"Not worse than what is released by more than {gates.margin:g}: paired bootstrap on {rows}."


def _of_index(index: Index) -> dict[str, str]:
    gates = index.gates
    found = {"table": "The table holds every chunk that was counted, each embedded."}
    share = f"at least {gates.recall:g} of the {gates.k} nearest chunks"
    for column in ("", *gates.filters):
        end, by, among = (
            (f"_{column}", f", filtered by {column}", f" among those of one {column}") if column else [""] * 3
        )
        found[f"plan{end}"] = f"PostgreSQL answers by the HNSW index{by}."
        found[f"recall{end}"] = f"The index finds {share}{among}: as an exact search does."
    found["latency"] = f"95 % of queries are answered within {gates.latency_ms:g} ms."
    worse = f"by more than {gates.margin:g}, on the same queries"
    found["champion"] = f"Recall is not worse than that of what is released {worse}."
    return found


def _result(name: str, check: Check | None, judged: bool, inconclusive: OnInconclusive) -> dg.AssetCheckResult:
    if check is None:
        text = "not asked of data from this source" if judged else "not judged: the candidate cannot be loaded"
        return dg.AssetCheckResult(
            check_name=name, passed=judged, severity=dg.AssetCheckSeverity.WARN, description=text
        )
    if check.verdict == "inconclusive":
        error = "error" in check.evidence and inconclusive == OnInconclusive.RELEASE  # `leads_to` says the same
        follows = OnInconclusive.HOLD if error else inconclusive
        text = f"{FOLLOWS[follows]}: {check.text}"
    else:
        follows = OnInconclusive.RELEASE if check.verdict == "pass" else OnInconclusive.REFUSE
        text = check.text
    blocks = follows == OnInconclusive.REFUSE
    figures = {"value": _short(check.value), "threshold": _short(check.threshold), "unit": check.unit or None}
    return dg.AssetCheckResult(
        check_name=name,
        passed=follows == OnInconclusive.RELEASE,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=text,
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
        for one in check.evidence.get("groups", ())
    ]
    gap = check.evidence.get("gap")
    return {
        **({"groups": dg.MetadataValue.table(records)} if records else {}),
        **({"gap between best and worst group": _short(gap["difference"])} if gap else {}),
    }
