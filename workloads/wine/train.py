"""Trains wine's random forest: `python -m workloads.wine.train --max-depth 5` (a second on one core).

float32 throughout and no scaler before the trees: so the ONNX form decides exactly as the trained one does.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from workloads.contract import TRAIN, TrainingJob, TrainingResult
from workloads.training import main
from workloads.wine.data import features, targets
from workloads.wine.evaluate import classes_of

TRUSTED = [
    "sklearn.tree._tree.Tree"
]  # what a stored forest may hold beyond skops' own list; never what a file asks for
ONNX_OPSETS = {"": 17, "ai.onnx.ml": 3}


def train(job: TrainingJob) -> TrainingResult:
    """Fit on the training split; write `model.skops` and the served `model.onnx`, columns and classes inside both."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import Pipeline

    rows, columns = features(job.data[TRAIN])
    wanted = targets(job.data[TRAIN])
    parameters = job.parameters
    job.progress(0.1, f"fitting {parameters.trees} trees to {len(rows)} rows of {len(columns)} columns")
    forest = RandomForestClassifier(
        n_estimators=parameters.trees,
        max_depth=parameters.max_depth,
        min_samples_leaf=parameters.min_samples_leaf,
        max_features=parameters.max_features,
        random_state=parameters.seed,
    )
    pipeline = Pipeline([("forest", forest)]).fit(_frame(rows, columns), wanted)
    metrics = {
        "train_accuracy": pipeline.score(_frame(rows, columns), wanted),
        "nodes": float(sum(tree.tree_.node_count for tree in forest.estimators_)),
    }
    job.progress(0.7, "writing both forms")
    (job.artifacts / "model.skops").write_bytes(_skops(pipeline))
    (job.artifacts / "model.onnx").write_bytes(_onnx(pipeline, columns))
    return TrainingResult(metrics=metrics)


def reference(artifacts: Path, inputs: np.ndarray) -> np.ndarray:
    """Probabilities by the trained form, float32 (rows, classes), for float32 inputs (rows, columns)."""
    import skops.io

    pipeline = skops.io.load(artifacts / "model.skops", trusted=TRUSTED)
    columns = pipeline.feature_names_in_
    known = _known(pipeline, columns)
    outputs = np.zeros((len(inputs), len(classes_of(columns))), np.float32)
    outputs[:, known] = pipeline.predict_proba(_frame(inputs, columns))
    return outputs


def _known(pipeline: Any, columns: Any) -> list[int]:
    """Positions among all classes of those that training saw; a small or old version of the data may lack some."""
    classes = classes_of(columns)
    return [classes.index(name) for name in pipeline.classes_.tolist()]


def _frame(rows: np.ndarray, columns: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns))


def _onnx(pipeline: Any, columns: list[str]) -> bytes:
    from onnx.helper import set_model_props
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    model = to_onnx(
        pipeline,
        name="wine",
        initial_types=[("features", FloatTensorType([None, len(columns)]))],
        options={"zipmap": False},
        target_opset=ONNX_OPSETS,
    )
    inside = {"columns": columns, "classes": classes_of(columns), "known": _known(pipeline, columns)}
    set_model_props(model, {name: json.dumps(value) for name, value in inside.items()})
    return model.SerializeToString()


def _skops(pipeline: Any) -> bytes:
    """The pipeline as a skops file whose bytes depend on the pipeline only.

    skops names parts by their addresses in memory and stamps them with the time of day, so that equal models would
    have different digests.
    """
    import skops.io

    numbers: dict[int, int] = {}
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as source:
        schema = json.loads(source.read("schema.json"))
        _renumber(schema, numbers)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
            for name in sorted(source.namelist(), key=lambda name: _number(name, numbers)):
                if name != "schema.json":
                    renamed = f"{_number(name, numbers)}.npy"
                    target.writestr(zipfile.ZipInfo(renamed), _without_padding(source.read(name)), zipfile.ZIP_DEFLATED)
            target.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _renumber(node: Any, numbers: dict[int, int]) -> None:
    """Replace addresses by numbers in order of first sight, in place."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, numbers)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        for item in node.values():
            _renumber(item, numbers)
        if str(node.get("file", "")).endswith(".npy"):
            node["file"] = f"{_number(node['file'], numbers)}.npy"


def _number(name: str, numbers: dict[int, int]) -> int:
    address = name.removesuffix(".npy")
    return numbers[int(address)] if address.isdigit() else -1


def _without_padding(npy: bytes) -> bytes:
    """A structured array's bytes between its fields are whatever memory held: write zeros there."""
    array = np.load(io.BytesIO(npy), allow_pickle=False)
    if array.dtype.fields is None:
        return npy
    used = np.zeros(array.dtype.itemsize, bool)
    for dtype, offset, *_ in array.dtype.fields.values():
        used[offset : offset + dtype.itemsize] = True
    records = np.frombuffer(npy[-array.nbytes :], np.uint8).reshape(-1, len(used))
    return npy[: -array.nbytes] + np.where(used, records, 0).astype(np.uint8).tobytes()


if __name__ == "__main__":
    main(__spec__.parent)
