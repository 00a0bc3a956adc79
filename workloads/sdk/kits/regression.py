"""Estimating a number: row scores, pictures, and the form of the answers.

Outputs are estimates, float32 (rows, 1); targets are numbers, float64 (rows,).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from workloads.sdk import plots
from workloads.sdk.contract import Evaluation


def evaluate(outputs: np.ndarray, targets: np.ndarray, slices: Mapping[str, np.ndarray] | None = None) -> Evaluation:
    """Score each row: `absolute_error`, and `r2` as 1 - (target - estimate)² / variance of the split's targets.

    The mean of the latter is the coefficient of determination (Wright 1921), so it has row scores and no unit.

    Raises:
        ValueError: all targets are equal.
    """
    errors = targets - outputs[:, 0].astype(np.float64)
    variance = float(np.var(targets))
    if not variance:
        raise ValueError("all targets of the split are equal: there is nothing to tell")
    return Evaluation(scores={"r2": 1 - errors**2 / variance, "absolute_error": np.abs(errors)}, slices=slices or {})


def plot(outputs: np.ndarray, targets: np.ndarray, out: Path, name: str = "target") -> None:
    """Draw estimates against targets, and the distribution of the errors; `name` is what is estimated."""
    plots.estimates(targets, outputs[:, 0], name, out / "estimates.png")


class Prediction(BaseModel):
    """The answer to one row."""

    estimate: float = Field(description="The number that is expected, in the target's own unit.")


def answers(outputs: np.ndarray) -> list[dict[str, Any]]:
    """One `Prediction` per row, with the six digits that a float32 surely holds."""
    return [{"estimate": float(f"{value:.6g}")} for value in outputs[:, 0].tolist()]
