"""A training, from data version to judged candidate. Each step may be repeated: a retry goes on where it stopped."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_assets.abandoned import withdraw
from mlops_assets.bench import releasing
from mlops_assets.code import source, training_code
from resources.compute import Job
from resources.database import DatabaseUnavailable
from resources.doors import Doors
from resources.ledger import Candidate, NewCandidate
from resources.reports import GateReport
from resources.tracking import TrackingUnavailable
from workloads.contract import TIERS, Parameters, Workload
from workloads.training import DataFile, Result, Spec


@dataclass(frozen=True)
class Trained:
    """A model that was trained, registered and judged; `plots` are the training's pictures."""

    candidate: Candidate
    report: GateReport
    result: Result
    plots: list[Path]
    run_url: str
    version_url: str


@dataclass(frozen=True)
class Training:
    """One materialization of a model: `root_run` is the same for all retries of it."""

    workload: Workload
    data_version: str
    run: str
    root_run: str

    @property
    def key(self) -> str:
        """What a retry finds its MLflow run by."""
        return f"{self.root_run}:{self.workload.name}:{self.data_version}"

    def start(self, doors: Doors, parameters: Parameters, tier: str, log: Callable[[str], Any]) -> Trained:
        """Train on a tier (its name), track, register, judge.

        Raises:
            resources.compute.NotPlaceable: the tier can never be placed here. Nothing was begun then.
            resources.compute.JobFailed: the training ended without a result. Nothing is registered then.
        """
        doors.compute.require(TIERS[tier], f"Training {self.workload.name} on the tier {tier}")
        data = doors.registry.version(self.workload.data.name, self.data_version)
        files = doors.registry.files(self.workload.data.name, self.data_version)
        digests = {file.split: file.sha256 for file in data.files if file.split}
        code = training_code(self.workload)
        commit = source(self.workload.folder)
        spec = Spec(
            package=self.workload.package,
            data={split: DataFile(path=path, sha256=digests[split]) for split, path in files.items()},
            data_version=data.version,
            data_digest=data.digest,
            code_version=code,
            parameters=parameters.model_dump(mode="json"),
            tier=TIERS[tier],
        )
        job = Job(workload=self.workload.name, spec=spec, root_run=self.root_run)
        run_id = doors.tracking.open_run(
            self.workload.name,
            self.key,
            f"{self.workload.name} {data.version}",
            {
                "data.tag": data.tag,
                "data.digest": data.digest,
                "data.source": data.source,
                "code.commit": commit.commit,
                "code.dirty": str(commit.dirty).lower(),
                "code.digest": code,
                "dagster.run": self.run,
                "dagster.root_run": self.root_run,
                "seed": str(parameters.seed),
                "tier": tier,
            },
        )
        try:
            result = doors.compute.run(job, log)
            out = doors.compute.folder(job) / "out"
            doors.tracking.log(run_id, spec.parameters, result.metrics, result.curves)
            doors.tracking.log_trials(run_id, result.trials)
            doors.tracking.log_files(run_id, out / "plots", "plots")
            artifacts_uri = doors.tracking.log_files(run_id, out / "artifacts", "model")
            number = doors.tracking.register(
                self.workload.name, run_id, artifacts_uri, {"digest": result.digest, "data": data.tag}
            )
            candidate = doors.ledger.add_candidate(
                NewCandidate(
                    thing=self.workload.name,
                    number=number,
                    digest=result.digest,
                    run_id=run_id,
                    artifacts_uri=artifacts_uri,
                    model_uri=doors.tracking.model_uri(self.workload.name, number),
                    data_name=data.name,
                    data_version=data.version,
                    data_digest=data.digest,
                    code_version=code,
                    git_commit=commit.commit,
                    git_dirty=commit.dirty,
                    dagster_run=self.run,
                    parameters=spec.parameters,
                    signature=result.signature,
                    metrics=result.metrics,
                    parity=result.parity and result.parity.model_dump(),
                    tier=tier,
                    seconds=sum(result.seconds.values()),
                )
            )
        except TrackingUnavailable:
            raise  # nothing can be told to MLflow now; `abandoned.settle` does when it is back
        except BaseException as error:
            with suppress(TrackingUnavailable, DatabaseUnavailable):  # what failed first is what is to be said
                withdraw(self.workload.name, run_id, doors)
                doors.tracking.close_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        doors.tracking.close_run(run_id, "FINISHED")
        releases = releasing(self.workload, doors)
        report = releases.report(candidate)
        releases.project()
        return Trained(
            candidate=candidate,
            report=report,
            result=result,
            plots=[out / "plots" / name for name in result.plots],
            run_url=doors.tracking.run_url(run_id),
            version_url=doors.tracking.version_url(self.workload.name, number),
        )
