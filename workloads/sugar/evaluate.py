"""How good the outputs are, row by row, and pictures of it."""

from pathlib import Path

import numpy as np

from workloads.contract import Evaluation
from workloads.kits import regression
from workloads.sugar.data import TABLE, targets


def evaluate(outputs: np.ndarray, split: Path) -> Evaluation:
    """Score estimates, float32 (rows, 1), for the split's rows."""
    return regression.evaluate(outputs, targets(split))


def plot(outputs: np.ndarray, split: Path, out: Path) -> None:
    """Draw estimates against true values, and the errors."""
    regression.plot(outputs, targets(split), out, TABLE.target)
