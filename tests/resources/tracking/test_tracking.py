"""MLflow, on a real server: runs outlive their process, and only one environment is ever written."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow import artifacts as mlflow_artifacts

from resources.settings import Settings
from resources.tracking import Gone, Tracking, TrackingUnavailable
from workloads.sdk.contract import Trial

TAGS = {"data.tag": "echo-v1.0.0", "data.digest": "d", "code.commit": "c", "code.dirty": "false", "seed": "42"}


@pytest.fixture(scope="module")
def tracking(mlflow: Settings) -> Tracking:
    return Tracking(mlflow.model_copy(update={"env": "tracktest"}))


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_").lower()[:60]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"1234")
    return folder


def register(tracking: Tracking, target: str, model: Path, key: str = "one", digest: str = "d1") -> int:
    run = tracking.runs.open(target, key, key, {})
    uri = tracking.runs.log_files(run, model, "model")
    return tracking.registry.register(target, run, uri, {"digest": digest})


def test_a_run_carries_what_it_came_from(tracking: Tracking, target: str, model: Path) -> None:
    run = tracking.runs.open(target, "key", "a name", TAGS)
    (model / "curve.png").write_bytes(b"png")
    for _ in range(2):  # as a step does that is tried again
        tracking.runs.log(
            run, {"depth": 3, "none": None}, {"right": 0.9}, {"loss": [3.0, 2.0, 1.5]}, {"more": "x" * 9000}
        )
        uri = tracking.runs.log_files(run, model, "plots")
    tracking.runs.close(run)
    found = tracking.client.get_run(run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "a name"
    assert found.data.params == {"depth": "3", "none": "None"}
    assert found.data.metrics == {"right": 0.9, "loss": 1.5}
    assert TAGS.items() <= found.data.tags.items()
    history = tracking.client.get_metric_history(run, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (1, 2.0), (2, 1.5)]
    assert len(tracking.client.get_metric_history(run, "right")) == 1
    assert tracking.runs.artifacts(uri, "any") == Path(found.info.artifact_uri.removeprefix("file://")) / "plots"
    assert (tracking.runs.artifacts(uri, "any") / "curve.png").read_bytes() == b"png"
    assert run in tracking.runs.url(run)


def test_a_final_value_is_no_point_of_the_curve_before_it(tracking: Tracking, target: str) -> None:
    run = tracking.runs.open(target, "key", "a name", {})
    for _ in range(2):
        tracking.runs.log(run, metrics={"last": 2.0, "best": 1.0}, curves={"last": [1.0, 2.0], "best": [1.0, 2.0]})
    points = {
        name: [(point.step, point.value) for point in tracking.client.get_metric_history(run, name)]
        for name in ("last", "best")
    }
    assert points == {"last": [(0, 1.0), (1, 2.0)], "best": [(0, 1.0), (1, 2.0), (2, 1.0)]}
    assert tracking.client.get_run(run).data.metrics == {"last": 2.0, "best": 1.0}


def test_trials_are_runs_below_their_models_run(
    tracking: Tracking, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = tracking.runs.open(target, "key", "a name", TAGS)
    trials = [
        Trial("one", {"depth": 3, "rate": 0.1}, {"validation_right": 0.9}, {"loss": [3.0, 2.0]}, best=True, seconds=2),
        Trial("two", {"depth": 4, "rate": 0.2}, {"validation_right": 0.4}, {"loss": [4.0]}, state="stopped"),
        Trial("three", {"depth": 5, "rate": 9.0}, state="failed"),
    ]
    ended: list[str] = []

    def end_of_one(run_id: str, status: str, when: int) -> None:
        if ended:
            raise KeyboardInterrupt  # in the middle of the second
        ended.append(run_id)
        MlflowClient.set_terminated(tracking.client, run_id, status, when)

    monkeypatch.setattr(tracking.client, "set_terminated", end_of_one)
    with pytest.raises(KeyboardInterrupt):
        tracking.runs.log_trials(parent, trials)
    monkeypatch.undo()
    for _ in range(2):
        tracking.runs.log_trials(parent, trials)
    experiment = tracking.client.get_run(parent).info.experiment_id
    children = tracking.client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    found = {child.info.run_name: child for child in children}
    assert len(children) == len(found) == 3
    assert {name: (child.info.status, child.data.tags["trial.state"]) for name, child in found.items()} == {
        "one": ("FINISHED", "finished"), "two": ("FINISHED", "stopped"), "three": ("FAILED", "failed"),
    }  # fmt: skip
    assert [name for name, child in found.items() if child.data.tags["trial.best"] == "true"] == ["one"]
    assert found["one"].data.params == {"depth": "3", "rate": "0.1"}
    assert found["one"].data.metrics == {"validation_right": 0.9, "loss": 2.0}
    assert found["one"].info.end_time - found["one"].info.start_time == 2000
    points = tracking.client.get_metric_history(found["two"].info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(0, 4.0)]
    assert TAGS.items() <= found["two"].data.tags.items()
    assert tracking.runs.open(target, "key", "a name", {}) == parent


def test_two_models_of_one_process_have_runs_of_their_own(tracking: Tracking, target: str) -> None:
    one, two = (tracking.runs.open(target, key, key, {}) for key in ("root:one", "root:two"))
    tracking.runs.log(one, metrics={"right": 0.1})
    tracking.runs.log(two, metrics={"right": 0.2})
    assert one != two
    assert [tracking.client.get_run(run).data.metrics["right"] for run in (one, two)] == [0.1, 0.2]


def test_a_killed_step_goes_on_with_its_run(tracking: Tracking, target: str) -> None:
    program = (
        "import os, signal, sys\n"
        "from resources.settings import Settings\n"
        "from resources.tracking import Tracking\n"
        "tracking = Tracking(Settings())\n"
        "run = tracking.runs.open(sys.argv[1], 'root:echo', 'first', {})\n"
        "tracking.runs.log(run, {'depth': 3}, {}, {'loss': [3.0, 2.0]})\n"
        "print(run, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "MLOPS_ENV": tracking.settings.env}
    killed = subprocess.run(
        [sys.executable, "-c", program, target], env=environment, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = killed.stdout.strip()
    assert tracking.client.get_run(run).info.status == "RUNNING"

    tracking.client.set_terminated(run, "FAILED")  # as whoever notices may have done
    assert tracking.runs.open(target, "root:echo", "second", {}) == run
    assert tracking.client.get_run(run).info.status == "RUNNING"
    tracking.runs.log(run, {"depth": 3}, {}, {"loss": [3.0, 2.0, 1.0]})
    tracking.runs.close(run)
    found = tracking.client.get_run(run)
    assert (found.info.status, found.data.metrics["loss"]) == ("FINISHED", 1.0)
    assert len(tracking.client.get_metric_history(run, "loss")) == 3


def test_a_run_has_one_version(tracking: Tracking, target: str, model: Path) -> None:
    assert register(tracking, target, model) == 1
    assert register(tracking, target, model) == 1
    assert register(tracking, target, model, key="two") == 2
    assert register(tracking, target, model, key="two", digest="d2") == 3
    version = tracking.client.get_model_version(f"tracktest.{target}", "1")
    assert version.tags["digest"] == "d1"
    assert tracking.runs.artifacts(version.source, "d1").joinpath("weights.bin").read_bytes() == b"1234"
    assert tracking.registry.uri(target, 1) == f"models:/tracktest.{target}/1"
    assert tracking.registry.url(target, 1).endswith(f"/#/models/tracktest.{target}/versions/1")


def test_aliases_are_set_moved_and_removed(tracking: Tracking, target: str, model: Path) -> None:
    assert tracking.registry.aliases(target) == {}
    for key in ("one", "two"):
        register(tracking, target, model, key)
    for number in (1, 2, 2):
        tracking.registry.set_alias(target, "champion", number)
    tracking.registry.set_alias(target, "previous", 1)
    assert tracking.registry.aliases(target) == {"champion": 2, "previous": 1}
    for _ in range(2):
        tracking.registry.set_alias(target, "previous", None)
    assert tracking.registry.aliases(target) == {"champion": 2}
    tracking.registry.tag(target, 2, {"version": "1.0.0"})
    assert tracking.client.get_model_version(f"tracktest.{target}", "2").tags["version"] == "1.0.0"
    assert (tracking.registry.has(target, 2), tracking.registry.has(target, 3)) == (True, False)
    for change in (
        lambda: tracking.registry.set_alias(target, "champion", 3),
        lambda: tracking.registry.tag(target, 3, {"a": "b"}),
    ):
        with pytest.raises(Gone, match="version 3"):
            change()


def test_aliases_of_all_are_found_at_once(tracking: Tracking, target: str, model: Path) -> None:
    register(tracking, target, model)
    tracking.registry.set_alias(target, "champion", 1)
    tracking.prompts.register(f"prompt/{target}", "{question}", {}, "why")
    tracking.registry.set_alias(f"prompt/{target}", "candidate", 1)
    found = tracking.registry.all_aliases()
    assert (found[target], found[f"prompt/{target}"]) == ({"champion": 1}, {"candidate": 1})
    assert not any(name.startswith("trackprod") for name in found)


def test_artifacts_that_another_process_fetched_meanwhile_are_taken(
    tracking: Tracking, target: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tracking, target, model)
    run = tracking.client.get_model_version(f"tracktest.{target}", "1").run_id
    mine, other = (Tracking(tracking.settings.model_copy(update={"home": tmp_path})) for _ in range(2))
    fetch = mlflow_artifacts.download_artifacts
    uri = f"runs:/{run}/model"

    def overtaken(*arguments, **named):
        monkeypatch.setattr(mlflow_artifacts, "download_artifacts", fetch)
        fetched = fetch(*arguments, **named)
        assert other.runs.artifacts(uri, "d1").is_dir()
        return fetched

    monkeypatch.setattr(mlflow_artifacts, "download_artifacts", overtaken)
    folder = mine.runs.artifacts(uri, "d1")
    assert folder.joinpath("weights.bin").read_bytes() == b"1234"
    assert [each.name for each in folder.parent.iterdir()] == ["d1"]


def test_promoting_lists_a_version_elsewhere_and_moves_nothing(tracking: Tracking, target: str, model: Path) -> None:
    register(tracking, target, model)
    there = Tracking(tracking.settings.model_copy(update={"env": "trackprod"}))
    for _ in range(2):
        assert tracking.promote(target, 1, "trackprod", {"digest": "d1"}) == (1, f"trackprod.{target}")
    assert there.registry.aliases(target) == {}
    copy = there.client.get_model_version(f"trackprod.{target}", "1")
    assert copy.source == tracking.client.get_model_version(f"tracktest.{target}", "1").source


@pytest.mark.parametrize("name", ["prod.wine", "../wine", "a b", "", "Wine", "wine' or name like '%"])
def test_no_name_of_another_environment_can_be_written(tracking: Tracking, name: str, model: Path) -> None:
    for touch in (
        lambda: tracking.registry.register(name, "run", "uri", {}),
        lambda: tracking.registry.set_alias(name, "champion", 1),
        lambda: tracking.registry.tag(name, 1, {"a": "b"}),
        lambda: tracking.promote("wine", 1, name, {}),
    ):
        with pytest.raises(ValueError):
            touch()


def test_a_server_that_is_away_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # fewer than the resource's own, to be quick
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and never listening
        port = taken.getsockname()[1]
        embedded = Tracking(Settings(home=tmp_path, mlflow_port=port))
        external = Tracking(Settings(home=tmp_path, mlflow_url=f"http://user:secret@127.0.0.1:{port}"))
        with pytest.raises(TrackingUnavailable, match=rf"127\.0\.0\.1:{port}; run `mlops up`"):
            embedded.registry.aliases("echo")
        with pytest.raises(TrackingUnavailable, match="MLOPS_MLFLOW_URL") as error:
            external.runs.open("echo", "key", "name", {})
        assert "secret" not in str(error.value)


def test_a_deleted_experiment_is_restored_for_the_next_run(tracking: Tracking, target: str) -> None:
    first = tracking.runs.open(target, "one", "one", {})
    experiment = tracking.client.get_run(first).info.experiment_id
    tracking.client.delete_experiment(experiment)
    second = tracking.runs.open(target, "two", "two", {})
    assert tracking.client.get_run(second).info.experiment_id == experiment
    assert tracking.client.get_experiment(experiment).lifecycle_stage == "active"


def test_numbers_go_on_where_a_person_has_deleted_the_registered_model(
    tracking: Tracking, target: str, model: Path
) -> None:
    for key in ("one", "two"):
        register(tracking, target, model, key, digest=key)
    name = tracking.settings.qualified(target)
    tracking.client.delete_registered_model(name)
    run = tracking.runs.open(target, "three", "three", {})
    uri = tracking.runs.log_files(run, model, "model")
    assert tracking.registry.register(target, run, uri, {"digest": "three"}, above=2) == 3
    assert [version.version for version in tracking.client.search_model_versions(f"name = '{name}'")] == ["3"]
    assert tracking.registry.register(target, run, uri, {"digest": "three"}, above=2) == 3


def test_a_run_that_was_purged_is_said_in_one_sentence(tracking: Tracking) -> None:
    with pytest.raises(Gone, match="MLflow has no run 0123 any more"):
        tracking.runs.url("0123")
