"""Serving of a text model as ONNX, by ONNX Runtime on one thread, its tokenizer stored beside; torch is not loaded.

    class Predictor(TextClassifier):
        pass

Classes, and how long a text may be, come from the model itself.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from tokenizers import Tokenizer

from workloads.sdk import contract
from workloads.sdk.contract import Services
from workloads.sdk.kits import classification, regression

SERVED, TOKENIZER = "model.onnx", "tokenizer.json"
MOST_TEXTS, LONGEST = 200, 10_000  # texts in one request, characters of one
TOGETHER = 32  # texts of about one length that are computed at once

Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class Request(BaseModel):
    """Texts to predict."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[Text] = Field(
        min_length=1,
        max_length=MOST_TEXTS,
        description=f"1 to {MOST_TEXTS} texts of 1 to {LONGEST:,} characters. What is too long for the model to read "
        "is left out at the end.",
    )


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token numbers of each text, at most as many as the tokenizer was stored with; never none."""
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def padded(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token numbers (0 where a text has ended) and the mask of what is text, both int64 (rows, longest)."""
    longest = max(map(len, ids))
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    mask = np.arange(longest) < lengths[:, None]
    tokens = np.zeros(mask.shape, np.int64)
    tokens[mask] = np.concatenate([np.asarray(each, np.int64) for each in ids])
    return tokens, mask.astype(np.int64)


def in_batches(ids: Sequence[Sequence[int]], size: int) -> list[np.ndarray]:
    """Positions of all texts, in batches of texts of about one length, so that little is padding."""
    order = np.argsort([len(each) for each in ids], kind="stable")
    return [order[at : at + size] for at in range(0, len(order), size)]


class TextPredictor(contract.Predictor):
    """Rows are texts, a list of strings; outputs are float32 (rows, k)."""

    Request = Request

    def __init__(self, session: InferenceSession, tokenizer: Tokenizer):
        self.session, self.tokenizer = session, tokenizer
        self.about: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map["about"])

    @classmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = InferenceSession(artifacts / SERVED, options, providers=["CPUExecutionProvider"])
        return cls(session, Tokenizer.from_file(str(artifacts / TOKENIZER)))

    def inputs(self, request: Any) -> list[str]:
        return request.texts

    def outputs(self, inputs: Sequence[str]) -> np.ndarray:
        ids = encode(self.tokenizer, inputs)
        outputs = np.empty((len(ids), self.about["outputs"]), np.float32)
        for batch in in_batches(ids, TOGETHER):
            tokens, mask = padded([ids[at] for at in batch])
            outputs[batch] = self.session.run(["outputs"], {"ids": tokens, "mask": mask})[0]
        return outputs


class TextClassifier(TextPredictor):
    """Outputs are probabilities, float32 (rows, classes)."""

    Prediction = classification.Prediction

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return classification.answers(outputs, self.about["classes"])


class TextRegressor(TextPredictor):
    """Outputs are estimates, float32 (rows, 1)."""

    Prediction = regression.Prediction

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return regression.answers(outputs)
