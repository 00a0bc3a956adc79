"""A thing to be released, in the tests: candidates to make, and what is decided about them."""

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from echo.workload import workload as echo
from mlflow.entities import RunInfo
from release_support import OpenDoors, artifacts

from mlops_assets.bench import ModelBench
from mlops_assets.releasing import Releasing
from resources.ledger import Candidate, NewCandidate
from workloads.contract import Workload

BAD = range(3, 1500)  # numbers that a bad model has wrong


@dataclass
class Shop:
    """One thing, with a fresh name: candidates to make, and what is decided about them."""

    doors: OpenDoors
    run: RunInfo  # whose artifacts all models are
    thing: str
    workload: Workload = echo

    def __post_init__(self) -> None:
        self.numbers = count(1)
        self.releasing = self.of(self.workload)

    def of(self, workload: Workload) -> Releasing:
        return Releasing(self.thing, self.doors.ledger, self.doors.tracking, ModelBench(workload, self.doors))

    def train(self, wrong=(), **fields) -> Candidate:
        """A registered candidate, as the model asset makes them."""
        number = next(self.numbers)
        folder = Path(self.run.artifact_uri.removeprefix("file://")) / f"{self.thing}-{number}"
        manifest = artifacts(folder, wrong, str(number))
        uri, run = folder.as_uri(), self.run.run_id
        assert self.doors.tracking.register(self.thing, run, uri, {"digest": manifest.digest}) == number
        new = NewCandidate(
            thing=self.thing,
            number=number,
            digest=manifest.digest,
            run_id=run,
            artifacts_uri=uri,
            data_name="echo",
            data_version="1.0.0",
            data_digest="d1",
            signature=manifest.request_schema,
        )
        return self.doors.ledger.add_candidate(replace(new, **fields))

    def consider(self, candidate: Candidate):
        return self.releasing.consider(candidate, "test", "because")

    @property
    def aliases(self) -> dict[str, int]:
        return self.doors.tracking.aliases(self.thing)

    @property
    def live(self) -> int | None:
        current = self.doors.ledger.current(self.thing)
        return current.number if current else None

    @property
    def alerts(self) -> list[str]:
        return [alert.text for alert in self.doors.ledger.alerts() if alert.thing == self.thing]

    @property
    def settled(self) -> bool:
        return self.releasing.inspect() == [] and self.doors.ledger.pending_moves(self.thing) == []
