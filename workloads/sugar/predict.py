"""What the endpoint reads and answers; the model is the ONNX form."""

from pydantic import BaseModel, ConfigDict, Field

from workloads.kits.onnx import Regressor
from workloads.serving.schema import matrix
from workloads.sugar.data import TABLE


class Request(BaseModel):
    """Rows to predict."""

    model_config = ConfigDict(extra="forbid")

    features: matrix(TABLE.names) = Field(description="1 to 1000 rows of finite numbers, in the order of the columns.")


class Predictor(Regressor):
    """Estimates a number for each row."""

    Request = Request
