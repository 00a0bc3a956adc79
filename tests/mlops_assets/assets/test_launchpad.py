"""What the launchpad offers beside a workload's parameters."""

from mlops_assets.assets.launchpad import chosen, launchpad
from workloads.sdk.contract import TIERS
from workloads.sdk.contract.loading import workload_of


def test_the_launchpad_offers_the_tiers_and_begins_with_the_workloads_own() -> None:
    wine = workload_of("workloads.wine")
    config = launchpad(wine)
    assert chosen(wine, config())[1] == wine.tier
    parameters, tier = chosen(wine, config(tier="cpu-medium", trees=7))
    assert (parameters[""].trees, tier) == (7, "cpu-medium")
    schema = config.to_config_schema().as_field().config_type.fields["tier"]
    assert {value.config_value for value in schema.config_type.enum_values} == set(TIERS)
    assert "gpu-silver: 2 CPU, 0.5 GPU, 8 GiB memory" in schema.description
