"""What a training is expected to take: pure figures, and what it costs."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.assets.estimates import Cost, Estimate, Took, against, seconds
from workloads.sdk.contract import TIERS, Tier

took = st.lists(st.builds(Took, st.integers(1, 10**7), st.floats(0.01, 10**5)), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.integers(1, 10**8), took)
def test_what_is_expected_lies_between_the_quickest_and_the_slowest(rows: int, earlier: list[Took]) -> None:
    expected, low, high = seconds(rows, earlier)
    assert 0 < low <= expected <= high
    assert seconds(rows, earlier[::-1]) == (expected, low, high)


@settings(deadline=None)
@given(st.integers(1, 10**6), took, st.integers(1, 100))
def test_time_grows_as_rows_do(rows: int, earlier: list[Took], times: int) -> None:
    (once, low, _), (more, low_of_more, high_of_more) = seconds(rows, earlier), seconds(times * rows, earlier)
    assert more == pytest.approx(times * once)
    quickest, slowest = min(took.seconds for took in earlier), max(took.seconds for took in earlier)
    assert low_of_more <= quickest  # as if nothing of it grew
    assert high_of_more >= slowest
    assert low <= low_of_more


@settings(deadline=None)
@given(st.integers(1, 10**6), st.floats(0.01, 10**5))
def test_the_same_once_more_takes_the_same(rows: int, once: float) -> None:
    assert seconds(rows, [Took(rows, once)]) == pytest.approx((once, once, once))


def test_nothing_is_expected_of_what_nothing_is_known_of() -> None:
    assert seconds(100, []) is None
    unknown = Estimate("wine", "gpu-gold", 100, 0)
    assert "not known" in str(unknown)
    assert "took more than expected (%)" not in against(unknown, Cost.of(TIERS["gpu-gold"], 30))


@settings(deadline=None)
@given(st.floats(0, 10**6), st.integers(1, 16), st.floats(0.25, 64), st.floats(0, 8))
def test_a_cost_is_what_all_workers_reserve(duration: float, workers: int, cpus: float, gpus: float) -> None:
    cost = Cost.of(Tier(workers=workers, cpus=cpus, gpus=gpus), duration)
    assert cost.cpu_hours == pytest.approx(duration / 3600 * workers * cpus, abs=1e-6)
    assert cost.gpu_hours == pytest.approx(duration / 3600 * workers * gpus, abs=1e-6)


def test_what_it_took_is_told_against_what_was_expected() -> None:
    expected = Estimate("wine", "gpu-bronze", 178, 3, Cost.of(TIERS["gpu-bronze"], 60), 50, 80)
    told = against(expected, Cost.of(TIERS["gpu-bronze"], 90))
    assert (told["took (s)"], told["took more than expected (%)"]) == (90, 50)
    assert (told["cost (CPU-hours)"], told["cost (GPU-hours)"]) == (pytest.approx(0.025), pytest.approx(0.00625))
    assert (
        "60 s, 0.0167 CPU-hours, 0.00417 GPU-hours expected (50 to 80 s), if time grows as rows do; known there: 3"
        in told["expected"]
    )
    assert replace(expected, cost=None).short == "not known on gpu-bronze"
