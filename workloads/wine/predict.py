"""What wine's endpoint reads and answers; the model is the ONNX form."""

from workloads.sdk.kits.tables.onnx import Classifier


class Predictor(Classifier):
    """Tells each row's class, and the probability of every class; the model knows its columns."""
