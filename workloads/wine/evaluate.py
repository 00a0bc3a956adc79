"""How good wine's outputs are, row by row, and pictures of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workloads import plots
from workloads.contract import Evaluation
from workloads.wine.data import LABELS, QUALITY_RANGES, features, targets

LEAST = 1e-6  # a probability of 0 would make the loss of one row infinite


def classes_of(columns: Sequence[str]) -> list[str]:
    """All classes of the source with these columns; column k of the outputs is class k, seen in training or not."""
    return list(LABELS["quality" if set(columns) == set(QUALITY_RANGES) else "scikit-learn"])


def evaluate(outputs: np.ndarray, split: Path) -> Evaluation:
    """Score probabilities, float32 (rows, classes), for the split's rows."""
    wanted = targets(split)
    true = _indices(wanted, split)
    given = outputs[np.arange(len(true)), true].astype(np.float64)
    return Evaluation(
        scores={
            "accuracy": (outputs.argmax(axis=1) == true).astype(np.float64),
            "log_loss": -np.log(given.clip(LEAST)),
        },
        slices={"target": wanted},
    )


def plot(outputs: np.ndarray, split: Path, out: Path) -> None:
    """Draw the matrix of confusions and the accuracy of each class."""
    wanted, true, predicted = targets(split), _indices(targets(split), split), outputs.argmax(axis=1)
    plots.confusion_matrix(true, predicted, classes_of(features(split)[1]), out / "confusion_matrix.png")
    right = {name: (true == predicted)[wanted == name] for name in np.unique(wanted).tolist()}
    plots.bars(
        {name: float(hits.mean()) for name, hits in right.items()},
        {name: len(hits) for name, hits in right.items()},
        "Accuracy by class",
        "share of rows predicted right",
        out / "accuracy_by_class.png",
    )


def _indices(wanted: np.ndarray, split: Path) -> np.ndarray:
    index = {name: at for at, name in enumerate(classes_of(features(split)[1]))}
    return np.array([index[name] for name in wanted.tolist()])
