"""Wine: what is stored, what is served, and that both decide alike."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from workload_support import spec_of, splits_of_wine

from workloads.sdk.contract import InvalidInput
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import ROW_ID, TARGET, read_split, write_split
from workloads.sdk.kits.tables.rows import of_numbers
from workloads.sdk.kits.tables.sklearn import TRUSTED
from workloads.sdk.kits.tables.tabular import rows as rows_of_split
from workloads.sdk.programs.spec import Result
from workloads.sdk.programs.training.run import NoServices, run
from workloads.wine.data import QUALITY_RANGES, TABLES
from workloads.wine.evaluate import evaluate
from workloads.wine.predict import Predictor
from workloads.wine.train import reference

WINE = workload_of("workloads.wine")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return splits_of_wine(tmp_path_factory.mktemp("wine"))


@pytest.fixture(scope="module")
def trained(splits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("trained")
    return out / "artifacts", run(spec_of(splits, parameters={}), out)


@pytest.fixture(scope="module")
def predictor(trained: tuple[Path, Result]) -> Predictor:
    return Predictor.load(trained[0], NoServices())


def test_default_forest_passes_its_own_gates(trained: tuple[Path, Result], predictor: Predictor, splits: Path):
    _, result = trained
    assert result.metrics["test_accuracy"] >= WINE.gates.floor
    evaluation = evaluate(predictor.outputs(rows_of_split(splits / "test.parquet")), splits / "test.parquet")
    for name in np.unique(evaluation.slices["target"]):
        assert evaluation.scores["accuracy"][evaluation.slices["target"] == name].mean() >= WINE.gates.slices[0].floor
    for item in json.loads((WINE.folder / "golden.json").read_text()):
        (answer,) = predictor.predict(Predictor.Request.model_validate(item["request"]))
        assert item["answer"].items() <= answer.items()


def test_same_data_and_parameters_give_the_same_bytes(splits: Path, tmp_path: Path):
    first, second = (run(spec_of(splits), tmp_path / name) for name in ("first", "second"))
    assert first.digest == second.digest
    assert run(spec_of(splits, parameters={"trees": 5, "seed": 7}), tmp_path / "other").digest != first.digest


def test_served_form_decides_as_the_trained_one_on_held_out_rows(trained: tuple[Path, Result], splits: Path):
    parity = trained[1].parity
    assert parity is not None
    assert parity.holds
    rows = sum(read_split(splits / f"{split}.parquet").num_rows for split in ("validation", "test"))
    assert (parity.rows, parity.tolerance) == (rows, 1e-5)


@settings(max_examples=30, deadline=None)
@given(rows=arrays(np.float32, (7, 13), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_served_form_decides_as_the_trained_one_on_any_row(trained, predictor: Predictor, rows: np.ndarray):
    inputs = of_numbers(rows)
    assert np.abs(reference(trained[0], inputs) - predictor.outputs(inputs)).max() <= 1e-5


def test_served_form_decides_as_the_trained_one_at_every_threshold(trained, predictor: Predictor, splits: Path):
    """The rows that rounding could push to the other side: a split's own threshold, and its float32 neighbours."""
    import skops.io

    forest = skops.io.load(trained[0] / "model.skops", trusted=TRUSTED)
    base = rows_of_split(splits / "train.parquet").numbers[0]
    rows = []
    for tree in forest[-1].estimators_:
        for column, threshold in zip(tree.tree_.feature, tree.tree_.threshold, strict=True):
            for value in (np.float32(threshold), np.nextafter(np.float32(threshold), np.float32(np.inf))):
                if column >= 0:
                    rows.append(base.copy())
                    rows[-1][column] = value
    inputs = of_numbers(np.stack(rows))
    assert np.abs(reference(trained[0], inputs) - predictor.outputs(inputs)).max() <= 1e-5


def test_answers_are_what_the_schema_says(predictor: Predictor, splits: Path):
    body = WINE.resolve(WINE.example)(splits / "test.parquet", 8)
    answers = predictor.predict(Predictor.Request.model_validate(body))
    assert len(answers) == 8
    for answer in answers:
        assert Predictor.Prediction.model_validate(answer).model_dump() == answer
        assert answer["confidence"] == answer["probabilities"][answer["label"]] == max(answer["probabilities"].values())
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_the_loaded_model_says_its_columns_in_the_schema(predictor: Predictor):
    forms = predictor.request_schema()["properties"]
    named, listed = forms["rows"]["items"], forms["features"]["items"]
    assert list(named["properties"]) == [column["title"] for column in listed["prefixItems"]] == list(predictor.columns)
    assert named["additionalProperties"] is False
    assert named["properties"]["alcohol"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert (listed["minItems"], forms["rows"]["maxItems"]) == (13, 1000)


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"features": [["a"] * 13]}, "features[0][0]", "must be a number, not 'a'"),
        ({"features": [[1.0] * 13, [1.0] * 12]}, "features[1]", "has 12 cells instead of 13: alcohol, malic_acid"),
        ({"features": [[1e39] * 13]}, "features[0][0]", "must be a number that float32 can hold"),
        ({"features": [[1.0] * 12 + [True]]}, "features[0][12]", "must be a number, not true or false"),
        ({"features": [1.0]}, "features[0]", "must be a list of cells"),
        ({"rows": [{"hue": 1.0}, {"hue": "x"}]}, "rows[1].hue", "must be a number, not 'x'"),
        ({"rows": [{"hue": 1.0, "more": 2}]}, "rows[0].more", "is not a column; the columns are alcohol, malic_acid"),
        ({"rows": [[1.0] * 13]}, "rows[0]", "must be an object with a cell for each column"),
    ],
)
def test_what_is_no_row_is_refused_with_place_and_reason(predictor: Predictor, body, field, reason):
    with pytest.raises(InvalidInput) as refused:
        predictor.inputs(Predictor.Request.model_validate(body))
    assert refused.value.field == field
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": []},
        {"rows": {}},
        {"features": None},
        {"features": [[1.0] * 13] * 1001},
        {"rows": [{}], "features": [[]]},
    ],
)
def test_a_request_is_one_to_a_thousand_rows_in_one_form(body):
    with pytest.raises(ValidationError, match="rows"):
        Predictor.Request.model_validate(body)


def test_all_forms_of_a_row_mean_the_same(predictor: Predictor, splits: Path):
    (named,) = WINE.resolve(WINE.example)(splits / "test.parquet", 1)["rows"]
    turned = dict(reversed(named.items()))
    bodies = [{"rows": [named]}, {"rows": [turned]}, {"features": [list(named.values())]}]
    answers = [predictor.predict(Predictor.Request.model_validate(body)) for body in bodies]
    assert answers[0] == answers[1] == answers[2]


def test_what_is_missing_is_answered(predictor: Predictor):
    said = [{"rows": [{}]}, {"rows": [{"alcohol": None}]}, {"features": [[None] * 13]}]
    first, *others = [predictor.predict(Predictor.Request.model_validate(body)) for body in said]
    assert all(other == first for other in others)


def test_class_that_training_never_saw_has_no_probability(splits: Path, tmp_path: Path):
    poor = Path(shutil.copytree(splits, tmp_path / "poor"))
    table = read_split(splits / "train.parquet")
    seen = table.filter([value != "class_1" for value in table[TARGET].to_pylist()])
    write_split({name: seen[name] for name in seen.column_names}, poor / "train.parquet")
    result = run(spec_of(poor), tmp_path / "out")
    assert result.parity is not None
    assert result.parity.holds
    predictor = Predictor.load(tmp_path / "out" / "artifacts", NoServices())
    outputs = predictor.outputs(rows_of_split(splits / "test.parquet"))
    assert outputs.shape[1] == 3
    assert not outputs[:, 1].any()


def test_other_source_with_its_own_columns_and_classes(tmp_path: Path):
    """Columns and classes of the quality set, with values drawn from its ranges, since its host may be away."""
    generator = np.random.default_rng(0)
    for split, rows in (("train", 200), ("validation", 40), ("test", 40)):
        low, high = np.array(list(QUALITY_RANGES.values()), float).T
        values = generator.uniform(low, high, (rows, len(low))).astype(np.float32)
        columns = dict(zip(QUALITY_RANGES, values.T, strict=True))
        target = ["5" if alcohol < 12 else "7" for alcohol in columns["alcohol"]]
        ids = [f"{split}{row}" for row in range(rows)]
        write_split({ROW_ID: ids, **columns, TARGET: target}, tmp_path / f"{split}.parquet")
    result = run(spec_of(tmp_path, parameters={"trees": 20}), tmp_path / "out")
    assert result.metrics["test_accuracy"] > 0.9
    predictor = Predictor.load(tmp_path / "out" / "artifacts", NoServices())
    body = WINE.resolve(WINE.example)(tmp_path / "test.parquet", 2)
    answers = predictor.predict(Predictor.Request.model_validate(body))
    assert set(answers[0]["probabilities"]) == set(TABLES["quality"].classes)
    assert WINE.for_source("quality").gates.floor < WINE.for_source("scikit-learn").gates.floor == WINE.gates.floor


def test_stored_forest_with_anything_foreign_is_not_loaded(trained: tuple[Path, Result], tmp_path: Path):
    from skops.io.exceptions import UntrustedTypesFoundException

    with zipfile.ZipFile(trained[0] / "model.skops") as source:
        changed = io.BytesIO()
        with zipfile.ZipFile(changed, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name == "schema.json":
                    known = b'"__class__": "RandomForestClassifier", "__module__": "sklearn.ensemble._forest"'
                    assert known in content
                    content = content.replace(known, b'"__class__": "Popen", "__module__": "subprocess"')
                target.writestr(name, content)
    (tmp_path / "model.skops").write_bytes(changed.getvalue())
    with pytest.raises(UntrustedTypesFoundException, match="Popen"):
        reference(tmp_path, of_numbers(np.zeros((1, 13))))


@pytest.mark.parametrize("name", ["wine", "fashion_mnist"])
def test_served_form_loads_no_training_library(name: str):
    heavy = ("torch", "sklearn", "skops", "lightning", "ray", "transformers", "pandas", "matplotlib")
    code = f"import sys; import workloads.{name}.predict; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
