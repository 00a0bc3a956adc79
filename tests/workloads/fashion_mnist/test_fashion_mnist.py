"""Fashion-MNIST's training on a real Ray, its recovery from killed processes, and its served form.

The pictures are scikit-learn's handwritten digits, drawn larger: ten classes that are learned in seconds.
"""

import json
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydantic import ValidationError
from workload_support import children_named, program, spec_of

from resources.settings import REPOSITORY
from workloads.fashion_mnist.data import IMAGE, LABELS
from workloads.fashion_mnist.predict import Predictor
from workloads.sdk.contract import TIERS
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import ROW_ID, TARGET, write_split
from workloads.sdk.programs.spec import Result, Spec
from workloads.sdk.programs.training.run import NoServices, run

FASHION = workload_of("workloads.fashion_mnist")
PARAMETERS = {"epochs": 4, "batch_size": 32}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import pyarrow as pa
    from sklearn.datasets import load_digits

    folder, digits = tmp_path_factory.mktemp("digits"), load_digits()
    large = np.kron(digits.images, np.ones((3, 3))) * 255 / 16
    pixels = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype(np.uint8).reshape(-1, 784)
    for split, start, rows in (("train", 0, 1200), ("validation", 1200, 200), ("test", 1400, 200)):
        chosen = slice(start, start + rows)
        pictures = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels[chosen])
        ids, wanted = [f"{split}{row}" for row in range(rows)], digits.target[chosen].astype(np.uint8)
        write_split({ROW_ID: ids, IMAGE: pictures, TARGET: wanted}, folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def ray_address():
    """A Ray of this module's own, with just the two CPUs that two workers take."""
    import ray

    context = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["address"]
    ray.shutdown()


def spec(splits: Path, **parameters) -> Spec:
    tier = TIERS[FASHION.tier]
    return spec_of(splits, "workloads.fashion_mnist", parameters={**PARAMETERS, **parameters}, tier=tier)


@dataclass(frozen=True)
class Trained:
    """A training that lost a worker, was killed itself, and was gone on with; what it said before and after."""

    out: Path
    result: Result
    first: list[str]
    second: list[str]


@pytest.fixture(scope="module")
def trained(splits: Path, ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    asked = spec(splits).model_copy(update={"checkpoints": folder / "checkpoints"})
    (folder / "spec.json").write_text(asked.model_dump_json())
    job = program(
        "--spec", folder / "spec.json", "--out", folder / "first",
        module="workloads.fashion_mnist.train", RAY_ADDRESS=ray_address,
    )  # fmt: skip
    first: list[str] = []
    for line in iter(job.stdout.readline, ""):
        first.append(line[7:].strip())
        if first[-1].startswith("epoch 2 of 4") and not any(seen.startswith("going on") for seen in first):
            workers()[0].send_signal(signal.SIGKILL)
        if first[-1].startswith("epoch 3 of 4"):
            job.kill()
            break
    _, errors = job.communicate()
    assert job.returncode == -signal.SIGKILL, "\n".join(first) + errors
    assert not (folder / "first" / "result.json").exists()
    second: list[str] = []
    result = run(asked, folder / "second", lambda share, text: second.append(text))
    return Trained(folder / "second", result, first, second)


def test_network_learns_over_two_workers(trained: Trained):
    result = trained.result
    assert result.metrics["test_accuracy"] > 0.6
    assert {name: len(values) for name, values in result.curves.items()} == {
        "train_loss": 4, "validation_loss": 4, "validation_accuracy": 4,
    }  # fmt: skip
    assert result.curves["train_loss"][3] < result.curves["train_loss"][0]
    assert {file.path for file in result.artifacts.files} == {"golden.json", "model.onnx", "model.safetensors"}
    assert {"learning_curves.png", "confusion_matrix.png", "surest_mistakes.png"} <= set(result.plots)


def test_a_lost_worker_and_a_killed_job_cost_an_epoch_each(trained: Trained):
    assert sum(line.startswith("going on from checkpoint_") for line in trained.first) == 1
    assert sum(line.startswith("epoch 1 of 4") for line in trained.first) == 1
    assert str(trained.result.resumed_from).startswith("checkpoint_")
    assert not any(line.startswith(("epoch 1 of 4", "epoch 2 of 4")) for line in trained.second)


def test_served_form_decides_as_the_trained_one(trained: Trained):
    parity = trained.result.parity
    assert parity is not None
    assert parity.holds
    assert (parity.rows, parity.tolerance) == (400, 1e-4)


def test_artifacts_say_nothing_of_the_machine(trained: Trained):
    for file in (trained.out / "artifacts").iterdir():
        assert str(REPOSITORY).encode() not in file.read_bytes(), file.name


def workers() -> list[psutil.Process]:
    """The processes of this Ray's training workers."""
    return children_named("RayTrainWorker")


def test_resnet18_has_both_forms_and_they_agree(tmp_path: Path):
    import torch

    from workloads.fashion_mnist.model import network, reference, save

    torch.manual_seed(0)
    save(network("resnet18"), "resnet18", list(LABELS), tmp_path)
    predictor = Predictor.load(tmp_path, NoServices())
    pixels = np.random.default_rng(0).integers(0, 256, (5, 784), dtype=np.uint8)
    assert np.abs(reference(tmp_path, pixels) - predictor.outputs(pixels)).max() <= 1e-4
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "model.safetensors"}  # no second weights file


def test_answers_are_what_the_schema_says(trained: Trained, splits: Path):
    predictor = Predictor.load(trained.out / "artifacts", NoServices())
    body = FASHION.resolve(FASHION.example)(splits / "test.parquet", 6)
    answers = predictor.predict(Predictor.Request.model_validate(body))
    lines = {"images": [np.reshape(image, (28, 28)).tolist() for image in body["images"]]}
    assert predictor.predict(Predictor.Request.model_validate(lines)) == answers
    for answer in answers:
        assert Predictor.Prediction.model_validate(answer).model_dump() == answer
        assert answer["class_name"] == LABELS[answer["class_id"]]
        assert 0 < answer["confidence"] <= 1


@pytest.mark.parametrize("images", [[], [[0] * 783], [[256] + [0] * 783], [[0.5] * 784], [["0"] * 784], "0"])
def test_requests_that_are_no_pictures_are_refused(images):
    with pytest.raises(ValidationError, match="images"):
        Predictor.Request.model_validate({"images": images})


def test_golden_rows_are_one_picture_of_each_class():
    golden = json.loads((FASHION.folder / "golden.json").read_text())
    assert [item["answer"] for item in golden] == [
        {"class_id": number, "class_name": name} for number, name in enumerate(LABELS)
    ]
    for item in golden:
        assert Predictor.Request.model_validate(item["request"]).images.shape == (1, 784)
