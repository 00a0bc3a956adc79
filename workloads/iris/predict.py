"""What the endpoint reads and answers; the model is the ONNX form."""

from pydantic import BaseModel, ConfigDict, Field

from workloads.iris.data import TABLE
from workloads.sdk.arrays import matrix
from workloads.sdk.kits.tables.onnx import Classifier


class Request(BaseModel):
    """Rows to predict."""

    model_config = ConfigDict(extra="forbid")

    features: matrix(TABLE.names) = Field(description="1 to 1000 rows of finite numbers, in the order of the columns.")


class Predictor(Classifier):
    """Tells each row's class, and the probability of every class."""

    Request = Request
