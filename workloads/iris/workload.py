"""Iris: which species a flower is of, from the size of its leaves; written by `mlops new iris --kind sklearn`."""

from typing import Literal

from pydantic import Field

from workloads.sdk.contract import Data, Gates, Metric, Parameters, Parity, Workload
from workloads.sdk.kits.parameters import TableParameters


class IrisParameters(Parameters):
    """Parameters of the model: fields of the launchpad, and flags of the training program."""

    model: Literal["auto", "boosting", "forest", "linear"] = Field(
        "auto", description="auto: the best of the others, by rows that none has learned from."
    )
    trees: int = Field(100, ge=1, le=1000, description="Number of trees.")
    max_depth: int | None = Field(None, ge=1, le=64, description="Depth that no tree exceeds; none: no bound.")


workload = Workload(
    name="iris",
    description="Tells an iris's species from the size of its petals and sepals.",
    data=Data("iris", "Measurements of 150 irises, with their species (Fisher 1936).", parameters=TableParameters),
    parameters=IrisParameters,
    metrics=[
        Metric("accuracy", "Share of rows whose class is predicted right."),
        Metric("log_loss", "Mean of -log of the probability given to the true class.", False, "nat"),
    ],
    # A test split of some 40 rows cannot show small differences: a model with three more wrong is no worse for certain.
    gates=Gates(metric="accuracy", floor=0.85, margin=0.05, latency_ms=50),
    parity=Parity("train:reference", tolerance=1e-05),
    kinds=frozenset({"scikitlearn", "onnx"}),
)
