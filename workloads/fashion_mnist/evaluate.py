"""How good Fashion-MNIST's outputs are, row by row, and pictures of it."""

from pathlib import Path

import numpy as np

from workloads.fashion_mnist.data import LABELS
from workloads.sdk.contract import Evaluation
from workloads.sdk.kits import classification
from workloads.sdk.kits.images import pictures


def evaluate(outputs: np.ndarray, split: Path) -> Evaluation:
    """Score probabilities, float32 (rows, 10), for the split's rows."""
    return classification.evaluate(outputs, pictures.names(split, LABELS), LABELS)


def plot(outputs: np.ndarray, split: Path, out: Path) -> None:
    """Draw the matrix of confusions, the accuracy of each class, and the pictures that were surest and wrong."""
    classification.plot(outputs, pictures.names(split, LABELS), LABELS, out)
    pictures.surest_mistakes(outputs, split, LABELS, out / "surest_mistakes.png")
