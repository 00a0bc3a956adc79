"""What the endpoint reads and answers; the model is the ONNX form, the tokenizer lies beside."""

from workloads.sdk.kits.texts.onnx import TextClassifier


class Predictor(TextClassifier):
    """Tells each text's class, and the probability of every class."""
