"""`mlops new` in tests: what it writes, and the way of that to an answer without the platform."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Done
from serving_support import migrated, replica
from typer.testing import CliRunner

from mlops_assets.cli import app
from mlops_assets.gates.model import judge
from resources.ledger import Candidate
from resources.ledger.reports import GateReport
from resources.serving import Serving
from resources.settings import Settings
from workloads.sdk.artifacts import sha256
from workloads.sdk.contract import TEST, TRAIN, VALIDATION, Workload
from workloads.sdk.programs.spec import InputFile, Result
from workloads.sdk.programs.training.run import NoServices
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.versions.plan import Version

RUNNER = CliRunner()


def new(*arguments: object) -> Done:
    return RUNNER.invoke(app, ["new", *map(str, arguments)])


def written(*arguments: object) -> dict[str, Any]:
    done = new(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refused(*arguments: object) -> str:
    done = new(*arguments)
    assert done.exit_code == 1, done.output
    return done.stderr.strip()


def splits(workload: Workload, folder: Path) -> dict[str, InputFile]:
    """A workload's splits, made by its own pipeline."""
    parameters, raw, processed = workload.data.parameters(), folder / "raw", folder / "processed"
    for each in (raw, processed):
        each.mkdir(parents=True)
    workload.resolve(workload.data.fetch)(parameters, raw)
    workload.resolve(workload.data.process)(parameters, raw, processed)
    files = {split: processed / f"{split}.parquet" for split in (TRAIN, VALIDATION, TEST)}
    return {split: InputFile(path=file, sha256=sha256(file)) for split, file in files.items()}


def judged(workload: Workload, result: Result, artifacts: Path, test: Path, folder: Path) -> None:
    """A training's model passes its gates, and all its pictures are drawn."""
    assert result.warnings == []
    report = report_of(workload, result, artifacts, test, folder)
    assert report.verdict == "pass", report.reasons()


def report_of(workload: Workload, result: Result, artifacts: Path, test: Path, folder: Path) -> GateReport:
    """What the gates say of a training's model."""
    candidate = Candidate(
        id=1,
        thing=workload.name,
        number=1,
        digest=result.digest,
        artifacts_uri=artifacts.as_uri(),
        created_at=datetime.now(UTC),
        parity=result.parity.model_dump() if result.parity else None,
    )
    return judge(workload, candidate, None, test, NoServices(), Settings(home=folder / "home"))


@pytest.fixture(scope="module")
def scaffold_serving(postgres: Settings) -> Serving:
    return migrated(postgres)


@pytest.fixture
def endpoint(scaffold_serving: Serving, tmp_path: Path) -> Iterator[Callable[[Workload, Path, Result], Endpoint]]:
    """Serves a training's model as an endpoint does."""
    replicas = []

    def serve(workload: Workload, artifacts: Path, result: Result) -> Endpoint:
        served = Version(
            release_id=1,
            version="1.0.0",
            artifacts_uri=artifacts.as_uri(),
            digest=result.digest,
            model_uri=f"models:/dev.{workload.name}/1",
            run_id="run-1",
            data_version="1.0.0",
        )
        scaffold_serving.publish(workload.name, served)
        route = f"/{workload.name}"
        replicas.append(
            replica(scaffold_serving, tmp_path, workload.name, workload.name, package=workload.package, route=route)
        )
        assert replicas[-1].health == "healthy", replicas[-1].error
        return Endpoint(replicas[-1])

    yield serve
    for one in replicas:
        one.close()
