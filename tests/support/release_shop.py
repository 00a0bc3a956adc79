"""A target to be released, in the tests: candidates to make, and what is decided about them."""

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from echo.workload import workload as echo
from release_support import OpenResources, artifacts

from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.release.mechanism import Releasing
from resources.ledger import Candidate, NewCandidate
from workloads.sdk.contract import Workload

if TYPE_CHECKING:  # importing it takes seconds
    from mlflow.entities import RunInfo

BAD = range(3, 1500)  # numbers that a bad model has wrong


@dataclass
class Shop:
    """One target, with a fresh name: candidates to make, and what is decided about them."""

    resources: OpenResources
    run: "RunInfo"  # whose artifacts all models are
    target: str
    workload: Workload = echo

    def __post_init__(self) -> None:
        self.numbers = count(1)
        self.releasing = self.of(self.workload)

    def of(self, workload: Workload) -> Releasing:
        return Releasing(
            self.target, self.resources.ledger, self.resources.tracking, ModelEvaluator(workload, self.resources)
        )

    def train(self, wrong=(), **fields) -> Candidate:
        """A registered candidate, as the model asset makes them."""
        number = next(self.numbers)
        folder = Path(self.run.artifact_uri.removeprefix("file://")) / f"{self.target}-{number}"
        manifest = artifacts(folder, wrong, str(number))
        uri, run = folder.as_uri(), self.run.run_id
        assert self.resources.tracking.registry.register(self.target, run, uri, {"digest": manifest.digest}) == number
        new = NewCandidate(
            thing=self.target,
            number=number,
            digest=manifest.digest,
            run_id=run,
            artifacts_uri=uri,
            data_name="echo",
            data_version="1.0.0",
            data_digest="d1",
            signature=manifest.request_schema,
        )
        return self.resources.ledger.candidates.add(replace(new, **fields))

    def consider(self, candidate: Candidate):
        return self.releasing.consider(candidate, "test", "because")

    @property
    def aliases(self) -> dict[str, int]:
        return self.resources.tracking.registry.aliases(self.target)

    @property
    def live(self) -> int | None:
        current = self.resources.ledger.current(self.target)
        return current.number if current else None

    @property
    def alerts(self) -> list[str]:
        return [alert.text for alert in self.resources.ledger.alerts.since() if alert.thing == self.target]

    @property
    def settled(self) -> bool:
        return self.releasing.aliases.inspect() == [] and self.resources.ledger.aliases.pending(self.target) == []
