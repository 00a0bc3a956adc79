"""What the endpoint reads and answers; the model is the ONNX form."""

from workloads.iris.data import TABLE
from workloads.sdk.kits.tables.onnx import Classifier
from workloads.sdk.kits.tables.requests import request_of


class Predictor(Classifier):
    """Tells each row's class, and the probability of every class."""

    Request = request_of(TABLE.columns)
