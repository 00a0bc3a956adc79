"""Slices: groups of rows with numbers and intervals, whatever the column holds; on real wines too."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mlops_assets.gates.slices import MISSING, MOST_VALUES, check, checks, column_of, grouped, groups
from mlops_assets.gates.statistics import Interval, difference, wilson
from workloads.sdk.contract import Gates, Metric, Slice
from workloads.sdk.contract.loading import workload_of

RIGHT = Metric("right", "Share of rows that are right.")
ERROR = Metric("error", "Mean error.", higher_is_better=False)
TYPES = (st.booleans(), st.integers(-(2**31), 2**31), st.floats(allow_infinity=False), st.text(max_size=3))
COLUMNS = st.sampled_from(TYPES).flatmap(lambda cells: st.lists(st.none() | cells, min_size=1, max_size=60))
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=80)


@settings(max_examples=150, deadline=None)
@given(COLUMNS)
def test_every_row_has_one_group_and_equal_values_share_it(values: list) -> None:
    names = grouped(values)
    assert names.shape == (len(values),)
    found: dict = {}
    for value, name in zip(values, names.tolist(), strict=True):
        key = (type(value), value) if value == value else MISSING
        assert found.setdefault(key, name) == name
        assert (name == MISSING) == (value is None or value != value or value == MISSING)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=MOST_VALUES + 1, max_size=200, unique=True))
def test_quartiles_are_in_order_and_of_similar_size(values: list[float]) -> None:
    names = grouped(values)
    spans = sorted((min(v), max(v), len(v)) for v in [[x for x, n in zip(values, names, strict=True) if n == name]
                                                      for name in set(names.tolist())])  # fmt: skip
    assert len(spans) == 4
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert max(span[2] for span in spans) - min(span[2] for span in spans) <= 2


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(1, 30), st.booleans())
def test_groups_keep_every_row_and_come_worst_first(rows: list, minimum: int, higher: bool) -> None:
    metric = RIGHT if higher else ERROR
    names, scores = np.array([name for name, _ in rows]), np.array([score for _, score in rows])
    found = groups(scores, names, metric, minimum)
    assert sum(group.n for group in found) == len(rows)
    assert sum(group.value * group.n for group in found) == pytest.approx(scores.sum())
    assert [group.judged for group in found] == sorted((group.n >= minimum for group in found), reverse=True)
    for enough in (True, False):
        values = [group.value for group in found if group.judged is enough]
        assert values == sorted(values, reverse=not higher)
    for group in found:
        assert group.interval == wilson(round(group.value * group.n), group.n)
        assert group.interval.low - 1e-9 <= group.value <= group.interval.high + 1e-9


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(1, 30), st.none() | st.floats(0, 1), st.booleans())
def test_only_groups_with_rows_enough_can_refuse(rows: list, minimum: int, floor: float | None, higher: bool) -> None:
    metric = RIGHT if higher else ERROR
    names, scores = np.array([name for name, _ in rows]), np.array([score for _, score in rows])
    found = check(scores, names, metric, Slice("group", floor, minimum))
    values = [float(scores[names == name].mean()) for name in set(names.tolist()) if (names == name).sum() >= minimum]
    beyond = [value for value in values if floor is not None and (value < floor if higher else value > floor)]
    assert (found.verdict == "refuse") == bool(beyond)
    assert {one["group"] for one in found.evidence["groups"]} == set(names.tolist())  # also those with few rows
    gap = found.evidence["gap"]
    assert (gap is None) == (len(values) < 2)
    if gap:
        low, high = gap["interval"]
        assert gap["difference"] == pytest.approx(max(values) - min(values))
        assert low - 1e-9 <= gap["difference"] <= high + 1e-9


def test_the_gap_has_newcombes_interval() -> None:
    """The example of Newcombe (1998), table II: 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    found = difference(56 / 70, wilson(56, 70), 48 / 80, wilson(48, 80))
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    assert difference(1.0, Interval(1.0, 1.0), 1.0, Interval(1.0, 1.0)) == Interval(0.0, 0.0)


@pytest.mark.parametrize("values", [pa.array([1.0, None]), pa.array(["x", "y"]), pa.array([True, False]),
                                    pa.array(["x", "y"]).dictionary_encode()])  # fmt: skip
def test_a_column_is_read_by_its_type_alone(tmp_path: Path, values: pa.Array) -> None:
    parquet.write_table(pa.table({"it": values}), tmp_path / "test.parquet")
    assert len(column_of(tmp_path / "test.parquet", "it")) == 2
    with pytest.raises(KeyError, match="neither `evaluate` nor the test split has a column 'other'"):
        column_of(tmp_path / "test.parquet", "other")


def test_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"it": [[1, 2], [3, 4]]}), tmp_path / "test.parquet")
    with pytest.raises(ValueError, match="numbers, texts or true and false make groups"):
        column_of(tmp_path / "test.parquet", "it")


def test_wines_by_the_depth_of_their_colour(tmp_path: Path) -> None:
    """Real wines, by quartiles of a column that nobody but the declaration names."""
    wine = workload_of("workloads.wine")
    parameters, raw, out = wine.data.parameters(), tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    wine.resolve(wine.data.fetch)(parameters, raw)
    wine.resolve(wine.data.process)(parameters, raw, out)
    assert [cut.column for cut in wine.gates.slices] == ["target", "color_intensity"]
    names = column_of(out / "test.parquet", "color_intensity")
    depth = parquet.read_table(out / "test.parquet")["color_intensity"].to_numpy()
    scores = (depth > np.median(depth)).astype(float)  # a model that is right on dark wines only
    found = check(scores, names, wine.metric, wine.gates.slices[1])
    assert (found.verdict, found.n, found.threshold) == ("pass", 56, None)
    values = [one["value"] for one in found.evidence["groups"]]
    assert values == sorted(values)
    assert all(one["n"] >= 10 and one["judged"] for one in found.evidence["groups"])
    assert found.evidence["gap"]["difference"] == 1.0
    assert "gap to the best 1 [" in found.text


@pytest.mark.parametrize(("rows", "verdict"), [(5, "refuse"), (4, "pass")])
def test_a_group_that_is_never_right_is_named_and_refused_if_it_has_rows_enough(rows: int, verdict: str) -> None:
    names = np.array(["often"] * 95 + ["rare"] * rows)
    scores = np.array([1.0] * 95 + [0.0] * rows)
    found = check(scores, names, RIGHT, Slice("group", floor=0.01, minimum_rows=5))
    assert found.verdict == verdict
    assert f"never right: rare (0 of {rows})" in found.text
    assert found.evidence["never_right"] == {"rare": rows}
    none = check(np.array([0.0, 2.0]), np.array(["a", "b"]), RIGHT, Slice("group"))
    assert none.evidence["never_right"] == {}  # a score of 0 is not "wrong" where scores are more than right and wrong


def test_a_slice_may_look_at_another_metric_than_the_one_that_decides() -> None:
    class Scores:
        def of(self, metric: str) -> np.ndarray:
            return {"right": np.array([1.0, 0.0, 1.0]), "error": np.array([3.0, np.nan, 5.0])}[metric]

        def slice(self, column: str) -> np.ndarray:
            return np.array(["a", "b", "b"])

    gates = Gates("right", 0.5, 0.1, 10, slices=[Slice("group", minimum_rows=1, metric="error"), Slice("group", 0.2)])
    of_errors, of_right = checks(Scores(), gates, [RIGHT, ERROR])
    assert (of_errors.evidence["metric"], of_errors.n, of_errors.value) == ("error", 2, 5.0)  # where it applies
    assert (of_right.evidence["metric"], of_right.n) == ("right", 3)
