"""What the endpoint reads and answers; the model is the ONNX form."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from workloads.sdk.arrays import either, matrix
from workloads.sdk.contract import InvalidInput
from workloads.sdk.kits.tables.onnx import Classifier

SMALL = matrix(8 * 8, 0, 16, integer=True, shape=(8, 8))
LARGE = matrix(28 * 28, 0, 255, integer=True, shape=(28, 28))


class Request(BaseModel):
    """Pictures of digits, dark on light: 0 is paper, the largest number ink."""

    model_config = ConfigDict(extra="forbid")

    images: either(SMALL, LARGE) = Field(
        description="1 to 1000 pictures: 64 whole numbers from 0 to 16, or 8 lines of 8. A model that was trained on "
        "MNIST takes 784 from 0 to 255, or 28 lines of 28."
    )


class SmallRequest(Request):
    """Pictures of digits, dark on light, as a model takes them that was trained on 8 x 8."""

    images: SMALL


class LargeRequest(Request):
    """Pictures of digits, dark on light, as a model takes them that was trained on 28 x 28."""

    images: LARGE


class Predictor(Classifier):
    """Tells each picture's digit, and the probability of every digit."""

    Request = Request

    def takes(self) -> type[BaseModel]:
        return SmallRequest if len(self.columns) == 8 * 8 else LargeRequest

    def inputs(self, request: BaseModel) -> np.ndarray:
        images: np.ndarray = request.images  # type: ignore[attr-defined]
        if images.shape[1] != len(self.columns):
            side = int(np.sqrt(len(self.columns)))
            raise InvalidInput("images", f"this version was trained on pictures of {side} x {side}")
        return images
