"""How good Fashion-MNIST's outputs are, row by row, and pictures of it."""

from pathlib import Path

import numpy as np

from workloads import plots
from workloads.contract import Evaluation
from workloads.fashion_mnist.data import LABELS, images, targets

LEAST = 1e-6  # a probability of 0 would make the loss of one row infinite


def evaluate(outputs: np.ndarray, split: Path) -> Evaluation:
    """Score probabilities, float32 (rows, 10), for the split's rows."""
    true = targets(split).astype(np.int64)
    given = outputs[np.arange(len(true)), true].astype(np.float64)
    return Evaluation(
        scores={
            "accuracy": (outputs.argmax(axis=1) == true).astype(np.float64),
            "log_loss": -np.log(given.clip(LEAST)),
        },
        slices={"target": np.asarray(LABELS)[true]},
    )


def plot(outputs: np.ndarray, split: Path, out: Path) -> None:
    """Draw the matrix of confusions, the accuracy of each class, and the pictures that were surest and wrong."""
    true, predicted = targets(split).astype(np.int64), outputs.argmax(axis=1)
    plots.confusion_matrix(true, predicted, LABELS, out / "confusion_matrix.png")
    right = {LABELS[at]: (predicted == true)[true == at] for at in np.unique(true).tolist()}
    plots.bars(
        {name: float(hits.mean()) for name, hits in right.items()},
        {name: len(hits) for name, hits in right.items()},
        "Accuracy by class",
        "share of rows predicted right",
        out / "accuracy_by_class.png",
    )
    wrong = np.flatnonzero(predicted != true)
    surest = wrong[np.argsort(-outputs.max(axis=1)[wrong], kind="stable")][:10]
    if len(surest):
        pictures = images(split)[surest].reshape(-1, 28, 28)
        notes = [f"{LABELS[true[at]]},\ntaken for\n{LABELS[predicted[at]]}" for at in surest]
        plots.gallery(pictures, notes, "Mistakes that the model was surest of", out / "surest_mistakes.png")
