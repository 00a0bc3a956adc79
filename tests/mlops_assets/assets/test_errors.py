"""What a failed step says, and what it does where a service is away."""

import dagster as dg
import pytest

from mlops_assets.assets.errors import clean_errors
from workloads.sdk.errors import PlatformError, Unavailable


def run(*answers: Exception | None) -> tuple[dg.ExecuteInProcessResult, int]:
    """Materialize an asset that gives these answers, one a try; the result, and how many were given."""
    left = list(answers)

    @dg.asset
    @clean_errors
    def made() -> None:
        if (answer := left.pop(0)) is not None:
            raise answer

    return dg.materialize([made], raise_on_error=False), len(answers) - len(left)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_assets.assets.errors.AGAIN_SECONDS", 0)


def said(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return failed.step_failure_data.user_failure_data.description


def test_an_error_of_ours_is_its_sentence_and_is_final() -> None:
    result, tries = run(PlatformError("this and that; do so"), None)
    assert (said(result), tries) == ("this and that; do so", 1)


def test_what_a_service_was_away_for_is_asked_again_until_it_is_back() -> None:
    result, tries = run(Unavailable("MLflow is away"), Unavailable("MLflow is away"), None)
    assert (result.success, tries) == (True, 3)


def test_a_service_that_stays_away_is_named_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_assets.assets.errors.AGAIN", 4)
    result, tries = run(*[Unavailable("MLflow is away; run `mlops up`")] * 9)
    assert (said(result), tries) == ("MLflow is away; run `mlops up`", 5)
