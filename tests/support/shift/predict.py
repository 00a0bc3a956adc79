"""The predictor: an answer tells which version gave it."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from workloads.sdk import contract
from workloads.sdk.arrays import matrix
from workloads.sdk.contract import InvalidInput, Services


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: matrix(2, -1000, 1000)


class Prediction(BaseModel):
    sum: float
    shift: float


class Predictor(contract.Predictor):
    """Adds the version's number to each row's sum."""

    Request = Request
    Prediction = Prediction

    def __init__(self, shift: float):
        self.shift = shift

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        return cls(float((artifacts / "shift.txt").read_text()))

    def inputs(self, request: Request) -> np.ndarray:
        if (request.rows[:, 0] == 666).any():
            raise InvalidInput("rows", "the number 666 is not known to this model")
        return request.rows

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        return inputs.sum(axis=1, keepdims=True) + np.float32(self.shift)

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return [{"sum": float(row[0]), "shift": self.shift} for row in outputs]
