"""What wine's endpoint reads and answers; the model is the ONNX form."""

from pydantic import BaseModel, ConfigDict, Field

from workloads.sdk.arrays import matrix
from workloads.sdk.kits.tables.onnx import Classifier


class Request(BaseModel):
    """Rows to predict: numbers in the order of the model's columns, which the error for a wrong width names."""

    model_config = ConfigDict(extra="forbid")

    features: matrix(None) = Field(description="1 to 1000 rows of finite numbers.")


class Predictor(Classifier):
    """Tells each row's class, and the probability of every class."""

    Request = Request
