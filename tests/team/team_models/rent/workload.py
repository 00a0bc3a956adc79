"""Rents of flats by size, age and distance: a regression of a team's own repository."""

from pydantic import Field

from workloads.contract import Data, DataParameters, Gates, Metric, Parameters, Workload


class RentData(DataParameters):
    """What makes one version of the rents differ from another."""

    flats: int = Field(600, ge=100, le=100_000, json_schema_extra={"fetch": True}, description="Number of flats.")


class LineParameters(Parameters):
    """Parameters of the line."""

    ridge: float = Field(0.1, ge=0, le=1e6, description="How much large weights are punished.")


workload = Workload(
    name="rent",
    description="Tells a flat's rent from size, age and distance, with a straight line.",
    data=Data("rent", "Rents of made-up flats.", parameters=RentData),
    parameters=LineParameters,
    metrics=[Metric("squared_error", "Mean squared error.", higher_is_better=False, unit="EUR²")],
    gates=Gates(metric="squared_error", floor=900, margin=200, latency_ms=50),
    plot=None,
    owners=["team:rents"],
)
