"""Digits: network and forms, a lost training that goes on, MNIST from a host, and three variants on the platform."""

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import numpy as np
import pytest
from graph_fixtures import Delivered, World
from patience import until
from pydantic import ValidationError
from workload_support import spec_of

from mlops_assets.gates.evaluators import releasing
from mlops_assets.lineage import trace as lineage
from mlops_assets.release.targets import model_of
from resources.settings import REPOSITORY
from workloads.digits import data
from workloads.digits.data_parameters import DigitsData
from workloads.digits.predict import Predictor, Request
from workloads.sdk.contract import TEST, InvalidInput
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.kits.images import idx, pictures
from workloads.sdk.programs.spec import Result, Spec
from workloads.sdk.programs.training.run import NoServices, run

DIGITS = workload_of("workloads.digits")


def processed(folder: Path, **parameters: object) -> Path:
    """The folder with the splits of a source."""
    chosen = DigitsData(**parameters)
    raw, out = folder / "raw", folder / "processed"
    raw.mkdir()
    out.mkdir()
    data.fetch(chosen, raw)
    data.process(chosen, raw, out)
    return out


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processed(tmp_path_factory.mktemp("digits"))


class Lost(BaseException):
    """Ends a training in the middle, as the loss of its process does."""


def spec(splits: Path, **parameters: object) -> Spec:
    """A quarter of a minute's training: few epochs of the smallest variant."""
    values = DIGITS.variants["small"] | {"epochs": 5} | parameters
    return spec_of(splits, "workloads.digits", parameters=DIGITS.parameters(**values).model_dump(mode="json"))


@pytest.fixture(scope="module")
def trained(splits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("trained")
    return out, run(spec(splits), out)


def test_a_small_network_reaches_the_floor_in_a_few_epochs(trained: tuple[Path, Result]) -> None:
    out, result = trained
    assert result.metrics["test_accuracy"] >= DIGITS.gates.floor
    assert result.parity is not None
    assert result.parity.holds
    assert {file.path for file in result.artifacts.files} == {"golden.json", "model.onnx", "model.safetensors"}
    assert {name: len(values) for name, values in result.curves.items()} == {
        "train_loss": 5, "validation_loss": 5, "validation_accuracy": 5,
    }  # fmt: skip
    assert {"learning_curves.png", "confusion_matrix.png", "surest_mistakes.png"} <= set(result.plots)
    for file in (out / "artifacts").iterdir():
        assert str(REPOSITORY).encode() not in file.read_bytes(), file.name


def test_a_lost_training_goes_on_to_the_very_same_model(
    splits: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    asked = spec(splits).model_copy(update={"checkpoints": tmp_path / "checkpoints"})

    def lose(share: float, text: str) -> None:
        if text.startswith("epoch 3 of 5"):
            raise Lost

    with pytest.raises(Lost):
        run(asked, tmp_path / "first", lose)
    assert not (tmp_path / "first" / "result.json").exists()
    lines: list[str] = []
    result = run(asked, tmp_path / "second", lambda share, text: lines.append(text))
    assert result.resumed_from == "epoch 3"
    assert [line[:7] for line in lines if line.startswith("epoch")] == ["epoch 4", "epoch 5"]
    assert result.digest == trained[1].digest
    assert result.curves == trained[1].curves


def test_answers_are_what_the_schema_says(trained: tuple[Path, Result]) -> None:
    predictor = Predictor.load(trained[0] / "artifacts", NoServices())
    golden = json.loads((DIGITS.folder / "golden.json").read_text())
    for row in golden:
        (answer,) = predictor.predict(Request.model_validate(row["request"]))
        assert answer["label"] == row["answer"]["label"]
        assert set(answer["probabilities"]) == set(data.LABELS)
        assert Predictor.Prediction.model_validate(answer).model_dump() == answer
        flat = {"images": [np.ravel(row["request"]["images"][0]).tolist()]}
        assert predictor.predict(Request.model_validate(flat)) == [answer]
    with pytest.raises(InvalidInput, match="pictures of 8 x 8"):
        predictor.inputs(Request.model_validate({"images": [[0] * 784]}))


@pytest.mark.parametrize(
    ("images", "place", "reason"),
    [
        ([[17, *[0] * 63]], ("images", 0, 0), "from 0 to 16"),
        ([[[0] * 8] * 7], ("images", 0), "7 lines instead of 8"),
        ([[256, *[0] * 783]], ("images", 0, 0), "from 0 to 255"),
        ([[0] * 65], ("images", 0), "65 numbers instead of 64"),
        ([[0] * 64, [0] * 784], ("images", 1), "784 numbers instead of 64"),
        ([], ("images",), "at least one row"),
        ([[0.5] * 64], ("images", 0, 0), "whole number"),
        ("0", ("images",), "list of rows"),
    ],
)
def test_requests_that_are_no_pictures_are_refused(images: object, place: tuple, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Request.model_validate({"images": images})
    (error,) = refused.value.errors()
    assert error["loc"] == place
    assert reason in error["msg"]


def test_the_schema_tells_the_shape() -> None:
    rows = Request.model_json_schema()["properties"]["images"]["items"]["anyOf"]
    assert [(row["maxItems"], row["items"].get("maxItems")) for row in rows] == [
        (64, None),
        (8, 8),
        (784, None),
        (28, 28),
    ]
    assert rows[1]["items"]["items"] == {"type": "integer", "minimum": 0, "maximum": 16}


# --- MNIST, from a host of our own with pictures of our own ---------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served; in it files of MNIST's names and format, whose digests are taken for MNIST's."""
    folder = tmp_path / "host"
    folder.mkdir()
    files = {}
    for part, rows in (("train", 120), ("t10k", 30)):
        numbers = np.random.default_rng(rows)
        labels = numbers.integers(0, 10, rows).astype(np.uint8)
        images = (numbers.random((rows, 28, 28)) * 40 + labels[:, None, None] * 20).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">i4").tobytes()
            content, name = header + array.tobytes(), f"{part}-{kind}-ubyte"
            compressed = gzip.compress(content, mtime=0)
            (folder / f"{name}.gz").write_bytes(compressed)
            md5 = hashlib.md5(compressed, usedforsecurity=False).hexdigest()
            files[name] = idx.File(md5, hashlib.sha256(content).hexdigest())
    assert set(files) == set(data.MNIST)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(data, "MNIST", files)
    # The first host does not answer, so the second is asked.
    monkeypatch.setattr(data, "HOSTS", ("http://127.0.0.1:9", f"http://127.0.0.1:{server.server_port}"))
    yield folder
    server.shutdown()
    server.server_close()


def test_mnist_is_fetched_and_its_own_test_set_is_kept(host: Path, tmp_path: Path) -> None:
    folder = processed(tmp_path, source="mnist")
    sizes = {split: len(pictures.targets(folder / f"{split}.parquet")) for split in ("train", "validation", "test")}
    assert sizes["test"] == 30
    assert sizes["train"] + sizes["validation"] == 120
    assert pictures.images(folder / "test.parquet").shape == (30, 784)
    asked = spec(folder, epochs=1)
    result = run(asked, tmp_path / "out")
    assert result.parity is not None
    assert result.parity.holds
    predictor = Predictor.load(tmp_path / "out" / "artifacts", NoServices())
    assert len(predictor.predict(Request.model_validate(data.example(folder / "test.parquet", 2)))) == 2
    with pytest.raises(InvalidInput, match="pictures of 28 x 28"):
        predictor.inputs(Request.model_validate({"images": [[0] * 64]}))


def test_a_changed_file_is_refused_and_no_other_source_is_taken(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = host / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1] + b"\x03", mtime=0))
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte.gz has MD5 .*; it was not used"):
        processed(tmp_path, source="mnist")
    monkeypatch.setattr(data, "HOSTS", ("http://127.0.0.1:9",))
    (tmp_path / "away").mkdir()
    with pytest.raises(ConnectionError, match="MNIST could not be got"):
        processed(tmp_path / "away", source="mnist")


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x01\0\0\0\x02a", b"\0\0\x0d\x01\0\0\0\x01a", b"<html>"])
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="is no IDX file"):
        idx.read(tmp_path, "train")


# --- on the platform ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def delivered(world: World) -> Delivered:
    """Digits' first version, from its data tag on."""
    version = world.release(DIGITS)
    return Delivered(DIGITS, version, world.sensed(DIGITS, version))


def predict(world: World, delivered: Delivered, version: object = None) -> dict:
    """The endpoint's answer, by a version where one is named."""
    file = world.resources.registry.files("digits", delivered.version)[TEST]
    query = f"?version={version}" if version else ""
    url = f"{world.resources.serving.address('digits')}/predict{query}"
    body = json.dumps(data.example(file, 2)).encode()
    with urlopen(HttpRequest(url, body, {"Content-Type": "application/json"}), timeout=60) as response:
        return json.load(response) | {"header": response.headers["X-Model-Version"]}


@pytest.mark.platform
def test_three_variants_are_trained_registered_and_the_best_is_live(world: World, delivered: Delivered) -> None:
    assert delivered.run.is_success, world.said(delivered.run.run_id)
    candidates = world.resources.ledger.candidates.of("digits", delivered.version)
    assert {one.variant for one in candidates} == {"small", "wide", "dropout"}
    figures = {one.number: one.metrics["validation_accuracy"] for one in candidates}
    current = world.resources.ledger.current("digits")
    assert current is not None
    assert figures[current.number] == max(figures.values())
    model = world.materialization("models", "digits", delivered.version)
    assert model.tags["dagster/data_version"] == current.digest
    records = (
        model.metadata["variants"].value.records
        if hasattr(model.metadata["variants"].value, "records")
        else (model.metadata["variants"].records)
    )
    assert {record.data["variant"] for record in records} == {"small", "wide", "dropout"}
    assert "](data:image/png;base64,iVBOR" in model.metadata["variants compared"].value
    answer = predict(world, delivered)
    assert answer["version"] == answer["header"] == current.version


@pytest.mark.platform
def test_any_registered_version_answers_and_is_traced(world: World, delivered: Delivered) -> None:
    current = world.resources.ledger.current("digits")
    assert current is not None
    other = next(one for one in world.resources.ledger.candidates.of("digits") if one.number != current.number)
    answer = predict(world, delivered, other.number)
    assert (answer["version"], answer["header"], answer["release_id"]) == (str(other.number), str(other.number), None)
    assert answer["model_uri"] == other.model_uri
    assert predict(world, delivered, current.version)["release_id"] == current.id

    def traced() -> lineage.Trace | None:
        try:
            return lineage.trace(answer["prediction_id"], world.resources)
        except lineage.NotFound:
            return None

    found = until(traced)
    assert found.release is None
    assert (found.model["uri"], found.model["variant"]) == (other.model_uri, other.variant)
    assert found.run["mlflow"] == other.run_id
    assert found.intact
    (touched,) = lineage.impact(f"digits-v{delivered.version}", world.resources)
    assert touched.predictions >= 2
    with urlopen(f"{world.resources.serving.address('digits')}/versions", timeout=30) as response:
        told = json.load(response)
    assert {one["variant"] for one in told["versions"]} == {"small", "wide", "dropout"}
    assert [one["version"] for one in told["versions"] if one["live"]] == [current.version]
    with pytest.raises(HTTPError) as refused:
        predict(world, delivered, "9.9.9")
    assert refused.value.code == 404


@pytest.mark.platform
def test_any_variant_may_be_released_by_hand(world: World, delivered: Delivered) -> None:
    mechanism, before = releasing(model_of(DIGITS), world.resources), world.resources.ledger.current("digits")
    assert before is not None
    other = next(one for one in world.resources.ledger.candidates.of("digits") if one.number != before.number)
    outcome = mechanism.override(other, "a person", "another one is enough")
    assert outcome.release is not None
    assert (outcome.release.number, outcome.release.previous) == (other.number, before.id)
    assert world.resources.tracking.registry.aliases("digits")["champion"] == other.number
