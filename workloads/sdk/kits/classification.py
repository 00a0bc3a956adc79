"""Telling one of some classes: row scores, pictures, and the form of the answers.

Outputs are probabilities, float32 (rows, classes); targets are the classes' names, an array of strings (rows,).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from workloads.sdk import plots
from workloads.sdk.contract import Evaluation

LEAST = 1e-6  # a probability of 0 would make the loss of one row infinite
SHOWN = 30  # classes that a picture has room for


def evaluate(
    outputs: np.ndarray,
    targets: np.ndarray,
    classes: Sequence[str] | None,
    slices: Mapping[str, np.ndarray] | None = None,
) -> Evaluation:
    """Score each row: `accuracy` (1 where the most probable class is right), `balanced_accuracy` and `log_loss`.

    The mean of the second is that of the classes' recall (Brodersen et al. 2010): a row counts for as much as its class
    has fewer rows than the others, of the classes that the split has.

    Args:
        classes: the name of each column of the outputs.
        slices: columns of strings to cut the rows by, besides `target`.
    """
    assert classes is not None  # of a table whose target is a number it is None
    true = indices(targets, classes)
    given = outputs[np.arange(len(true)), true].astype(np.float64)
    right = (outputs.argmax(axis=1) == true).astype(np.float64)
    return Evaluation(
        scores={
            "accuracy": right,
            "balanced_accuracy": right * even(true, len(classes))[true],
            "log_loss": -np.log(given.clip(LEAST)),
        },
        slices={"target": np.asarray(targets, str), **(slices or {})},
    )


def even(positions: np.ndarray, classes: int) -> np.ndarray:
    """A weight of each class, float64 (classes,), by which those that there are count as much as any other.

    Over the rows they are 1 on average.

    Args:
        positions: of each row's class, int64 (rows,).
    """
    counts = np.bincount(positions, minlength=classes)
    return len(positions) / (max(1, np.count_nonzero(counts)) * counts.clip(1))


def plot(outputs: np.ndarray, targets: np.ndarray, classes: Sequence[str] | None, out: Path) -> None:
    """Draw the matrix of confusions and the accuracy of each class; of many classes, only the worst."""
    assert classes is not None
    true, predicted = indices(targets, classes), outputs.argmax(axis=1)
    if len(classes) <= SHOWN:
        plots.confusion_matrix(true, predicted, classes, out / "confusion_matrix.png")
    right = {classes[at]: (true == predicted)[true == at] for at in np.unique(true).tolist()}
    worst = sorted(right, key=lambda name: right[name].mean())[:SHOWN]
    plots.bars(
        {name: float(right[name].mean()) for name in worst},
        {name: len(right[name]) for name in worst},
        "Accuracy by class",
        "share of rows predicted right",
        out / "accuracy_by_class.png",
    )


def indices(targets: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The position of each target among the classes. Raises ValueError for one that is none of them."""
    index = {name: at for at, name in enumerate(classes)}
    if unknown := sorted(set(targets.tolist()) - index.keys()):
        raise ValueError(f"{unknown[0]!r} is none of the classes {', '.join(classes)}")
    return np.array([index[name] for name in targets.tolist()])


class Prediction(BaseModel):
    """The answer to one row."""

    label: str = Field(description="The most probable class.")
    confidence: float = Field(description="Its probability, from 0 to 1.")
    probabilities: dict[str, float] = Field(description="Probability of every class.")


def answers(outputs: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One `Prediction` per row."""
    best = outputs.argmax(axis=1).tolist()
    return [
        {"label": classes[at], "confidence": row[at], "probabilities": dict(zip(classes, row, strict=True))}
        for at, row in zip(best, outputs.astype(np.float64).round(6).tolist(), strict=True)
    ]
