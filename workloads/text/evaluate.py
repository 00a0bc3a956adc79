"""How good the outputs are, row by row, and pictures of it."""

from pathlib import Path

import numpy as np

from workloads.sdk.contract import Evaluation
from workloads.sdk.kits import classification
from workloads.text.data import classes_of, targets


def evaluate(outputs: np.ndarray, split: Path) -> Evaluation:
    """Score probabilities, float32 (rows, classes), for the split's rows."""
    return classification.evaluate(outputs, targets(split), classes_of(split))


def plot(outputs: np.ndarray, split: Path, out: Path) -> None:
    """Draw the matrix of confusions and the accuracy of each class."""
    classification.plot(outputs, targets(split), classes_of(split), out)
