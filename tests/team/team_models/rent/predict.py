"""The line, served."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, Field

from workloads import contract
from workloads.contract import Services
from workloads.serving.schema import matrix


class Request(BaseModel):
    flats: matrix(3) = Field(description="Size, age and distance of each flat.")


class Prediction(BaseModel):
    rent: float


class Predictor(contract.Predictor):
    Request = Request
    Prediction = Prediction

    def __init__(self, weights: np.ndarray):
        self.weights = weights

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        return cls(np.asarray(json.loads((artifacts / "line.json").read_text()), np.float32))

    def inputs(self, request: Request) -> np.ndarray:
        return request.flats

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs @ self.weights[:3] + self.weights[3]).reshape(-1, 1).astype(np.float32)

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return [{"rent": rent} for rent in outputs[:, 0].tolist()]
