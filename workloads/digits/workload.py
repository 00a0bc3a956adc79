"""Digits: which digit somebody wrote; a small convolutional network with Lightning, in three sizes at once."""

from pydantic import Field

from workloads.digits.data_parameters import DigitsData
from workloads.sdk.contract import Data, Gates, Metric, Parity, Slice, Workload
from workloads.sdk.kits.parameters import FitParameters


class DigitsParameters(FitParameters):
    """Parameters of the model: fields of the launchpad, and flags of the training program."""

    epochs: int = Field(15, ge=1, le=200, description="Times that training goes through all its rows.")
    channels: int = Field(
        16, ge=1, le=256, description="Channels of the first convolution; the second has twice as many."
    )
    hidden: int = Field(64, ge=2, le=1024, description="Width of the linear layer before the last.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of values that each step of training leaves out.")


workload = Workload(
    name="digits",
    description="Tells which digit was written by hand.",
    data=Data("digits", "Pictures of handwritten digits, by their digit.", parameters=DigitsData),
    parameters=DigitsParameters,
    variants={
        "small": {"channels": 8, "hidden": 32},
        "wide": {"channels": 32, "hidden": 128},
        "dropout": {"channels": 32, "hidden": 128, "dropout": 0.3},
    },
    metrics=[
        Metric("accuracy", "Share of rows whose class is predicted right."),
        Metric("log_loss", "Mean of -log of the probability given to the true class.", False, "nat"),
    ],
    gates=Gates(
        metric="accuracy",
        floor=0.93,
        margin=0.02,
        latency_ms=50,
        slices=[Slice("target", floor=0.7)],
        golden="golden.json",
    ),
    gates_by_source={
        "mnist": Gates(metric="accuracy", floor=0.98, margin=0.003, latency_ms=50, slices=[Slice("target", floor=0.95)])
    },
    parity=Parity("train:reference", tolerance=1e-4),
    owners=["team:mlops"],
    kinds=frozenset({"pytorch", "onnx"}),
)
