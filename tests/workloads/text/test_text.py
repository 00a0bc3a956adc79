"""Text's search on a real Ray: early stopping, killed trials, a killed search; and the model that comes of it."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydantic import ValidationError
from text_support import TEXT, made
from workload_support import children_named, program, spec_of

from resources.settings import REPOSITORY
from workloads.sdk.contract import TIERS
from workloads.sdk.kits.texts.onnx import LONGEST, MOST_TEXTS
from workloads.sdk.programs.spec import Result
from workloads.sdk.programs.training.run import NoServices, run
from workloads.text.predict import Predictor

EPOCHS, TRIALS = 4, 16
PARAMETERS = {"trials": TRIALS, "epochs": EPOCHS, "length": 16, "vocabulary": 1500, "width": 32, "layers": 1}
SCORE = "validation_accuracy"


Searched = tuple[Path, Result, list[str]]


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("texts"), each=60)


@pytest.fixture(scope="module")
def ray_address():
    import ray

    context = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["address"]
    ray.shutdown()


@pytest.fixture(scope="module")
def searched(splits: Path, ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search that lost a trial's process, was then killed itself, and was gone on with; all its progress."""
    folder = tmp_path_factory.mktemp("searched")
    asked = spec_of(splits, "workloads.text", parameters=PARAMETERS, tier=TIERS[TEXT.tier])
    asked = asked.model_copy(update={"checkpoints": folder / "checkpoints"})
    (folder / "spec.json").write_text(asked.model_dump_json())
    job = program(
        "--spec", folder / "spec.json", "--out", folder / "first",
        module="workloads.text.train", RAY_ADDRESS=ray_address,
    )  # fmt: skip
    said: list[str] = []
    lost = False
    for line in iter(job.stdout.readline, ""):
        said.append(line[7:].strip())
        over = re.search(rf"(\d+) of {TRIALS} trials are over", said[-1])  # two may end between two lines
        if over and int(over[1]) >= 1 and not lost and (training := workers()):  # none, between two trials
            training[0].send_signal(signal.SIGKILL)
            lost = True
        if over and int(over[1]) >= 5:
            job.kill()
            break
    _, errors = job.communicate()
    assert job.returncode == -signal.SIGKILL, "\n".join(said) + errors
    assert lost
    result = run(asked, folder / "second", lambda share, text: said.append(text))
    return folder / "second", result, said


def workers() -> list[psutil.Process]:
    """The processes that train a trial now."""
    return children_named("Trainable")


def test_search_goes_on_where_it_was_killed(searched: Searched):
    _, result, said = searched
    assert result.resumed_from == "the search"
    assert "going on with the search" in said
    assert {trial.name for trial in result.trials} == {f"trial-{number:02}" for number in range(1, TRIALS + 1)}
    assert [trial.state for trial in result.trials if trial.state == "failed"] == []
    epochs = [line.partition(",")[0] for line in said if ": epoch " in line]
    # A kill costs each trial under way at most the epoch that it was in and one that was not written down yet.
    assert len(epochs) - len(set(epochs)) <= 6, epochs
    assert result.metrics["epochs_spent"] == sum(len(trial.curves["train_loss"]) for trial in result.trials)


def test_search_stops_what_promises_little(searched: Searched):
    trials = searched[1].trials
    stopped = [trial for trial in trials if trial.state == "stopped"]
    assert len(stopped) >= TRIALS / 4
    assert all(len(trial.curves[SCORE]) < EPOCHS for trial in stopped)
    assert all(len(trial.curves[SCORE]) == EPOCHS for trial in trials if trial.state == "finished")
    assert searched[1].metrics["share_of_all_epochs"] <= 0.6


def test_best_trial_is_the_model(searched: Searched):
    out, result, _ = searched
    (best,) = (trial for trial in result.trials if trial.best)
    assert best.metrics[SCORE] == max(trial.metrics[SCORE] for trial in result.trials)
    assert result.metrics[SCORE] == pytest.approx(best.metrics[SCORE], abs=1e-9)  # of the served form, on the same rows
    about = Predictor.load(out / "artifacts", NoServices()).about
    assert {name: about[name] for name in ("width", "layers", "dropout")} == {
        name: best.parameters[name] for name in ("width", "layers", "dropout")
    }
    assert result.curves == best.curves
    assert {"parallel_coordinates.png", "learning_curves.png", "confusion_matrix.png"} <= set(result.plots)


def test_served_form_decides_as_the_trained_one(searched: Searched):
    result = searched[1]
    assert result.parity is not None
    assert result.parity.holds
    files = {file.path for file in result.artifacts.files}
    assert files == {"golden.json", "model.onnx", "model.safetensors", "tokenizer.json"}
    for file in (searched[0] / "artifacts").iterdir():
        assert str(REPOSITORY).encode() not in file.read_bytes(), file.name


def test_same_candidate_gives_the_same_model_wherever_it_is_trained(searched: Searched, splits: Path, tmp_path: Path):
    """Killed or not, beside others or alone, as a trial or through the kit: the figures are the same to the bit."""
    from workloads.sdk.contract import TrainingJob
    from workloads.sdk.kits.texts.transformers import train
    from workloads.text.data import classes_of

    finished = next(trial for trial in searched[1].trials if trial.state == "finished")
    parameters = TEXT.parameters(**{**PARAMETERS, **finished.parameters})
    figures = []
    for name in ("one", "two"):
        folders = {each: tmp_path / name / each for each in ("artifacts", "plots", "checkpoints")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        data = {split: splits / f"{split}.parquet" for split in ("train", "validation")}
        job = TrainingJob(data=data, parameters=parameters, tier=TIERS["cpu-small"], **folders)
        result = train(job, classes_of(data["train"]))
        figures.append([result.curves, (folders["artifacts"] / "model.onnx").read_bytes()])
    assert figures[0] == figures[1]
    assert figures[0][0] == finished.curves


def test_answers_are_what_the_schema_says(searched: Searched, splits: Path):
    predictor = Predictor.load(searched[0] / "artifacts", NoServices())
    body = TEXT.resolve(TEXT.example)(splits / "test.parquet", 9)
    body["texts"].append("word " * 1500)
    answers = predictor.predict(Predictor.Request.model_validate(body))
    for answer in answers:
        assert Predictor.Prediction.model_validate(answer).model_dump() == answer
        assert answer["confidence"] == max(answer["probabilities"].values()) == answer["probabilities"][answer["label"]]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    alone = [predictor.outputs([text]) for text in body["texts"]]
    assert np.abs(np.concatenate(alone) - predictor.outputs(body["texts"])).max() < 1e-5


@pytest.mark.parametrize("wrong", [[], [""], ["a" * (LONGEST + 1)], ["a"] * (MOST_TEXTS + 1), [3], "a", [None]])
def test_requests_that_are_no_texts_are_refused(wrong):
    with pytest.raises(ValidationError, match="texts"):
        Predictor.Request.model_validate({"texts": wrong})


@pytest.mark.parametrize("text", ["\x00", "\U0001f600" * 50, "   ", "मानक"])
def test_strange_texts_are_answered(searched: Searched, text: str):
    predictor = Predictor.load(searched[0] / "artifacts", NoServices())
    (answer,) = predictor.predict(Predictor.Request.model_validate({"texts": [text]}))
    assert np.isfinite(answer["confidence"])


def test_serving_loads_no_training_library(searched: Searched):
    program = (
        "import sys; from pathlib import Path; from workloads.text.predict import Predictor\n"
        "found = Predictor.load(Path(sys.argv[1]), None).outputs(['one text'])\n"
        "assert found.shape == (1, 10), found\n"
        "assert not {'torch', 'transformers', 'ray', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, searched[0] / "artifacts"], check=True)


def test_golden_rows_are_of_the_request():
    golden = json.loads((TEXT.folder / "golden.json").read_text())
    labels = TEXT.resolve("data:SOURCES")["docstrings"].classes
    for item in golden:
        assert len(Predictor.Request.model_validate(item["request"]).texts) == 1
        assert item["answer"]["label"] in labels


def test_published_weights_are_what_training_begins_with(splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The published network's own format, with a tiny one in its place: the hub may be away."""
    from safetensors.torch import save_file

    from workloads.sdk.kits.texts.transformers import Fit, Rows, network, tokenizer_of
    from workloads.text import pretrained

    sizes = {"width": 32, "heads": 1, "hidden": 64, "layers": 1, "positions": 24}
    own = tokenizer_of(["some words to learn from, some words"] * 9, 60, 24)
    tiny = network({**sizes, "vocabulary": own.get_vocab_size(), "outputs": 2, "dropout": 0.1})
    save_file(
        {**tiny.state_dict(), "vocab_projector.bias": tiny.classifier.bias.clone()}, tmp_path / "model.safetensors"
    )
    own.save(str(tmp_path / "tokenizer.json"))
    tokenizer = pretrained.tokenizer(tmp_path, 16)
    rows = Rows.read(splits / "validation.parquet", tokenizer, TEXT.resolve("data:SOURCES")["docstrings"].classes)
    fit = Fit(TEXT.parameters(**PARAMETERS), rows, rows, sizes=sizes, weights=pretrained.weights(tmp_path))
    assert fit.about["width"] == 32
    for name, value in tiny.distilbert.state_dict().items():
        assert (fit.net.distilbert.state_dict()[name] == value).all(), name
    assert fit.epoch()["train_loss"] > 0


def test_a_tokenizer_knows_the_letters_of_any_script_and_keeps_its_vowel_signs() -> None:
    from workloads.sdk.kits.texts.transformers import UNKNOWN, tokenizer_of

    many = [chr(0x4E00 + at) for at in range(1200)]  # more characters than an alphabet has
    corpus = ["".join(many[at : at + 12]) for at in range(0, 1200, 12)] * 2 + ["की कि", "й и", "👍 👎"] * 5
    tokenizer = tokenizer_of(corpus, 6000, 64)
    for text in (corpus[0], corpus[50], "👍 👎"):
        assert UNKNOWN not in tokenizer.encode(text).tokens
    for one, other in (("की", "कि"), ("й", "и"), ("👍", "👎")):
        assert tokenizer.encode(one).ids != tokenizer.encode(other).ids
