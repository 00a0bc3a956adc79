"""What the evaluations of all kinds of candidates have in common: checks, and the report."""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from mlops_assets.gates.scores import uncompared
from resources.ledger.reports import Check, GateReport, overall
from workloads.sdk.contract import Gates, Metric, OnInconclusive
from workloads.sdk.contract.applications import IndexGates

if TYPE_CHECKING:
    from numpy.typing import NDArray

Found = tuple[tuple[Check, ...], float | None]  # checks, and the smallest difference to the champion that can be shown
Compared = tuple[Check, float | None]
WARM_UP, CALLS, ROUNDS = 20, 200, 3  # of what a latency is measured by


class Identity(Protocol):
    """A candidate, or what an application is given of one."""

    @property
    def thing(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def digest(self) -> str: ...


def report(
    candidate: Identity, champion: Identity | None, found: Found, *, environment: str, rules: str, test: str, n: int
) -> GateReport:
    """The report of some checks; `test` is the digest of what was asked, `n` how many rows that are."""
    checks, smallest = found
    return GateReport(
        thing=candidate.thing,
        environment=environment,
        rules=rules,
        candidate_digest=candidate.digest,
        champion_digest=champion.digest if champion else None,
        test_digest=test,
        n=n,
        smallest_difference=smallest,
        checks=checks,
        verdict=overall(checks),
    )


def fastest(call: Callable[[], Any], budget: float) -> "NDArray[Any]":
    """Milliseconds that calls took, shape (calls,).

    200 calls after 20 to warm up. Where they are beyond the budget, the best of three such rounds: a budget is about
    what is called, not about who else uses the machine just now.
    """
    import numpy as np

    rounds: list[NDArray[Any]] = []
    for _ in range(ROUNDS):
        for _ in range(WARM_UP):
            call()
        times = np.empty(CALLS)
        for number in range(CALLS):
            start = perf_counter()
            call()
            times[number] = (perf_counter() - start) * 1000
        rounds.append(times)
        if np.percentile(times, 95) <= budget:
            break
    return min(rounds, key=lambda times: np.percentile(times, 95))


def latency(times: "NDArray[Any]", budget: float, what: str, by: str = "") -> Check:
    """Whether 95 % of single answers, shape (answers,), come within a budget, both in milliseconds."""
    import numpy as np

    p50, p95 = (float(value) for value in np.percentile(times, [50, 95]))
    return Check(
        name="latency",
        verdict="pass" if p95 <= budget else "refuse",
        value=p95,
        threshold=budget,
        unit="ms",
        n=len(times),
        text=f"95 % of {what} within {p95:.3g} ms, budget {budget:g} ms{by}",
        evidence={"p50": p50, "p95": p95},
    )


def needless(
    candidate: Identity, champion: Identity | None, metric: Metric | None, margin: float, same: str
) -> Check | None:
    """The comparison where none is needed: nothing is released, or just the same is. Else None."""
    if champion is None:
        return uncompared(metric, margin, "nothing is released yet, so there is nothing to compare with")
    if champion.digest != candidate.digest:
        return None
    return uncompared(metric, margin, f"{same} as number {champion.number}, which is released", value=0)


def leads_to(report: GateReport, gates: Gates | IndexGates, approval: str = "automatic") -> OnInconclusive:
    """What a report leads to: release, hold (a person approves) or refuse.

    What is declared for an inconclusive one is about too few rows. Where something went wrong a person looks, at least.
    """
    if report.verdict == "refuse":
        return OnInconclusive.REFUSE
    leads = gates.on_inconclusive if report.verdict == "inconclusive" else OnInconclusive.RELEASE
    held = report.failed or approval == "manual"
    return OnInconclusive.HOLD if leads == OnInconclusive.RELEASE and held else leads
