"""Serving of a table's model as ONNX, by ONNX Runtime on one thread. No training library is loaded.

A workload's own predictor names the request; columns and classes come from the model itself:

    class Predictor(Classifier):
        Request = request_of(TABLE.columns)
"""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from onnxruntime import InferenceSession, SessionOptions

from workloads.sdk.contract import Services
from workloads.sdk.kits import classification, regression
from workloads.sdk.kits.tables.columns import Number, column_of
from workloads.sdk.kits.tables.encoder import Encoder
from workloads.sdk.kits.tables.predictor import TablePredictor
from workloads.sdk.kits.tables.rows import Columns
from workloads.sdk.kits.tables.sklearn import SERVED


class OnnxPredictor(TablePredictor):
    """Outputs are float32 (rows, k)."""

    def __init__(self, session: InferenceSession, encode: Encoder):
        self.session, self.encode = session, encode
        self.output = session.get_outputs()[-1].name  # of a classifier's two, label and probabilities, the second
        self.inside: dict[str, Any] = {
            name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()
        }
        columns = self.inside["columns"]
        self.columns: Columns = (
            {name: Number() for name in columns}
            if isinstance(columns, list)
            else {name: column_of(declared) for name, declared in columns.items()}
        )

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return cls(
            InferenceSession(artifacts / SERVED, options, providers=["CPUExecutionProvider"]), Encoder(artifacts)
        )

    def outputs(self, inputs: Any) -> np.ndarray:
        return self.session.run([self.output], self.encode.feeds(inputs))[0]


class Classifier(OnnxPredictor):
    """Outputs are probabilities, float32 (rows, classes)."""

    Prediction = classification.Prediction

    def __init__(self, session: InferenceSession, encode: Encoder):
        super().__init__(session, encode)
        self.classes: list[str] = self.inside["classes"]
        self.known: list[int] = self.inside["known"]

    def outputs(self, inputs: Any) -> np.ndarray:
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
