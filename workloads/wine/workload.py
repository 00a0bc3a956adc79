"""Wine: which cultivar a wine is made of, from its chemical analysis; a forest with scikit-learn."""

from typing import Literal

from pydantic import Field

from workloads.sdk.contract import Data, Gates, Metric, Parameters, Parity, Slice, Workload
from workloads.wine.data_parameters import WineData


class ForestParameters(Parameters):
    """A random forest's parameters, and how long better ones are searched for."""

    trees: int = Field(
        100, ge=1, le=1000, description="Number of trees.", json_schema_extra={"search": [50, 100, 200, 400]}
    )
    max_depth: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Depth that no tree exceeds; none: no bound.",
        json_schema_extra={"search": [None, 4, 8, 16]},
    )
    min_samples_leaf: int = Field(
        1,
        ge=1,
        le=100,
        description="Rows that every leaf must hold at least.",
        json_schema_extra={"search": {"from": 1, "to": 10}},
    )
    max_features: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of the columns that each split looks at.",
        json_schema_extra={"search": {"from": 0.1, "to": 1.0}},
    )
    search_trials: int = Field(
        0, ge=0, le=1000, description="Forests tried: this one, and others around it. 0: no search."
    )
    search_backend: Literal["auto", "serial", "ray"] = Field(
        "auto", description="How the search runs. auto: whichever is quicker for so many rows, trees and cores."
    )


workload = Workload(
    name="wine",
    description="Tells a wine's class from its chemical analysis, with a random forest.",
    data=Data("wine", "Chemical analyses of wines, with their class.", parameters=WineData),
    parameters=ForestParameters,
    metrics=[
        Metric("accuracy", "Share of rows whose class is predicted right."),
        Metric("log_loss", "Mean of -log of the probability given to the true class.", False, "nat"),
    ],
    gates=Gates(
        metric="accuracy",
        floor=0.85,
        margin=0.05,
        latency_ms=50,
        slices=[Slice("target", floor=0.6), Slice("color_intensity")],
        golden="golden.json",
    ),
    # The score from 3 to 9 that tasters gave is much harder to tell, and some of its values have hardly any rows.
    gates_by_source={
        "quality": Gates(metric="accuracy", floor=0.5, margin=0.02, latency_ms=50, slices=[Slice("wine_type", 0.4)])
    },
    parity=Parity("train:reference", tolerance=1e-5),
    owners=["team:mlops"],
    kinds=frozenset({"scikitlearn", "onnx"}),
)
