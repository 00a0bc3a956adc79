"""What a search tried, as a picture and as a table: nothing of it is lost or misplaced."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.assets.trials import MOST, trials
from workloads.sdk.contract import Trial
from workloads.sdk.plots import Scale, parallel_coordinates

VALUES = st.one_of(
    st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=30),
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    st.lists(st.sampled_from([None, True, "a", "b", 3]), min_size=1, max_size=30),
)


@given(VALUES)
def test_scale_keeps_order_and_stays_in_its_axis(values: list):
    scale = Scale(values)
    assert len(scale.places) == len(values)
    assert all(0 <= place <= 1 for place in [*scale.places, *(place for place, _ in scale.ticks)])
    assert len(scale.ticks) <= 6
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        ordered = sorted(zip(values, scale.places, strict=True))
        assert all(one[1] <= two[1] for one, two in pairwise(ordered))
    else:
        assert len(set(scale.places)) == len({str(value) for value in values})


@given(st.integers(0, 250), st.booleans())
@settings(max_examples=20)
def test_table_has_the_best_first_and_is_bounded(count: int, higher: bool):
    tried = [
        Trial(f"t{n}", {"rate": n / 7}, {"validation_right": n * 37 % 101 / 101} if n % 5 else {}) for n in range(count)
    ]
    table = trials(tried, "validation_right", higher)
    if not tried:
        assert table == {}
        return
    records = [record.data for record in table["trials"].records]
    assert len(records) == min(count, MOST)
    scores = [record["validation_right"] for record in records if record["validation_right"] != ""]
    assert scores == sorted(scores, reverse=higher)
    assert all(record["validation_right"] == "" for record in records[len(scores) :])


@pytest.mark.parametrize("higher", [True, False])
def test_picture_is_drawn_also_of_little(tmp_path: Path, higher: bool):
    tried = [Trial("a", {"x": 1}, {"m": 0.5}), Trial("b", {"x": "two", "y": None}, {"m": 0.1}, state="stopped")]
    for name, some in {"two": tried, "one": tried[:1], "failed": [Trial("c", {"x": 3}, state="failed")]}.items():
        parallel_coordinates(some, "m", higher, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
