"""Serving of a table's model as ONNX, by ONNX Runtime on one thread. No training library is loaded.

A workload's own predictor names the request; columns and classes come from the model itself:

    class Predictor(Classifier):
        Request = Request
"""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from pydantic import BaseModel

from workloads.sdk import contract
from workloads.sdk.arrays import with_columns
from workloads.sdk.contract import Services
from workloads.sdk.kits import classification, regression
from workloads.sdk.kits.tables.requests import rows_of
from workloads.sdk.kits.tables.sklearn import SERVED


class OnnxPredictor(contract.Predictor):
    """Rows are float32 (rows, columns), the request's field `features`; outputs are float32 (rows, k)."""

    def __init__(self, session: InferenceSession):
        self.session = session
        self.output = session.get_outputs()[-1].name  # of a classifier's two, label and probabilities, the second
        self.inside: dict[str, Any] = {
            name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()
        }
        self.columns: list[str] = self.inside["columns"]

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return cls(InferenceSession(artifacts / SERVED, options, providers=["CPUExecutionProvider"]))

    def request_schema(self) -> dict[str, Any]:
        schema = super().request_schema()
        return with_columns(schema, "features", self.columns) if "features" in schema["properties"] else schema

    def inputs(self, request: BaseModel) -> np.ndarray:
        return rows_of(request, self.columns)

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run([self.output], {"features": inputs})[0]


class Classifier(OnnxPredictor):
    """Outputs are probabilities, float32 (rows, classes)."""

    Prediction = classification.Prediction

    def __init__(self, session: InferenceSession):
        super().__init__(session)
        self.classes: list[str] = self.inside["classes"]
        self.known: list[int] = self.inside["known"]

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        probabilities = super().outputs(inputs)
        if len(self.known) == len(self.classes):
            return probabilities
        outputs = np.zeros((len(inputs), len(self.classes)), np.float32)
        outputs[:, self.known] = probabilities  # a class that training never saw has no probability
        return outputs

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return classification.answers(outputs, self.classes)


class Regressor(OnnxPredictor):
    """Outputs are estimates, float32 (rows, 1)."""

    Prediction = regression.Prediction

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return regression.answers(outputs)
