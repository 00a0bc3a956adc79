"""The kits: any scikit-learn estimator answers alike in the served form, and scores are what they are said to be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score, recall_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from workloads.sdk.contract import TEST, TRAIN, Tier, TrainingJob
from workloads.sdk.kits import classification, regression
from workloads.sdk.kits.parameters import TableParameters
from workloads.sdk.kits.tables import examine, sklearn
from workloads.sdk.kits.tables.onnx import Classifier, Regressor
from workloads.sdk.kits.tables.tabular import Table, bundled, rows, targets
from workloads.sdk.kits.tables.understand import with_room
from workloads.sdk.programs.training.run import NoServices

NUMBERS = st.floats(-1e6, 1e6)


@pytest.fixture(scope="module", params=["iris", "diabetes"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    bundled(request.param, folder)
    task = "classification" if request.param == "iris" else "regression"
    found = examine.table(folder / f"{request.param}.csv", "target", task)
    made = Table("target", {each.name: each.column for each in found.columns}, found.classes)
    made.process(TableParameters(), folder, folder / "splits")
    return made, folder / "splits"


ESTIMATORS = {
    "iris": [
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        MLPClassifier(max_iter=50, random_state=0),
    ],
    "diabetes": [
        make_pipeline(StandardScaler(), SVR()),
        HistGradientBoostingRegressor(max_iter=10, random_state=0),
        ExtraTreesRegressor(10, random_state=0),
        Ridge(),
    ],
}


@pytest.mark.filterwarnings("ignore")  # an estimator that is not fitted to the end says so
def test_any_estimator_answers_as_it_was_trained_and_has_one_digest(table: tuple[Table, Path], tmp_path: Path) -> None:
    made, splits = table
    for number, estimator in enumerate(ESTIMATORS["diabetes" if made.classes is None else "iris"]):
        first, second = (fitted(made, splits, clone(estimator), tmp_path / f"{number}{part}") for part in "ab")
        assert [(first / name).read_bytes() for name in ("model.skops", "model.onnx")] == [
            (second / name).read_bytes() for name in ("model.skops", "model.onnx")
        ], estimator
        inputs = rows(splits / f"{TEST}.parquet")
        served = (Regressor if made.classes is None else Classifier).load(first, NoServices()).outputs(inputs)
        trained = sklearn.reference(first, inputs, made.classes)
        assert served.shape == (len(inputs), len(made.classes or [1]))
        scale = 1 if made.classes else targets(splits / f"{TEST}.parquet").std()
        assert np.abs(served - trained).max() < 1e-4 * scale, estimator


def test_a_stored_form_needs_no_torch() -> None:
    code = """
import sys
from workloads.sdk.kits.tables.sklearn import skops_io
skops_io()
print([name for name in sys.modules if name.split(".")[-1] == "torch"])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def fitted(table: Table, splits: Path, estimator: BaseEstimator, out: Path) -> Path:
    out.mkdir()
    job = TrainingJob(
        {TRAIN: splits / f"{TRAIN}.parquet"}, None, artifacts=out, plots=out, checkpoints=out, tier=Tier()
    )
    result = sklearn.train(job, estimator, table.classes)
    assert 0 < next(iter(result.metrics.values())) <= 1
    return out


@given(arrays(np.float64, st.tuples(st.integers(2, 40), st.just(2)), elements=NUMBERS))
def test_the_mean_of_the_row_scores_is_the_metric(both: np.ndarray) -> None:
    wanted, outputs = both[:, 0], both[:, 1:].astype(np.float32)
    if np.var(wanted) < 1e-3:
        wanted = wanted + np.arange(len(wanted))
    scores = regression.evaluate(outputs, wanted).scores
    assert np.isclose(scores["r2"].mean(), r2_score(wanted, outputs[:, 0].astype(np.float64)), rtol=1e-6, atol=1e-9)
    assert np.isclose(scores["absolute_error"].mean(), np.abs(wanted - outputs[:, 0]).mean())


def test_equal_targets_are_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="all targets of the split are equal"):
        regression.evaluate(np.zeros((3, 1), np.float32), np.ones(3))


@given(st.data(), st.integers(2, 5), st.integers(1, 30))
def test_classes_are_scored_as_scikit_learn_does(data: st.DataObject, classes: int, count: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    wanted = np.asarray(data.draw(st.lists(st.sampled_from(names), min_size=count, max_size=count)))
    raw = data.draw(arrays(np.float32, (count, classes), elements=st.floats(0.015625, 1, width=32)))
    outputs = raw / raw.sum(axis=1, keepdims=True)
    scores = classification.evaluate(outputs, wanted, names).scores
    assert scores["accuracy"].mean() == accuracy_score(wanted, np.asarray(names)[outputs.argmax(axis=1)])
    predicted = np.asarray(names)[outputs.argmax(axis=1)]
    recall = recall_score(wanted, predicted, labels=sorted(set(wanted)), average="macro", zero_division=0)
    assert np.isclose(scores["balanced_accuracy"].mean(), recall)
    assert np.isclose(scores["log_loss"].mean(), log_loss(wanted, outputs, labels=names), rtol=1e-4)
    with pytest.raises(ValueError, match="'another' is none of the classes"):
        classification.evaluate(outputs, np.asarray(["another"] * count), names)


@given(st.lists(NUMBERS, min_size=1, max_size=30))
@example([5e-324])
def test_ranges_hold_what_was_seen_with_room_and_no_sign_that_never_was(values: list[float]) -> None:
    low, high = with_room(values)
    assert low <= min(values) <= max(values) <= high
    assert (low >= 0) == (min(values) >= 0)
    assert high > max(values)
