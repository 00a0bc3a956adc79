"""What is learned of a table's columns before any model: a number for what is missing, and the words that there are.

Fitted on the training rows only, and a part of the artifact: inside the ONNX form of a scikit-learn model, beside the
model of any other kind, which gets numbers alone.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk.kits.tables.rows import Rows

ENCODER = "encoder.onnx"
ONNX_OPSETS = {"": 17, "ai.onnx.ml": 3}
MOST_WORDS = 100  # of a column that get a number of their own, the most frequent ones


def prepared(estimator: Any, rows: Rows) -> Any:
    """The estimator behind what turns rows into numbers, not fitted yet.

    Histogram gradient boosting learns from missing numbers as they are; all others get the median in their place.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import Pipeline, make_pipeline

    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    native = isinstance(last, HistGradientBoostingClassifier | HistGradientBoostingRegressor)
    if native and not rows.words.shape[1]:
        return estimator
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    return make_pipeline(encoder(rows, impute=not native), *steps)


def encoder(rows: Rows, impute: bool = True) -> Any:
    """From numbers and words to numbers, a `ColumnTransformer`: a 0 or 1 for each word that training rows have."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    numbers, words = rows.numbers.shape[1], rows.words.shape[1]
    number = SimpleImputer(strategy="median", keep_empty_features=True) if impute else "passthrough"
    known = [_known(column) for column in rows.words.T]
    word = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    parts = [("numbers", number, list(range(numbers))), ("words", word, list(range(numbers, numbers + words)))]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def _known(column: np.ndarray) -> np.ndarray:
    """A column's most frequent words, in alphabetical order; "" is one, where a cell is missing."""
    counts = Counter(column.tolist())
    return np.asarray(sorted(sorted(counts, key=lambda word: (-counts[word], word))[:MOST_WORDS]), object)


def frame(rows: Rows, names: Any = None) -> Any:
    """Rows as pandas has them, numbers first."""
    import pandas as pd

    numbers = pd.DataFrame(rows.numbers)
    table = pd.concat([numbers, pd.DataFrame(rows.words)], axis=1) if rows.words.shape[1] else numbers
    return table.set_axis(list(names) if names is not None else list(map(str, range(table.shape[1]))), axis=1)


def initial_types(rows: Rows) -> list[tuple[str, Any]]:
    """The inputs of an ONNX form that takes such rows."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = [("features", FloatTensorType, rows.numbers.shape[1]), ("words", StringTensorType, rows.words.shape[1])]
    return [(name, kind([None, width])) for name, kind, width in kinds if width]


# --- for models that take numbers alone -----------------------------------------------------------------------------


def fit_encoder(rows: Rows, artifacts: Path) -> "Encoder":
    """Fit to the training rows, write it beside the model, and read it as the served form does."""
    from skl2onnx import to_onnx

    fitted = encoder(rows).fit(frame(rows))
    model = to_onnx(fitted, name="encoder", initial_types=initial_types(rows), target_opset=ONNX_OPSETS)
    (artifacts / ENCODER).write_bytes(model.SerializeToString())
    return Encoder(artifacts)


class Encoder:
    """From rows to float32 (rows, numbers), by the form that lies beside the model; without one there is nothing to do.

    A scikit-learn model has it inside, and what takes no rows of a table needs none.
    """

    def __init__(self, artifacts: Path):
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = artifacts / ENCODER
        self._session = InferenceSession(file, options, providers=["CPUExecutionProvider"]) if file.exists() else None

    def __call__(self, inputs: Any) -> np.ndarray:
        if not isinstance(inputs, Rows):
            return inputs
        return inputs.numbers if self._session is None else self._session.run(None, _apart(inputs))[0]

    def feeds(self, inputs: Any) -> dict[str, np.ndarray]:
        """The same as inputs of the model's own session."""
        alone = self._session is None and isinstance(inputs, Rows)
        return _apart(inputs) if alone else {"features": self(inputs)}


def _apart(rows: Rows) -> dict[str, np.ndarray]:
    given = {"features": rows.numbers, "words": rows.words}
    return {name: values for name, values in given.items() if values.shape[1]}
