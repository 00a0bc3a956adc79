"""Fashion-MNIST: which kind of clothing a picture shows; a network with Lightning on Ray Train."""

from typing import Literal

from pydantic import Field

from workloads.fashion_mnist.data_parameters import FashionData
from workloads.sdk.contract import Data, Gates, Metric, Parameters, Parity, Slice, Workload


class NetworkParameters(Parameters):
    """A network's parameters."""

    network: Literal["cnn", "resnet18"] = Field(
        "cnn", description="cnn: small and quick. resnet18: 11 million weights."
    )
    epochs: int = Field(2, ge=1, le=200, description="Times that training goes through all its rows.")
    batch_size: int = Field(128, ge=8, le=4096, description="Rows in one step, over all workers together.")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Largest rate of the one-cycle schedule.")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Decay of weights in AdamW.")


workload = Workload(
    name="fashion_mnist",
    description="Tells the kind of clothing on a picture of 28 x 28 grey pixels.",
    data=Data("fashion_mnist", "70,000 pictures of ten kinds of clothing, by Zalando.", parameters=FashionData),
    parameters=NetworkParameters,
    metrics=[
        Metric("accuracy", "Share of rows whose class is predicted right."),
        Metric("log_loss", "Mean of -log of the probability given to the true class.", False, "nat"),
    ],
    gates=Gates(
        metric="accuracy",
        floor=0.85,
        margin=0.01,
        latency_ms=50,
        slices=[Slice("target", floor=0.5)],
        golden="golden.json",
    ),
    parity=Parity("model:reference", tolerance=1e-4),
    tier="cpu-small-distributed",
    owners=["team:mlops"],
    kinds=frozenset({"pytorch", "ray", "onnx"}),
)
