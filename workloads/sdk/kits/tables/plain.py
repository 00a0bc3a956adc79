"""Training and serving of a model that is some NumPy arrays, kept in one `.npz` file and never unpickled.

A workload brings two functions: `fit(rows, wanted, parameters) -> arrays by name` and `outputs(arrays, rows)`, and its
predictor is made of one of the classes below:

    class Predictor(Classifier):
        Request = Request

        def outputs(self, inputs):
            return outputs(self.model, inputs)
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel

from workloads.sdk import contract
from workloads.sdk.contract import TRAIN, Services, TrainingJob, TrainingResult
from workloads.sdk.kits import classification, regression
from workloads.sdk.kits.tables.requests import rows_of
from workloads.sdk.kits.tables.tabular import features, targets

MODEL = "model.npz"
COLUMNS, CLASSES = "_columns", "_classes"  # beside the model's own arrays

Arrays = Mapping[str, np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, Any], Arrays]
Outputs = Callable[[Arrays, np.ndarray], np.ndarray]


def train(job: TrainingJob, fit: Fit, outputs: Outputs, classes: Sequence[str] | None = None) -> TrainingResult:
    """Fit on the training split, and write the arrays, with columns and classes beside them.

    `fit` gets float32 rows (rows, columns), and the position of each row's class (int64), or its number (float64).
    """
    rows, columns = features(job.data[TRAIN])
    wanted = targets(job.data[TRAIN])
    job.progress(0.1, f"fitting to {len(rows)} rows of {len(columns)} columns")
    model = fit(rows, wanted if classes is None else classification.indices(wanted, classes), job.parameters)
    beside = {COLUMNS: np.asarray(columns)} | ({} if classes is None else {CLASSES: np.asarray(classes)})
    arrays: dict[str, Any] = {**model, **beside}
    np.savez(job.artifacts / MODEL, **arrays)
    found = outputs(model, rows)
    if classes is None:
        return TrainingResult(metrics={"train_r2": float(regression.evaluate(found, wanted).scores["r2"].mean())})
    right = classification.evaluate(found, wanted, classes).scores["accuracy"]
    return TrainingResult(metrics={"train_accuracy": float(right.mean())})


class PlainPredictor(contract.Predictor):
    """Rows are float32 (rows, columns), the request's field `features`; `model` holds the arrays."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.columns: list[str] = arrays.pop(COLUMNS).tolist()
        self.classes: list[str] = arrays.pop(CLASSES).tolist() if CLASSES in arrays else []
        self.model = arrays

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        with np.load(artifacts / MODEL, allow_pickle=False) as arrays:
            return cls(dict(arrays))

    def inputs(self, request: BaseModel) -> np.ndarray:
        return rows_of(request, self.columns)


class Classifier(PlainPredictor):
    """Outputs are probabilities, float32 (rows, classes)."""

    Prediction = classification.Prediction

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return classification.answers(outputs, self.classes)


class Regressor(PlainPredictor):
    """Outputs are estimates, float32 (rows, 1)."""

    Prediction = regression.Prediction

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return regression.answers(outputs)
