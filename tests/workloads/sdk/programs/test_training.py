"""The program behind `python -m <workload>.train`, run for real on wine."""

import json
import shutil
from pathlib import Path

import pytest
from workload_support import REPOSITORY, program, spec_of, splits_of_wine

from workloads.sdk.artifacts import BrokenArtifacts, Manifest
from workloads.sdk.contract import TEST, TRAIN, Tier
from workloads.sdk.programs.data_pipeline import sentence
from workloads.sdk.programs.spec import RESULT, Result, Spec, finished
from workloads.sdk.programs.training import main
from workloads.sdk.programs.training.run import TrainingError, run


@pytest.fixture(scope="module")
def wine_splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return splits_of_wine(tmp_path_factory.mktemp("wine"))


@pytest.fixture(scope="module")
def trained(wine_splits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Spec, Path, Result]:
    out, spec = tmp_path_factory.mktemp("trained"), spec_of(wine_splits)
    return spec, out, run(spec, out)


def test_result_says_what_was_made(trained: tuple[Spec, Path, Result]):
    spec, out, result = trained
    assert Result.model_validate_json((out / RESULT).read_text()) == result
    assert result.spec_hash == spec.hash
    assert result.digest == Manifest.read(out / "artifacts").digest
    assert {file.path for file in result.artifacts.files} == {"golden.json", "model.onnx", "model.skops"}
    assert {"train_accuracy", "validation_accuracy", "test_accuracy", "test_log_loss"} <= set(result.metrics)
    assert all((out / "plots" / name).read_bytes().startswith(b"\x89PNG") for name in result.plots)
    assert {"confusion_matrix.png", "accuracy_by_class.png"} == set(result.plots)
    assert set(result.seconds) == {"verify", "train", "load", "parity", "evaluate"}
    assert result.versions["scikit-learn"]


def test_a_picture_that_cannot_be_drawn_costs_a_warning_and_never_the_model(
    trained: tuple[Spec, Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec, _, whole = trained
    assert whole.warnings == []

    def broken(*_: object) -> None:
        raise ValueError("no\nfont")

    monkeypatch.setattr("workloads.sdk.plots.bars", broken)
    lines: list[str] = []
    result = run(spec, tmp_path, lambda share, text: lines.append(text))
    assert (result.digest, result.metrics) == (whole.digest, whole.metrics)
    (warning,) = result.warnings
    assert warning.endswith("could not be drawn: ValueError: no font")
    assert f"warning: {warning}" in lines
    assert result.plots == ["confusion_matrix.png"]  # what came before it


def test_data_that_cannot_be_made_ends_a_training_by_hand_in_one_sentence(capsys, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ValueError("rows.csv, line 7: 'a' is 'x', which is no finite number")

    monkeypatch.setattr("workloads.wine.data.process", broken)
    with pytest.raises(SystemExit) as ended:
        main("workloads.wine", [])
    said = "training failed: the data cannot be made: rows.csv, line 7: 'a' is 'x', which is no finite number"
    assert ended.value.code == said
    assert "Traceback" not in capsys.readouterr().err


def test_valid_result_is_taken_and_damaged_one_is_not(trained: tuple[Spec, Path, Result], tmp_path: Path):
    spec, out, result = trained
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    lines: list[str] = []
    assert run(spec, copy, lambda share, text: lines.append(text)) == result
    assert len(lines) == 1
    other = spec.model_copy(update={"parameters": {"trees": 6}})
    assert finished(other, copy) is None
    model = copy / "artifacts" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    assert finished(spec, copy) is None
    assert run(spec, copy).digest == result.digest  # trained again, to the same bytes
    (copy / RESULT).write_text((copy / RESULT).read_text()[:100])
    assert finished(spec, copy) is None


def test_hash_is_of_what_determines_the_result(wine_splits: Path, tmp_path: Path):
    spec = spec_of(wine_splits)
    elsewhere = spec_of(Path(shutil.copytree(wine_splits, tmp_path / "elsewhere")))
    assert spec.hash == elsewhere.hash
    for same in ({"checkpoints": tmp_path}, {"data_version": "1.2.0"}):
        assert spec.model_copy(update=same).hash == spec.hash
    changes = [{"parameters": {}}, {"code_version": "a"}, {"data_digest": "b"}, {"tier": Tier(workers=2)}]
    hashes = {spec.model_copy(update=change).hash for change in changes} | {spec.hash}
    assert len(hashes) == len(changes) + 1
    (elsewhere.data[TEST].path).write_bytes(b"other")
    assert spec_of(tmp_path / "elsewhere").hash not in hashes


def test_changed_or_missing_data_is_not_trained_on(wine_splits: Path, tmp_path: Path):
    spec = spec_of(Path(shutil.copytree(wine_splits, tmp_path / "splits")))
    file = spec.data[TEST].path
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(TrainingError, match=r"test\.parquet was changed"):
        run(spec, tmp_path / "out")
    file.unlink()
    with pytest.raises(TrainingError, match=r"missing: .*test\.parquet"):
        run(spec, tmp_path / "out")
    assert not (tmp_path / "out" / RESULT).exists()


def test_killed_before_its_end_it_leaves_no_result_and_runs_again(wine_splits: Path, tmp_path: Path):
    spec = spec_of(wine_splits, checkpoints=tmp_path / "checkpoints")
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    process = program("--spec", tmp_path / "spec.json", "--out", tmp_path / "out")
    assert process.stdout
    for line in process.stdout:
        if line.endswith("evaluating\n"):  # everything but the result is there
            process.kill()
            break
    process.communicate()
    assert process.returncode == -9
    assert (tmp_path / "out" / "artifacts" / "manifest.json").exists()
    assert not list((tmp_path / "out").glob("result*"))
    again = program("--spec", tmp_path / "spec.json", "--out", tmp_path / "out")
    output, errors = again.communicate()
    assert again.returncode == 0, errors
    assert output.count("[") >= 5
    assert finished(spec, tmp_path / "out") is not None


def test_failed_job_says_why_in_its_last_line(wine_splits: Path, tmp_path: Path):
    spec = spec_of(wine_splits)
    spec.data[TRAIN].sha256 = "0" * 64
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    process = program("--spec", tmp_path / "spec.json", "--out", tmp_path / "out")
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("training failed: ")
    assert "train.parquet was changed" in errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-depth", "99"], "--max-depth: input should be less than or equal to 64 (got '99')"),
        (["--trees", "many"], "--trees: input should be a valid integer"),
        (["--max-features", "nan"], "--max-features: "),
        (["--data-source", "elsewhere"], "--data-source: input should be 'scikit-learn' or 'quality'"),
        (["--depth", "3"], "unrecognized arguments: --depth"),
        (["--data", "/nowhere"], "--data: /nowhere has no train.parquet"),
        (["--spec", "/nowhere.json"], "/nowhere.json cannot be read"),
    ],
)
def test_wrong_flags_are_refused_with_the_reason(arguments: list[str], message: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as left:
        main("workloads.wine", arguments)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_wrong_specs_are_refused(wine_splits: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    for changed, message in (
        ({"parameters": {"trees": 0}}, "--trees"),
        ({"parameters": {"leaves": 1}}, "--leaves"),
        ({"package": "workloads.fashion_mnist"}, "is a spec of workloads.fashion_mnist"),
    ):
        (tmp_path / "spec.json").write_text(spec_of(wine_splits, **changed).model_dump_json())
        with pytest.raises(SystemExit) as left:
            main("workloads.wine", ["--spec", str(tmp_path / "spec.json"), "--out", str(tmp_path)])
        assert left.value.code == 2
        assert message in capsys.readouterr().err


def test_help_names_every_parameter_with_description_and_bounds(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as left:
        main("workloads.wine", ["--help"])
    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--max-depth int|none Depth that no tree exceeds; none: no bound. (at least 1, at most 64" in text
    assert "--data-corruption" in text


def test_by_hand_in_a_package_of_another_name(tmp_path: Path):
    """A team's own repository: the same program, its own package, its own pipeline fetched and processed."""
    package = tmp_path / "team" / "churn"
    shutil.copytree(REPOSITORY / "workloads" / "wine", package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in package.glob("*.py"):
        text = (
            file.read_text()
            .replace("workloads.wine", "team.churn")
            .replace('name="wine",\n    desc', 'name="churn",\n    desc')
        )
        file.write_text(text)
    process = program("--trees", "4", "--max-depth", "none", "--json", module="team.churn.train", folder=tmp_path)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    result = Result.model_validate_json(output)
    assert result.artifacts.package == "team.churn"
    assert "comes from scikit-learn" in errors
    assert result.metrics["nodes"] < 200


def test_manifest_notices_every_change(trained: tuple[Spec, Path, Result], tmp_path: Path):
    folder = Path(shutil.copytree(trained[1] / "artifacts", tmp_path / "artifacts"))
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    golden = folder / "golden.json"
    kept = golden.read_bytes()
    golden.write_bytes(kept.replace(b"0", b"1", 1))
    with pytest.raises(BrokenArtifacts, match=r"golden\.json was changed"):
        manifest.verify(folder)
    golden.unlink()
    with pytest.raises(BrokenArtifacts, match=r"lacks the file golden\.json"):
        manifest.verify(folder)
    golden.write_bytes(kept)
    listed = json.loads((folder / "manifest.json").read_text())
    listed["files"][0]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(listed))
    with pytest.raises(BrokenArtifacts, match="its digest is not that of its list"):
        Manifest.read(folder).verify(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(BrokenArtifacts, match=r"no readable manifest\.json"):
        Manifest.read(folder)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (IsADirectoryError(21, "Is a directory", "/data/rows.csv"), "/data/rows.csv: Is a directory"),
        (ValueError("rows.csv, line 2:\n'a' is 'x'"), "rows.csv, line 2: 'a' is 'x'"),
        (ConnectionError("https://host could not be read: Not Found"), "https://host could not be read: Not Found"),
        (ValueError(), "ValueError"),
    ],
)
def test_what_a_stage_of_the_data_says_is_one_sentence(error: Exception, said: str):
    assert sentence(error) == said
