"""What the tests of gates and releases share: models of the workload `echo`, and the resources."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from echo.predict import Predictor

from resources.ledger import Candidate, DataVersion, Ledger
from resources.settings import Settings
from resources.tracking import Tracking
from workloads.sdk.artifacts import BASELINES, Manifest
from workloads.sdk.contract import TEST


def numbers(folder: Path, count: int) -> Path:
    """A split with the numbers from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{count}.json"
    file.write_text(json.dumps(list(range(1, count + 1))))
    return file


def artifacts(
    folder: Path, wrong: Iterable[float], name: str = "", baselines: Mapping[str, Iterable[float]] | None = None
) -> Manifest:
    """A model that has some numbers wrong, and simpler ones beside it; `name` makes equal models different."""
    models = {folder: wrong, **{folder / BASELINES / each: theirs for each, theirs in (baselines or {}).items()}}
    for where, numbers in models.items():
        where.mkdir(parents=True, exist_ok=True)
        (where / "model.json").write_text(json.dumps({"wrong": list(numbers), "name": name}))
    return Manifest.write(folder, "echo", Predictor)


def candidate(
    folder: Path, wrong: Iterable[float] = (), number: int = 1, name: str = "", baselines=None, **fields
) -> Candidate:
    """A candidate that is in no ledger."""
    manifest = artifacts(folder / f"{number}{name}", wrong, name, baselines)
    return Candidate(
        id=number,
        thing="echo",
        number=number,
        digest=manifest.digest,
        artifacts_uri=(folder / f"{number}{name}").as_uri(),
        created_at=datetime.now(UTC),
        **fields,
    )


def loads(candidate: Candidate) -> int:
    """How often a candidate was loaded."""
    log = Path(candidate.artifacts_uri.removeprefix("file://")) / "loads.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@dataclass(frozen=True)
class Splits:
    """Stands where the data registry stands: the same test rows for every data version."""

    test: Path

    def local(self, version: DataVersion | None) -> dict[str, Path]:
        return {TEST: self.test}


@dataclass(frozen=True)
class OpenResources:
    """The resources that releasing needs."""

    settings: Settings
    ledger: Ledger
    tracking: Tracking
    registry: Splits

    def data(self, name: str, version: str) -> DataVersion | None:
        return self.ledger.data.get(name, version)


def opened(settings: Settings, test: Path) -> OpenResources:
    return OpenResources(settings, Ledger(settings), Tracking(settings), Splits(test))
