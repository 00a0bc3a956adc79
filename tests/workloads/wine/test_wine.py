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
from workloads.sdk.kits.tables.sklearn import TRUSTED
from workloads.sdk.kits.tables.tabular import features
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
    evaluation = evaluate(predictor.outputs(features(splits / "test.parquet")[0]), splits / "test.parquet")
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
    assert np.abs(reference(trained[0], rows) - predictor.outputs(rows)).max() <= 1e-5


def test_served_form_decides_as_the_trained_one_at_every_threshold(trained, predictor: Predictor, splits: Path):
    """The rows that rounding could push to the other side: a split's own threshold, and its float32 neighbours."""
    import skops.io

    forest = skops.io.load(trained[0] / "model.skops", trusted=TRUSTED)
    base = features(splits / "train.parquet")[0][0]
    rows = []
    for tree in forest.estimators_:
        for column, threshold in zip(tree.tree_.feature, tree.tree_.threshold, strict=True):
            for value in (np.float32(threshold), np.nextafter(np.float32(threshold), np.float32(np.inf))):
                if column >= 0:
                    rows.append(base.copy())
                    rows[-1][column] = value
    inputs = np.stack(rows)
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
    rows = predictor.request_schema()["properties"]["features"]
    assert [column["title"] for column in rows["items"]["prefixItems"]] == predictor.columns
    assert (rows["items"]["minItems"], rows["items"]["items"]) == (len(predictor.columns), {"type": "number"})
    assert rows["maxItems"] == 1000


@pytest.mark.parametrize(
    "features", [[], [[]], [["a"] * 13], [[1.0] * 13, [1.0] * 12], [[float("nan")] * 13], [[1.0] * 13] * 1001, None]
)
def test_requests_that_are_no_finite_matrix_are_refused(features):
    with pytest.raises(ValidationError, match="features"):
        Predictor.Request.model_validate({"features": features})


def test_wrong_width_is_refused_with_the_columns(predictor: Predictor):
    with pytest.raises(InvalidInput, match="rows have 12 numbers; 13 are needed: alcohol, malic_acid") as refused:
        predictor.inputs(Predictor.Request.model_validate({"features": [[1.0] * 12]}))
    assert refused.value.field == "features"


def test_class_that_training_never_saw_has_no_probability(splits: Path, tmp_path: Path):
    poor = Path(shutil.copytree(splits, tmp_path / "poor"))
    table = read_split(splits / "train.parquet")
    seen = table.filter([value != "class_1" for value in table[TARGET].to_pylist()])
    write_split({name: seen[name] for name in seen.column_names}, poor / "train.parquet")
    result = run(spec_of(poor), tmp_path / "out")
    assert result.parity is not None
    assert result.parity.holds
    predictor = Predictor.load(tmp_path / "out" / "artifacts", NoServices())
    outputs = predictor.outputs(features(splits / "test.parquet")[0])
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
        reference(tmp_path, np.zeros((1, 13), np.float32))


@pytest.mark.parametrize("name", ["wine", "fashion_mnist"])
def test_served_form_loads_no_training_library(name: str):
    heavy = ("torch", "sklearn", "skops", "lightning", "ray", "transformers", "pandas", "matplotlib")
    code = f"import sys; import workloads.{name}.predict; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
