"""A team's own repository as a second code location: written by `mlops new` for a file of theirs, without a fork."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from graph_fixtures import World
from patience import until

from mlops_assets import build
from resources.settings import REPOSITORY
from workloads.sdk.contract import DeclarationError
from workloads.sdk.contract.loading import load

pytestmark = pytest.mark.platform


@dataclass(frozen=True)
class Team:
    """A team's repository, outside of this one."""

    folder: Path

    @property
    def models(self) -> Path:
        return self.folder / "team_models"

    def call(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env={**os.environ, "MLOPS_WORKLOADS": str(self.models)},
            capture_output=True,
            text=True,
            check=False,
        )

    def mlops(self, *arguments: str) -> Any:
        """The JSON that a command answers with."""
        run = self.call("mlops_assets.cli", *arguments, "--json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    folder = tmp_path_factory.mktemp("repository") / "team"
    folder.mkdir()
    draw = random.Random(7)
    flats = [(draw.uniform(20, 150), draw.uniform(0, 100), draw.uniform(0, 30)) for _ in range(600)]
    lines = [f"{s:.1f},{a:.0f},{d:.2f},{11 * s - 2 * a - 9 * d + 300 + draw.gauss(0, 20):.0f}" for s, a, d in flats]
    (folder / "flats.csv").write_text("\n".join(["size,age,distance,rent", *lines]))
    team = Team(folder)
    wanted = ("--kind", "plain", "--task", "regression", "--csv", "flats.csv", "--target", "rent")
    made = team.mlops("new", "rent", *wanted, "--into", ".")
    assert made["folder"] == str(team.models / "rent")
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())
    workspace["load_from"].append({"python_file": {"relative_path": made["definitions"], "location_name": "team"}})
    (folder / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    return team


@pytest.fixture(scope="module")
def served(world: World, team: Team) -> Iterator[dict[str, Any]]:
    """The release of the team's data, its pipeline having run as far as the endpoint."""
    released = team.mlops("data", "release", "rent")
    team.mlops("data", "sync")
    job = build(team.models).resolve_job_def("rent_pipeline")
    result = job.execute_in_process(instance=world.instance, partition_key=released["version"], raise_on_error=False)
    assert result.success, world.said(result.run_id)
    yield released
    world.resources.serving.remove("rent")


def test_a_workspace_takes_both_locations(world: World, team: Team) -> None:
    run = team.call("dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert run.returncode == 0, run.stderr
    assert "team" in run.stderr + run.stdout


def test_its_prediction_is_live_and_traced(world: World, team: Team, served: dict[str, Any]) -> None:
    (workload,) = load(team.models)
    answer = world.predict(workload, served["version"], rows=2)
    assert answer["version"] == "1.0.0"
    assert [list(prediction) for prediction in answer["predictions"]] == [["estimate"], ["estimate"]]
    assert all(100 < prediction["estimate"] < 2200 for prediction in answer["predictions"])
    until(lambda: world.resources.predictions.find(UUID(answer["prediction_id"])))  # written in the background
    assert "data/rent/raw/flats.csv" in json.dumps(team.mlops("trace", answer["prediction_id"]))
    assert world.materialization("datasets", "rent", served["version"]).metadata["dagster/row_count"].value == 600
    model = world.materialization("models", "rent", served["version"])
    assert model.metadata["test_r2"].value > 0.95
    assert 0 < model.metadata["test_absolute_error"].value < 30
    assert team.mlops("live", "rent")["data"]["version"] == served["version"]
    assert team.mlops("gate", "rent")["verdict"] == "pass"


def test_a_worse_model_of_it_is_refused(world: World, team: Team, served: dict[str, Any]) -> None:
    job = build(team.models).resolve_job_def("rent_pipeline")
    config = {"ops": {"rent__models": {"config": {"ridge": 1e6}}}}
    result = job.execute_in_process(
        instance=world.instance, partition_key=served["version"], run_config=config, raise_on_error=False
    )
    assert not result.success
    checks = world.checks(result.run_id)
    assert not checks["models/champion"].passed
    assert team.mlops("live", "rent")["version"] == "1.0.0"


def test_a_folder_whose_name_is_taken_is_refused(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "workloads" / "iris", tmp_path / "workloads" / "iris")
    (tmp_path / "workloads" / "__init__.py").touch()
    with pytest.raises(DeclarationError, match="cannot be imported as 'workloads'"):
        load(tmp_path / "workloads")
