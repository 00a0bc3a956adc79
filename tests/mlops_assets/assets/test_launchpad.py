"""What the launchpad offers beside a workload's parameters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dagster as dg

from mlops_assets.assets.components import PartConfig
from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.launchpad import chosen, launchpad
from mlops_assets.assets.releases import ReleaseConfig
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


def launched(config: type[dg.Config], values: dict[str, Any], use: Callable[[Any], object] = repr) -> tuple[str, bool]:
    """The error that a step says, and whether it is one sentence alone."""

    @dg.asset
    @clean_errors
    def made(context: dg.AssetExecutionContext, config: config) -> None:  # type: ignore[valid-type]
        use(config)

    run = dg.materialize([made], run_config={"ops": {"made": {"config": values}}}, raise_on_error=False)
    (failed,) = [event for event in run.all_events if event.event_type_value == "STEP_FAILURE"]
    failure = failed.event_specific_data
    assert failure.error.cause is None  # nothing is hidden below it
    return failure.user_failure_data.description, failure.user_failure_data.label == "intentional-failure"


def test_a_value_beyond_its_bounds_fails_a_step_with_one_sentence() -> None:
    """Not with a stack trace at whose end pydantic speaks: whatever is launched, of whatever depth."""
    wine = workload_of("workloads.wine")
    said = "trees is 0: input should be greater than or equal to 1; launch it again with another value"
    assert launched(launchpad(wine), {"trees": 0}) == (f"the launchpad: {said}", True)
    both, _ = launched(launchpad(wine), {"trees": 0, "max_depth": -1})
    assert both.count(" is ") == 2
    assert "\n" not in both
    assert launched(PartConfig, {"number": 0})[0].startswith("the launchpad: number is 0: input should be greater")
    answer = {"answer": {"why": "", "who": "Ada"}}
    assert launched(ReleaseConfig, answer)[0].startswith("the launchpad: why is '': string should have at least 1")


def test_what_only_the_parameters_know_to_be_wrong_is_a_sentence_too() -> None:
    """With variants a choice is a text in the launchpad, so that the parameters refuse it."""
    iris = replace(workload_of("workloads.iris"), variants={"small": {"trees": 2}})
    said, alone = launched(launchpad(iris), {"model": "magic"}, lambda config: chosen(iris, config))
    assert said.startswith("iris: model is 'magic': input should be 'auto', 'boosting', 'forest' or 'linear'")
    assert alone
