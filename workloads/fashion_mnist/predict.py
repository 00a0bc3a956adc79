"""Fashion-MNIST's served form: the ONNX model, by ONNX Runtime on one thread. torch is not loaded."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from pydantic import BaseModel, ConfigDict, Field

from workloads.sdk import contract
from workloads.sdk.arrays import matrix
from workloads.sdk.contract import Services


class Request(BaseModel):
    """Pictures to predict."""

    model_config = ConfigDict(extra="forbid")

    images: matrix(784, 0, 255, integer=True, shape=(28, 28)) = Field(
        description="1 to 1000 pictures, each of 784 pixels or 28 lines of 28, whole numbers from 0 (black) to 255."
    )


class Prediction(BaseModel):
    """The answer to one picture."""

    class_id: int = Field(description="Number of the most probable class.")
    class_name: str = Field(description="Its name.")
    confidence: float = Field(description="Its probability, from 0 to 1.")
    probabilities: dict[str, float] = Field(description="Probability of every class, by name.")


class Predictor(contract.Predictor):
    """Rows are pixels, uint8 (rows, 784); outputs are probabilities, float32 (rows, 10)."""

    Request = Request
    Prediction = Prediction

    def __init__(self, session: InferenceSession):
        self.session = session
        self.labels: list[str] = json.loads(session.get_modelmeta().custom_metadata_map["labels"])

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return cls(InferenceSession(artifacts / "model.onnx", options, providers=["CPUExecutionProvider"]))

    def inputs(self, request: Any) -> np.ndarray:
        return request.images

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(["outputs"], {"features": inputs})[0]

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        best, names = outputs.argmax(axis=1).tolist(), self.labels
        return [
            {
                "class_id": at,
                "class_name": names[at],
                "confidence": row[at],
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for at, row in zip(best, outputs.astype(np.float64).round(6).tolist(), strict=True)
        ]
