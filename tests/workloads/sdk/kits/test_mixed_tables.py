"""Tables of mixed columns: what a model sees of them, in training, in a file and in a request; and their splits.

Every estimator must answer in the served form as it was trained, also for what training never saw.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workloads.sdk.artifacts import BASELINES, signature_of
from workloads.sdk.contract import TEST, TRAIN, VALIDATION, InvalidInput, Parameters, Tier, TrainingJob
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import ROW_ID, contents, read_split, write_split
from workloads.sdk.kits.parameters import TableParameters
from workloads.sdk.kits.tables import choice, examine, sklearn
from workloads.sdk.kits.tables.columns import Boolean, Category, Identifier, Number, Text
from workloads.sdk.kits.tables.dates import Date
from workloads.sdk.kits.tables.onnx import Classifier, Regressor
from workloads.sdk.kits.tables.reach import reach
from workloads.sdk.kits.tables.requests import request_of, rows_of
from workloads.sdk.kits.tables.rows import Rows
from workloads.sdk.kits.tables.tabular import Table, columns_of, example, rows, targets
from workloads.sdk.limits import limited
from workloads.sdk.programs.training.run import NoServices

SPLITS = (TRAIN, VALIDATION, TEST)
COLUMNS = {
    "order": Identifier(),
    "size": Number(-100, 100),
    "plan": Category(),
    "paid": Boolean("yes", "no"),
    "at": Date(parts=("days", "month", "weekday", "hour")),
    "note": Text(16),
}
CLASSES = ["high", "low"]


def values(count: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Cells as they are after reading, some of them missing, and a class that follows from them."""
    draw = np.random.default_rng(seed)
    size = np.where(draw.random(count) < 0.1, np.nan, draw.normal(0, 10, count))
    plan = draw.choice(np.asarray(["basic", "pro", "team", ""], object), count)
    start = datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    moments = [start + timedelta(minutes=int(minute)) for minute in draw.integers(0, 500_000, count)]
    made = {
        "order": np.asarray([f"{number:06d}" for number in range(count)], object),
        "size": size,
        "plan": plan,
        "paid": draw.choice([0.0, 1.0, np.nan], count),
        "at": np.asarray(moments, "datetime64[us]"),
        "note": draw.choice(np.asarray(["late again", "all is well", ""], object), count),
    }
    high = np.nan_to_num(size) + 8 * (plan == "pro") - 8 * (made["note"] == "late again") > 0
    return made, np.asarray([CLASSES[not each] for each in high], object)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    Table("level", COLUMNS, CLASSES).split(*values(400), TableParameters(), folder)
    return folder


def job(splits: Path, out: Path) -> TrainingJob:
    out.mkdir(parents=True, exist_ok=True)
    files = {name: splits / f"{name}.parquet" for name in (TRAIN, VALIDATION)}
    return TrainingJob(files, Parameters(), artifacts=out, plots=out, checkpoints=out, tier=Tier())


ESTIMATORS: dict[str, BaseEstimator] = {
    "boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "forest": RandomForestClassifier(20, random_state=0),
    "linear": make_pipeline(StandardScaler(), LogisticRegression()),
}


@pytest.fixture(scope="module", params=ESTIMATORS)
def model(request: pytest.FixtureRequest, split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(request.param)
    sklearn.train(job(split, out), ESTIMATORS[request.param], CLASSES)
    return out


def test_words_dates_and_missing_cells_are_learned_from_and_served_alike(model: Path, split: Path) -> None:
    inputs, wanted = rows(split / f"{TEST}.parquet"), targets(split / f"{TEST}.parquet")
    served = Classifier.load(model, NoServices()).outputs(inputs)
    assert np.abs(served - sklearn.reference(model, inputs, CLASSES)).max() < 1e-5
    assert (np.asarray(CLASSES)[served.argmax(axis=1)] == wanted).mean() > 0.8
    assert inputs.numbers.shape[1] == 1 + 1 + 4 + 16
    assert np.isnan(inputs.numbers).any()


CELLS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.none() | st.floats(-(2.0**60), 2.0**60, width=32) | st.integers(-(2**70), 2**70),
        "plan": st.none() | st.text(max_size=8),
        "paid": st.none() | st.booleans() | st.sampled_from(["yes", "No", "YES"]),
        "at": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(datetime.isoformat),
        "note": st.none() | st.text(max_size=30),
    },
)


@property_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_rows=st.lists(CELLS, min_size=1, max_size=5))
def test_any_cells_are_answered_as_the_trained_form_does_in_any_form(model: Path, given_rows: list[dict]) -> None:
    predictor = Classifier.load(model, NoServices())
    inputs = predictor.inputs(request_of(COLUMNS).model_validate({"rows": given_rows}))
    served = predictor.outputs(inputs)
    assert np.isfinite(served).all()
    assert np.abs(served - sklearn.reference(model, inputs, CLASSES)).max() < 1e-5
    learned = [name for name, column in COLUMNS.items() if column.learned]
    listed = {"features": [[row.get(name) for name in learned] for row in given_rows]}
    again = predictor.inputs(request_of(COLUMNS).model_validate(listed))
    assert np.array_equal(again.numbers, inputs.numbers, equal_nan=True)
    assert np.array_equal(again.words, inputs.words)


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"size": "large"}, "rows[0].size", "must be a number, not 'large'"),
        ({"size": True}, "rows[0].size", "must be a number, not true or false"),
        ({"size": [1]}, "rows[0].size", "must be a number, not a list"),
        ({"paid": "perhaps"}, "rows[0].paid", "must be true or false, or 'yes' or 'no'"),
        ({"at": "yesterday"}, "rows[0].at", "must be a date such as 2026-01-31"),
        ({"plan": 1.5}, "rows[0].plan", "must be a text"),
        ({"order": "000001"}, "rows[0].order", "is not a column"),
        ({"sise": 1}, "rows[0].sise", "is not a column; the columns are size, plan, paid, at, note"),
    ],
)
def test_what_is_really_wrong_is_refused_with_column_and_reason(row: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rows_of(request_of(COLUMNS).model_validate({"rows": [row]}), COLUMNS)
    assert refused.value.field == field
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize("body", [{}, {"rows": None}, {"rows": [{}], "features": None}, {"rows": [{}], "features": []}])
def test_a_request_has_rows_of_one_form(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"either rows|must be a list"):
        request_of(COLUMNS).model_validate(body)


def test_limits_are_told_beside_the_form() -> None:
    """A form's own schema is a part of the signature by which stored versions are loaded: it must not change."""
    form = request_of(COLUMNS)
    schemas = [form.model_json_schema(), limited(form, form.model_json_schema())]
    own, told = (schema["properties"]["rows"]["items"]["properties"] for schema in schemas)
    assert list(own) == list(told) == ["size", "plan", "paid", "at", "note"]
    assert own["size"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert told["size"]["anyOf"][0]["maximum"] == float(np.finfo(np.float32).max)
    iris = workload_of("workloads.iris")
    assert signature_of(iris.resolve(iris.predictor)).startswith("2c5555696c0a828e")


def test_a_request_made_of_a_split_is_that_split(split: Path) -> None:
    file = split / f"{TEST}.parquet"
    body = json.loads(json.dumps(example(file, 30)))
    found, kept = rows_of(request_of(COLUMNS).model_validate(body), columns_of(file)), rows(file)[:30]
    assert np.array_equal(found.numbers, kept.numbers, equal_nan=True)
    assert np.array_equal(found.words, kept.words)
    assert columns_of(file) == COLUMNS


def test_regression_thresholds_are_not_rounded_over_a_value_of_the_data(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    size = draw.normal(9, 8, 600).round(1)
    made = {"size": size, "plan": draw.choice(np.asarray(["a", "b"], object), 600)}
    table = Table("use", {"size": Number(), "plan": Category()})
    table.split(made, 90 - 3 * size + draw.normal(0, 6, 600), TableParameters(), tmp_path)
    sklearn.train(job(tmp_path, tmp_path / "out"), HistGradientBoostingRegressor(random_state=0), None)
    every = np.unique(size).astype(np.float32)
    inputs = Rows(every.reshape(-1, 1), np.asarray([["a"]] * len(every), object))
    served = Regressor.load(tmp_path / "out", NoServices()).outputs(inputs)
    assert np.abs(served - sklearn.reference(tmp_path / "out", inputs)).max() < 1e-3


# --- the choice, and its baselines ----------------------------------------------------------------------------------


def test_the_best_is_chosen_by_rows_not_learned_from_and_lies_beside_its_baselines(split: Path, tmp_path: Path) -> None:
    models = {name: ESTIMATORS[name] for name in ("forest", "linear")}
    result = choice.train(job(split, tmp_path), models, CLASSES)
    (best,) = (trial for trial in result.trials if trial.best)
    scores = {trial.name: trial.metrics["validation_accuracy"] for trial in result.trials}
    assert scores[best.name] == max(scores.values())
    assert all(0.5 < score < 1 for score in scores.values())  # on rows that it learned from a forest reaches 1
    found = sorted(folder.name for folder in (tmp_path / BASELINES).iterdir())
    assert found == (["constant"] if best.name == "linear" else ["constant", "linear"])
    constant = Classifier.load(tmp_path / BASELINES / "constant", NoServices()).outputs(rows(split / f"{TEST}.parquet"))
    assert len(np.unique(constant, axis=0)) == 1
    assert constant[0].sum() == pytest.approx(1)


def test_a_person_may_choose(split: Path, tmp_path: Path) -> None:
    result = choice.train(job(split, tmp_path), ESTIMATORS, CLASSES, only="linear")
    assert result.trials == []
    assert sorted(folder.name for folder in (tmp_path / BASELINES).iterdir()) == ["constant"]


# --- splits ---------------------------------------------------------------------------------------------------------


def all_rows(folder: Path) -> dict[str, pa.Table]:
    return {name: read_split(folder / f"{name}.parquet") for name in SPLITS}


def test_rows_alike_to_a_model_share_a_split_and_keep_their_own_identity(tmp_path: Path) -> None:
    made, wanted = values(200)
    doubled = {name: np.concatenate([column, column]) for name, column in made.items()}
    doubled["order"] = np.asarray([f"{number:06d}" for number in range(400)], object)  # other rows, alike to a model
    Table("level", COLUMNS, CLASSES).split(doubled, np.concatenate([wanted, wanted[::-1]]), TableParameters(), tmp_path)
    tables = all_rows(tmp_path)
    assert sum(map(len, tables.values())) == 400
    ids = [row for table in tables.values() for row in table[ROW_ID].to_pylist()]
    assert len(set(ids)) == 400
    looks = {name: set(contents(tmp_path / f"{name}.parquet")[1]) for name in SPLITS}
    assert not looks[TRAIN] & looks[TEST]
    assert not looks[TRAIN] & looks[VALIDATION]
    found = json.loads((tmp_path / "findings.json").read_text())
    assert (found["rows_read"], found["duplicates_dropped"]) == (400, 0)
    assert found["alike_with_another_target"] > 0


@pytest.mark.parametrize(("fate", "kept"), [("drop", 200), ("keep", 260)])
def test_rows_alike_in_everything_are_dropped_or_kept_and_counted(tmp_path: Path, fate: Any, kept: int) -> None:
    made, wanted = values(200)
    twice = np.concatenate([np.arange(200), np.arange(60)])
    repeated = {name: column[twice] for name, column in made.items()}
    Table("level", COLUMNS, CLASSES).split(repeated, wanted[twice], TableParameters(duplicates=fate), tmp_path)
    ids = [row for table in all_rows(tmp_path).values() for row in table[ROW_ID].to_pylist()]
    assert len(ids) == len(set(ids)) == kept
    found = json.loads((tmp_path / "findings.json").read_text())
    assert found["duplicates_kept" if fate == "keep" else "duplicates_dropped"] == 60


@given(order=st.randoms(use_true_random=False), extra=st.integers(0, 40))
@property_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rows_split_and_identity_depend_on_no_other_row(tmp_path_factory, order, extra: int) -> None:
    made, wanted = values(150 + extra)
    chosen = list(range(150 + extra))
    order.shuffle(chosen)
    fates = []
    for at in (np.arange(150), np.asarray(chosen)):
        folder = tmp_path_factory.mktemp("fates")
        part = {name: column[at] for name, column in made.items()}
        Table("level", COLUMNS, CLASSES).split(part, wanted[at], TableParameters(), folder)
        fates.append({row: name for name, table in all_rows(folder).items() for row in table[ROW_ID].to_pylist()})
    assert fates[0].items() <= fates[1].items()


def test_a_row_without_target_is_left_out_and_counted(tmp_path: Path) -> None:
    made, wanted = values(200)
    wanted[:7] = ""
    Table("level", COLUMNS, CLASSES).split(made, wanted, TableParameters(), tmp_path)
    assert json.loads((tmp_path / "findings.json").read_text())["rows_without_target"] == 7
    assert sum(map(len, all_rows(tmp_path).values())) == 193


@pytest.mark.parametrize("few", [3, 5, 9])
def test_some_rows_of_a_rare_class_fall_into_every_split(tmp_path: Path, few: int) -> None:
    told = ["rare" if number < few else CLASSES[number % 2] for number in range(300)]
    lines = (f"{number / 7:.4f};{name}" for number, name in enumerate(told))
    (tmp_path / "rows.csv").write_text("\n".join(["size;level", *lines]))
    found = examine.table(tmp_path / "rows.csv", "level", "classification")
    assert found.rare == {"rare": few}
    table = Table("level", {each.name: each.column for each in found.columns}, found.classes, spread=found.spread)
    out = tmp_path / "out"
    raw = tmp_path / "raw"
    raw.mkdir()
    (tmp_path / "rows.csv").rename(raw / "rows.csv")
    table.process(TableParameters(), raw, out)
    for name in SPLITS:
        assert "rare" in targets(out / f"{name}.parquet")
    said = json.loads((out / "findings.json").read_text())
    assert said["classes_of_few_rows"] == {"rare": few}
    assert [column["column"] for column in said["columns"]] == ["size"]


def test_an_old_split_that_does_not_say_what_it_holds_is_of_numbers(tmp_path: Path) -> None:
    write_split({ROW_ID: ["a"], "x": np.asarray([1.5], np.float32), "target": ["u"]}, tmp_path / "old.parquet")
    assert columns_of(tmp_path / "old.parquet") == {"x": Number()}
    assert rows(tmp_path / "old.parquet").numbers.tolist() == [[1.5]]


@pytest.mark.parametrize("weight", [1.0, 1e3, 1e6])
def test_a_model_is_asked_no_larger_number_than_it_computes_with(weight: float) -> None:
    columns = {"a": Number(), "b": Number(), "word": Category()}

    def outputs(given: Rows) -> np.ndarray:
        return (np.nan_to_num(given.numbers, posinf=np.inf, neginf=-np.inf) * np.float32(weight)).sum(1, keepdims=True)

    most = reach(outputs, columns)
    assert most * weight < np.finfo(np.float32).max / 2
    assert rows_of(request_of(columns).model_validate({"rows": [{"a": most, "b": -most}]}), columns, most)
    for body in ({"rows": [{"a": 1}, {"b": -most * 1.01}]}, {"features": [[1, 1, "x"], [1, most * 1.01, "x"]]}):
        with pytest.raises(InvalidInput, match=r"\[1\](\.b|\[1\]): column b may hold numbers from"):
            rows_of(request_of(columns).model_validate(body), columns, most)


def test_a_model_that_computes_with_all_numbers_is_asked_all() -> None:
    columns = {"a": Number(), "b": Number()}
    assert reach(lambda rows: (np.nan_to_num(rows.numbers) > 0).astype(np.float32), columns) == np.finfo(np.float32).max
