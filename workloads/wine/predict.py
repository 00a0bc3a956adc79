"""Wine's served form: the ONNX model, by ONNX Runtime on one thread. Neither scikit-learn nor skops is loaded."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from pydantic import BaseModel, ConfigDict, Field

from workloads import contract
from workloads.contract import InvalidInput, Services
from workloads.serving.schema import matrix


class Request(BaseModel):
    """Rows to predict: numbers in the order of the model's columns, which the error for a wrong width names."""

    model_config = ConfigDict(extra="forbid")

    features: matrix(None) = Field(description="1 to 1000 rows of finite numbers.")


class Prediction(BaseModel):
    """The answer to one row."""

    label: str = Field(description="The most probable class.")
    confidence: float = Field(description="Its probability, from 0 to 1.")
    probabilities: dict[str, float] = Field(description="Probability of every class.")


class Predictor(contract.Predictor):
    """Rows are float32 (rows, columns); outputs are probabilities, float32 (rows, classes)."""

    Request = Request
    Prediction = Prediction

    def __init__(self, session: InferenceSession):
        meta = session.get_modelmeta().custom_metadata_map
        self.session = session
        self.columns: list[str] = json.loads(meta["columns"])
        self.classes: list[str] = json.loads(meta["classes"])
        self.known: list[int] = json.loads(meta["known"])

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return cls(InferenceSession(artifacts / "model.onnx", options, providers=["CPUExecutionProvider"]))

    def inputs(self, request: Request) -> np.ndarray:
        rows = request.features
        if rows.shape[1] != len(self.columns):
            names = ", ".join(self.columns)
            raise InvalidInput(
                "features", f"rows have {rows.shape[1]} numbers; {len(self.columns)} are needed: {names}"
            )
        return rows

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        probabilities = self.session.run(["probabilities"], {"features": inputs})[0]
        if len(self.known) == len(self.classes):
            return probabilities
        outputs = np.zeros((len(inputs), len(self.classes)), np.float32)
        outputs[:, self.known] = probabilities  # a class that training never saw has no probability
        return outputs

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        best, names = outputs.argmax(axis=1).tolist(), self.classes
        return [
            {"label": names[at], "confidence": row[at], "probabilities": dict(zip(names, row, strict=True))}
            for at, row in zip(best, outputs.astype(np.float64).round(6).tolist(), strict=True)
        ]
