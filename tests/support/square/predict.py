"""The predictor: squares of lengths and widths in float32, and their sum in the answer."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from workloads.sdk import contract
from workloads.sdk.arrays import matrix
from workloads.sdk.contract import Services


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: matrix(["length", "width"])


class Prediction(BaseModel):
    sum: float
    note: str | None


class Predictor(contract.Predictor):
    """Adds the squares of each row."""

    Request = Request
    Prediction = Prediction

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        return cls()

    def inputs(self, request: Request) -> np.ndarray:
        return request.rows

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return inputs**2

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        with np.errstate(over="ignore"):
            return [{"sum": float(row.sum()), "note": None} for row in outputs]
