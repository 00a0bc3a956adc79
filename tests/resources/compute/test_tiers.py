"""Tiers: what they ask, what fits where, and which one comes nearest to one that cannot be placed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.compute.capacity import GIB, Capacity, asked, described, distance, fits, nearest, placement, wanted
from workloads.sdk.contract import TIERS, Tier

tiers = st.one_of(
    st.sampled_from(list(TIERS.values())),
    st.builds(
        Tier,
        workers=st.integers(1, 4),
        cpus=st.sampled_from([0.5, 1, 2, 8]),
        gpus=st.sampled_from([0, 0.25, 0.5, 1, 2]),
        memory_gib=st.sampled_from([0.5, 1, 4, 64]),
    ),
)
node = st.builds(
    lambda cpus, gpus, memory: {"CPU": cpus, "GPU": gpus, "memory": memory * GIB},
    st.integers(1, 16),
    st.integers(0, 2),
    st.integers(1, 64),
)
nodes = st.lists(node, max_size=4)


@settings(deadline=None)
@given(tiers, nodes)
def test_the_nearest_tier_can_be_placed_and_none_that_can_is_nearer(tier: Tier, there: list[dict[str, float]]) -> None:
    possible = {name: other for name, other in TIERS.items() if fits(asked(other), there)}
    found = nearest(tier, there)
    assert (found is None) == (not possible)
    if found:
        assert found in possible
        assert all(distance(tier, TIERS[found]) <= distance(tier, other) for other in possible.values())


@settings(deadline=None)
@given(st.sampled_from(list(TIERS)), nodes)
def test_a_tier_that_fits_is_its_own_nearest(name: str, there: list[dict[str, float]]) -> None:
    if fits(asked(TIERS[name]), there):
        assert nearest(TIERS[name], there) == name


@settings(deadline=None)
@given(tiers, nodes, node)
def test_more_nodes_never_take_room_away(tier: Tier, there: list[dict[str, float]], one: dict[str, float]) -> None:
    if fits(asked(tier), there):
        assert fits(asked(tier), [*there, one])
        assert placement(tier, Capacity(nodes=[*there, one], free=there)) == "now"
    before, after = nearest(tier, there), nearest(tier, [*there, one])
    if before:
        assert after
        assert distance(tier, TIERS[after]) <= distance(tier, TIERS[before])


def test_on_a_laptop_without_gpu_the_nearest_is_the_largest_that_fits() -> None:
    laptop = [{"CPU": 2, "memory": 8 * GIB}]
    for asked_for, expected in {
        "gpu-bronze": "cpu-small",
        "gpu-silver": "cpu-medium",
        "gpu-gold": "cpu-medium",
        "cpu-large": "cpu-medium",
        "gpu-gold-distributed": "cpu-small-distributed",
    }.items():
        assert nearest(TIERS[asked_for], laptop) == expected
    assert placement(TIERS["gpu-gold"], Capacity(nodes=laptop, free=laptop)) == "never"
    assert placement(TIERS["cpu-small"], Capacity(nodes=laptop, free=[{"CPU": 0, "memory": GIB}])) == "when idle"


def test_fractions_of_a_gpu_share_one() -> None:
    one = [{"CPU": 8, "GPU": 1, "memory": 64 * GIB}]
    assert fits(asked(TIERS["gpu-bronze"]) * 4, one)
    assert not fits(asked(TIERS["gpu-bronze"]) * 5, one)
    assert nearest(TIERS["gpu-gold-distributed"], one) == "gpu-gold"
    assert described(TIERS["gpu-bronze"]) == "1 CPU, 0.25 GPU, 4 GiB memory"
    assert wanted(TIERS["gpu-gold-distributed"]) == "2 workers, each with 4 CPU, 1 GPU"
