"""Training of any scikit-learn estimator: fitted in float32, stored with skops, served as ONNX.

What turns a table's words and missing cells into numbers (`encoder.py`) is a part of both forms.

Both files' bytes depend on the model only, so that equal models have equal digests. float32 throughout: so the ONNX
form decides as the trained one does; trees behind a scaler may differ near a threshold, which the parity gate shows.
"""

import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk.contract import TRAIN, Tier, TrainingJob, TrainingResult
from workloads.sdk.kits import classification
from workloads.sdk.kits.tables.encoder import ONNX_OPSETS, frame, initial_types, prepared
from workloads.sdk.kits.tables.rows import Columns, Rows, names
from workloads.sdk.kits.tables.tabular import columns_of, rows, targets

STORED, SERVED = "model.skops", "model.onnx"
# What a stored model may hold beyond skops' own list: scikit-learn's own classes that only hold numbers. It is never
# what a file asks for; an estimator that needs another class is refused when its two forms are compared.
TRUSTED = [
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
]


def train(
    job: TrainingJob, estimator: Any, classes: Sequence[str] | None = None, balanced: bool = False
) -> TrainingResult:
    """Fit an estimator to the training split; write both forms, with columns and classes inside the served one.

    Args:
        classes: of which one is to be told, seen in training or not; None where the target is a number.
        balanced: as for `fitted`.
    """
    learned, columns = rows(job.data[TRAIN]), columns_of(job.data[TRAIN])
    wanted = targets(job.data[TRAIN])
    job.progress(0.1, f"fitting {type(estimator).__name__} to {len(learned)} rows of {len(columns)} columns")
    model = prepared(estimator, learned)
    table = frame(learned, names(columns))
    with threads(job.tier):
        fitted(model, table, wanted, balanced)
    to_float32(model)
    score = float(model.score(table, wanted))
    job.progress(0.7, "writing both forms")
    write(model, learned[:1], columns, classes, job.artifacts)
    return TrainingResult(metrics={"train_r2" if classes is None else "train_accuracy": score})


def fitted(model: Any, table: Any, wanted: np.ndarray, balanced: bool = False) -> Any:
    """The model, fitted to rows (pandas) and their targets.

    Args:
        balanced: rows of rare classes weigh more, where the estimator takes weights, so that each class counts as much
            as any other. (A forest's own `class_weight` fails for classes that are called 0 and 1.)
    """
    from sklearn.utils.validation import has_fit_parameter

    name, last = model.steps[-1] if hasattr(model, "steps") else ("", model)
    if not balanced or not has_fit_parameter(last, "sample_weight"):
        return model.fit(table, wanted)
    names, positions = np.unique(wanted, return_inverse=True)
    weights = classification.even(positions, len(names))[positions]
    return model.fit(table, wanted, **{f"{name}__sample_weight" if name else "sample_weight": weights})


def write(model: Any, example: Rows, columns: Columns, classes: Sequence[str] | None, folder: Path) -> None:
    """Both forms of a model that was fitted to such rows."""
    (folder / STORED).write_bytes(_skops(model))
    (folder / SERVED).write_bytes(_onnx(model, example, columns, classes))


def reference(artifacts: Path, inputs: Rows, classes: Sequence[str] | None = None) -> np.ndarray:
    """Outputs of the trained form, float32.

    Probabilities (rows, classes), or estimates (rows, 1) where there are no classes.
    """
    estimator = skops_io().load(artifacts / STORED, trusted=TRUSTED)
    table = frame(inputs, estimator.feature_names_in_)
    if classes is None:
        return np.asarray(estimator.predict(table), np.float32).reshape(-1, 1)
    outputs = np.zeros((len(inputs), len(classes)), np.float32)
    outputs[:, _known(estimator, classes)] = estimator.predict_proba(table)
    return outputs


def threads(tier: Tier) -> Any:
    """As many threads as the tier has processors: with more than are free, gradient boosting is ten times slower."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(max(1, int(tier.cpus)), "openmp")


def to_float32(model: Any) -> None:
    """Cut thresholds of gradient boosting to float32, downwards: float32 inputs are told apart as before.

    A threshold that is rounded up to a value of the data, as the ONNX form would do, decides otherwise for that value.
    """
    last = model[-1] if hasattr(model, "steps") else model
    for trees in getattr(last, "_predictors", ()):
        for tree in trees:
            threshold = tree.nodes["num_threshold"]
            near = threshold.astype(np.float32)
            down = np.nextafter(near, np.float32(-np.inf))
            tree.nodes["num_threshold"] = np.where(near > threshold, down, near)


def skops_io() -> Any:
    """`skops.io`, without torch.

    skops imports all of scikit-learn to list its estimators, which also imports torch, through a package that holds
    none: two seconds and 200 MB. Who wants that package gets it later.
    """
    adapter = "sklearn.externals.array_api_compat.torch"
    hidden = adapter not in sys.modules
    if hidden:
        sys.modules[adapter] = None  # type: ignore[assignment]
    try:
        import skops.io
    finally:
        if hidden:
            del sys.modules[adapter]
    return skops.io


def _known(estimator: Any, classes: Sequence[str]) -> list[int]:
    """Positions among all classes of those that training saw; a small or old version of the data may lack some."""
    return [list(classes).index(name) for name in estimator.classes_.tolist()]


def _onnx(estimator: Any, example: Rows, columns: Columns, classes: Sequence[str] | None) -> bytes:
    from onnx.helper import set_model_props
    from skl2onnx import to_onnx

    model = to_onnx(
        estimator,
        name="model",
        initial_types=initial_types(example),
        options=None if classes is None else {"zipmap": False},
        target_opset=ONNX_OPSETS,
    )
    inside: dict[str, Any] = {"columns": {name: column.declared() for name, column in columns.items()}}
    if classes is not None:
        inside |= {"classes": list(classes), "known": _known(estimator, classes)}
    set_model_props(model, {name: json.dumps(value) for name, value in inside.items()})
    return model.SerializeToString()


def _skops(estimator: Any) -> bytes:
    """The estimator as a skops file whose bytes depend on the estimator only.

    skops names parts by their addresses in memory and stamps them with the time of day, so that equal models would
    have different digests.
    """
    numbers: dict[int, int] = {}
    with zipfile.ZipFile(io.BytesIO(skops_io().dumps(estimator))) as source:
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
