"""Pictures of data: what a column is follows from its type alone, any column can be drawn, and twice alike."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.assets.pictures import LARGEST
from workloads.sdk.dataset import write_split
from workloads.sdk.distributions import PANELS, ROW_ID, Panel, draw, panels, sample

NUMBERS = st.none() | st.floats(width=32)
COLUMNS = (
    (pa.float32(), NUMBERS),
    (pa.int64(), st.none() | st.integers(-(2**53), 2**53)),
    (pa.string(), st.none() | st.text(max_size=30)),
    (pa.bool_(), st.none() | st.booleans()),
    (pa.list_(pa.float32()), st.none() | st.lists(NUMBERS, max_size=4)),
    (pa.list_(pa.string()), st.none() | st.lists(st.text(max_size=3), max_size=3)),
    (pa.timestamp("s"), st.none() | st.integers(0, 2**31)),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """Two versions of a table with columns of any type; one may lack a column, or have it of another type."""
    kinds = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4))
    two = []
    for _ in range(2):
        rows = draw(st.integers(1, 25))
        columns = {f"c{at}": pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), kind)
                   for at, (kind, cells) in enumerate(kinds)}  # fmt: skip
        two.append(pa.table({ROW_ID: [str(row) for row in range(rows)], **columns}))
        kinds = draw(st.permutations(kinds)) if draw(st.booleans()) else kinds
    return two[0], two[1]


@settings(max_examples=120, deadline=None)
@given(tables())
def test_shares_are_shares_and_a_change_is_between_none_and_all(both: tuple[pa.Table, pa.Table]) -> None:
    now, before = both
    found = panels(now, before)
    assert ROW_ID not in {panel.name for panel in found}
    changes = [panel.change for panel in found]
    assert changes == sorted(changes, reverse=True)
    for panel in found:
        assert panel.now.sum() == pytest.approx(1) or not panel.now.any()  # all of it is missing
        assert -1e-9 <= panel.change <= 1 + 1e-9
        assert len(panel.now) == len(panel.at) - (panel.kind == "histogram")
    assert all(panel.change == pytest.approx(0) for panel in panels(now, now))


def kinds_of(**columns: pa.Array) -> dict[str, str]:
    return {panel.name: panel.kind for panel in panels(pa.table(columns))}


def tensors(values: np.ndarray) -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))


def test_a_column_is_what_its_type_says() -> None:
    many = np.arange(100)
    found = kinds_of(
        colour=pa.array(["red", "white"] * 50),
        text=pa.array([f"text number {number}" for number in many]),
        number=pa.array(many.astype(float)),
        few=pa.array(many % 3),
        bytes=tensors(np.zeros((100, 64), np.uint8)),
        lines=tensors(np.zeros((100, 4, 6), np.float32)),
        vector=tensors(np.ones((100, 64), np.float32)),
        series=pa.array([[1.0, 2.0]] * 100),
    )
    assert found == {
        "colour": "values", "text: characters": "histogram", "number": "histogram", "few": "values",
        "bytes": "mean", "lines": "mean", "vector": "histogram", "series": "histogram",
    }  # fmt: skip


def test_what_changed_most_comes_first_and_what_is_new_before_it() -> None:
    rows = np.random.default_rng(0)
    before = pa.table({"same": rows.normal(size=500), "moved": rows.normal(size=500)})
    now = pa.table({"same": before["same"], "moved": rows.normal(2, 1, 500), "new": rows.normal(size=500)})
    assert [panel.name for panel in panels(now, before)] == ["new", "moved", "same"]


def test_a_sample_is_bounded_spread_over_the_splits_and_always_the_same(tmp_path: Path) -> None:
    files = {}
    for split, rows, first in (("train", 30_000, 0), ("validation", 3_000, 100_000), ("test", 10, 200_000)):
        files[split] = tmp_path / f"{split}.parquet"
        write_split({"value": np.arange(first, first + rows)}, files[split])
    found = sample(files, 1000)["value"].to_numpy()
    assert 990 <= len(found) <= 1010
    assert ((found < 100_000).sum(), (found >= 200_000).sum() >= 1) == (pytest.approx(908, abs=5), True)
    assert np.array_equal(found, sample(files, 1000)["value"].to_numpy())


def test_a_picture_of_many_columns_is_small_and_the_same_to_the_byte(tmp_path: Path) -> None:
    rows = np.random.default_rng(0)
    found = [Panel("pixels", "mean", (4, 6), rows.random((4, 6)), rows.random((4, 6)))]
    found += panels(pa.table({f"column {at}": rows.normal(size=200) for at in range(20)}))
    assert len(found) > PANELS
    for name in ("one", "two"):
        draw(found, "it-v1.0.1", "it-v1.0.0", tmp_path / f"{name}.png")
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes()
    assert len(content) < LARGEST / 2
