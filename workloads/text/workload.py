"""Text: which library a docstring is of; a small DistilBERT, its parameters found by Ray Tune."""

from typing import Literal

from pydantic import Field

from workloads.sdk.contract import Data, Gates, Metric, Parity, Slice, Workload
from workloads.sdk.kits.texts.transformer_parameters import TransformerParameters
from workloads.text.data_parameters import TextData


class SearchParameters(TransformerParameters):
    """A network's parameters, and how long better ones are searched for."""

    network: Literal["auto", "small", "distilbert-base-uncased"] = Field(
        "auto",
        description="small: fresh weights, sizes as given. distilbert-base-uncased: the published weights, from the "
        "hub, with a twentieth of the learning rate. auto: small for docstrings, the published ones for emotion.",
    )
    trials: int = Field(16, ge=1, le=256, description="Candidates tried: these parameters, and others around them.")
    early_stopping: bool = Field(True, description="Whether ASHA stops trials that promise less than others.")


workload = Workload(
    name="text",
    description="Tells which Python library a docstring is of.",
    data=Data("text", "Docstrings of ten Python libraries, their names masked.", parameters=TextData),
    parameters=SearchParameters,
    metrics=[
        Metric("accuracy", "Share of rows whose class is predicted right."),
        Metric("log_loss", "Mean of -log of the probability given to the true class.", False, "nat"),
    ],
    gates=Gates(
        metric="accuracy",
        floor=0.65,
        margin=0.02,
        latency_ms=50,
        slices=[Slice("target", floor=0.4)],
        golden="golden.json",
    ),
    gates_by_source={"emotion": Gates(metric="accuracy", floor=0.85, margin=0.01, latency_ms=200)},
    parity=Parity("train:reference", tolerance=1e-4),
    tier="cpu-small-distributed",
    owners=["team:mlops"],
    kinds=frozenset({"pytorch", "ray", "onnx"}),
)
