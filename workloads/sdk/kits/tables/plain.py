"""Training and serving of a model that is some NumPy arrays, kept in one `.npz` file and never unpickled.

It gets numbers alone: what turns a table's words and missing cells into these lies beside it (`encoder.py`).

A workload brings two functions: `fit(rows, wanted, parameters) -> arrays by name` and `outputs(arrays, rows)`, and its
predictor is made of one of the classes below:

    class Predictor(Classifier):
        Request = request_of(TABLE.columns)

        def outputs(self, inputs):
            return outputs(self.model, self.encode(inputs))
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from workloads.sdk.contract import TRAIN, Services, TrainingJob, TrainingResult
from workloads.sdk.kits import classification, regression
from workloads.sdk.kits.tables.columns import column_of
from workloads.sdk.kits.tables.encoder import Encoder, fit_encoder
from workloads.sdk.kits.tables.predictor import TablePredictor
from workloads.sdk.kits.tables.rows import Columns
from workloads.sdk.kits.tables.tabular import columns_of, rows, targets

MODEL = "model.npz"
COLUMNS, CLASSES = "_columns", "_classes"  # beside the model's own arrays

Arrays = Mapping[str, np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, Any], Arrays]
Outputs = Callable[[Arrays, np.ndarray], np.ndarray]


def train(job: TrainingJob, fit: Fit, outputs: Outputs, classes: Sequence[str] | None = None) -> TrainingResult:
    """Fit on the training split, and write the arrays, with columns and classes beside them.

    `fit` gets float32 rows (rows, numbers), and the position of each row's class (int64), or its number (float64).
    """
    table, columns = rows(job.data[TRAIN]), columns_of(job.data[TRAIN])
    wanted = targets(job.data[TRAIN])
    job.progress(0.1, f"fitting to {len(table)} rows of {len(columns)} columns")
    numbers = fit_encoder(table, job.artifacts)(table)
    model = fit(numbers, wanted if classes is None else classification.indices(wanted, classes), job.parameters)
    declared = json.dumps({name: column.declared() for name, column in columns.items()})
    beside = {COLUMNS: np.asarray(declared)} | ({} if classes is None else {CLASSES: np.asarray(classes)})
    arrays: dict[str, Any] = {**model, **beside}
    np.savez(job.artifacts / MODEL, **arrays)
    found = outputs(model, numbers)
    if classes is None:
        return TrainingResult(metrics={"train_r2": float(regression.evaluate(found, wanted).scores["r2"].mean())})
    right = classification.evaluate(found, wanted, classes).scores["accuracy"]
    return TrainingResult(metrics={"train_accuracy": float(right.mean())})


class PlainPredictor(TablePredictor):
    """`encode` makes float32 (rows, numbers) of the inputs, and `model` holds the arrays."""

    def __init__(self, arrays: dict[str, np.ndarray], encode: Encoder):
        declared = json.loads(arrays.pop(COLUMNS).item())
        self.columns: Columns = {name: column_of(column) for name, column in declared.items()}
        self.encode = encode
        self.classes: list[str] = arrays.pop(CLASSES).tolist() if CLASSES in arrays else []
        self.model = arrays

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        with np.load(artifacts / MODEL, allow_pickle=False) as arrays:
            return cls(dict(arrays), Encoder(artifacts))


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
