"""Sugar: a number that is estimated, from the numbers of a row; a forest with scikit-learn."""

from pathlib import Path

from pydantic import Field

from workloads.contract import Data, Gates, Metric, Parameters, Parity, Workload
from workloads.kits.parameters import TableParameters


class SugarData(TableParameters):
    """What makes one version of the data differ from another."""

    csv: Path = Field(
        Path("/tmp/sugar.csv"),
        description="The file; where it changes, the next release of the data has its new content.",
        json_schema_extra={"fetch": True},
    )


class SugarParameters(Parameters):
    """Parameters of the model: fields of the launchpad, and flags of the training program."""

    trees: int = Field(100, ge=1, le=1000, description="Number of trees.")
    max_depth: int | None = Field(None, ge=1, le=64, description="Depth that no tree exceeds; none: no bound.")
    min_samples_leaf: int = Field(1, ge=1, le=100, description="Rows that every leaf must hold at least.")


workload = Workload(
    name="sugar",
    description="Estimates a number from the other columns of the table sugar.",
    data=Data("sugar", "The table sugar.", parameters=SugarData),
    parameters=SugarParameters,
    metrics=[
        Metric("r2", "Share of the target's variance that is explained; 0 is reached by always saying the mean."),
        Metric("absolute_error", "Mean of |target - estimate|.", False, unit=""),  # name the target's unit
    ],
    # The floor is what always saying the mean would reach: raise it to what you need.
    gates=Gates(metric="r2", floor=0.2, margin=0.02, latency_ms=50),
    parity=Parity("train:reference", tolerance=0.0078),
    kinds=frozenset({"scikitlearn", "onnx"}),
)
