"""Gates as Dagster's checks: passed, warned of or failed, as what follows from them."""

from typing import Any

import dagster as dg
import numpy as np
import pytest

from mlops_assets.assets.checks import asked, results, specs
from mlops_assets.gates.scores import broken_champion, compared
from resources.ledger.reports import Check, GateReport
from workloads.sdk.contract import OnInconclusive, Workload
from workloads.sdk.contract.loading import workload_of

PASSED, WARNED, BLOCKED = (True, None), (False, "WARN"), (False, "ERROR")


def shown(champion: Check, inconclusive: OnInconclusive, wine: Workload) -> tuple[tuple[bool, str | None], str]:
    """How Dagster shows a comparison beside gates that pass, and its words."""
    others = [Check(name=name.replace("_", ":", 1) if name.startswith("slices") else name, verdict="pass", text="")
              for name in asked(wine) if name != "champion"]  # fmt: skip
    report = GateReport.model_construct(checks=[*others, champion])
    found = {result.check_name: result for result in results(wine, report, inconclusive)}
    assert all(result.passed for name, result in found.items() if name != "champion")
    one = found["champion"]
    return (one.passed, None if one.passed else one.severity.value), one.description


@pytest.fixture
def wine() -> Workload:
    return workload_of("workloads.wine")


@pytest.fixture
def better(wine: Workload) -> Check:
    """Of a candidate that is right in one row more of 56, which is too few to show anything."""
    ours, theirs = np.ones(56), np.ones(56)
    theirs[3] = 0
    check, _ = compared(wine.metric, 0.01, ours, theirs, 1)
    assert check.verdict == "inconclusive"
    assert check.value > 0
    return check


@pytest.mark.parametrize(
    ("inconclusive", "expected", "words"),
    [
        (OnInconclusive.RELEASE, PASSED, "inconclusive, which does not stand in the way of a release: 56 rows can"),
        (OnInconclusive.HOLD, WARNED, "inconclusive, so a person is asked: 56 rows can"),
        (OnInconclusive.REFUSE, BLOCKED, "inconclusive, which is declared to be refused: 56 rows can"),
    ],
)
def test_an_inconclusive_comparison_is_shown_as_what_follows_from_it(
    better: Check, wine: Workload, inconclusive: OnInconclusive, expected: Any, words: str
) -> None:
    state, said = shown(better, inconclusive, wine)
    assert state == expected
    assert said.startswith(words)
    assert "better by" in said


def test_a_comparison_that_went_wrong_asks_a_person_and_one_that_refuses_blocks(wine: Workload) -> None:
    broken = broken_champion(wine.metric, 0.05, 1, "cannot answer", ValueError("its artifacts are damaged"))
    assert shown(broken, OnInconclusive.RELEASE, wine)[0] == WARNED
    assert shown(broken, OnInconclusive.REFUSE, wine)[0] == BLOCKED
    worse, _ = compared(wine.metric, 0.05, np.zeros(56), np.ones(56), 1)
    state, said = shown(worse, OnInconclusive.RELEASE, wine)
    assert (state, said) == (BLOCKED, worse.text)


def test_what_refuses_is_declared_as_blocking(wine: Workload) -> None:
    assert all(spec.blocking for spec in specs(wine, dg.AssetKey(["wine", "models"])))
