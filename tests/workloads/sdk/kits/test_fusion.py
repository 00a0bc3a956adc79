"""Reciprocal rank fusion, as pure logic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.sdk.kits.retrieval.fusion import fuse

ranking = st.lists(st.integers(0, 30), unique=True, max_size=20)
rankings = st.dictionaries(st.sampled_from("abcd"), ranking, max_size=4)
weight = st.floats(0, 10).filter(lambda value: value == 0 or value > 1e-3)


def test_a_fusion_by_hand() -> None:
    fused = fuse({"vector": ["x", "y"], "text": ["y", "z"]}, {"text": 2.0}, k=1)
    assert fused == [("y", 1 / 3 + 2 / 2), ("z", 2 / 3), ("x", 1 / 2)]


@given(rankings, st.floats(0.1, 1000))
def test_every_item_once_best_first(found: dict[str, list[int]], k: float) -> None:
    fused = fuse(found, k=k)
    items, scores = [item for item, _ in fused], [score for _, score in fused]
    assert len(items) == len(set(items))
    assert set(items) == {item for ranked in found.values() for item in ranked}
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= len(found) / (k + 1) + 1e-12 for score in scores)
    assert fuse(found, k=k) == fused


@given(ranking, st.floats(0.1, 1000))
def test_one_ranking_keeps_its_order(ranked: list[int], k: float) -> None:
    assert [item for item, _ in fuse({"only": ranked}, k=k)] == ranked
    assert [item for item, _ in fuse({"first": ranked, "second": ranked}, k=k)] == ranked


@given(ranking, ranking, weight)
def test_a_weight_of_nothing_leaves_a_ranking_out(first: list[int], second: list[int], other: float) -> None:
    fused = fuse({"first": first, "second": second}, {"first": 0, "second": other})
    assert [item for item, _ in fused] == (second if other else [])


@given(ranking, ranking)
def test_whoever_is_ahead_in_all_rankings_is_ahead(first: list[int], second: list[int]) -> None:
    places = {item: at for at, (item, _) in enumerate(fuse({"first": first, "second": second}))}
    both = [item for item in first if item in second]
    for one in both:
        for other in both:
            if first.index(one) < first.index(other) and second.index(one) < second.index(other):
                assert places[one] < places[other]


@given(ranking, ranking)
def test_only_ranks_count_and_names_do_not(first: list[int], second: list[int]) -> None:
    assert dict(fuse({"a": first, "b": second})) == pytest.approx(dict(fuse({"x": second, "y": first})))


def test_what_cannot_be_fused_is_said() -> None:
    with pytest.raises(ValueError, match="k must be more than 0"):
        fuse({"a": [1]}, k=0)
    with pytest.raises(ValueError, match="'a' must be 0 or more"):
        fuse({"a": [1]}, {"a": -1})
    with pytest.raises(ValueError, match="'a' names an item twice"):
        fuse({"a": [1, 1]})
