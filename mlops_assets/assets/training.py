"""A training, from data version to judged candidate. Each step may be repeated: a retry goes on where it stopped.

One materialization trains a set of parameters, or several named ones (variants) beside each other. Each is a job, a
run in MLflow, a registered version and a candidate; the best by validation is the one that is judged.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_assets.assets.orphans import withdraw
from mlops_assets.gates.evaluators import releasing
from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.lineage.code import source, training_code
from mlops_assets.release.registration import Origin, new_candidate
from mlops_assets.release.targets import model_of
from resources.all import Resources
from resources.compute import Job, JobFailed
from resources.database import DatabaseUnavailable
from resources.ledger import Candidate, NewCandidate
from resources.ledger.reports import GateReport
from resources.registry.version import DataVersion
from resources.tracking import TrackingUnavailable
from workloads.sdk.contract import TIERS, VALIDATION, Gates, Metric, Parameters, Workload
from workloads.sdk.programs.spec import DataFile, Result, Spec


@dataclass(frozen=True)
class Trained:
    """A model that was trained and registered; `plots` are the training's pictures."""

    variant: str
    candidate: Candidate
    result: Result
    plots: list[Path]
    run_url: str
    version_url: str


@dataclass(frozen=True)
class Judged:
    """What came of a materialization: `report` is about the best, `variants` are all, the best one last.

    `gates` are those that hold for the source of its data.
    """

    best: Trained
    report: GateReport
    gates: Gates
    variants: list[Trained]


@dataclass(frozen=True, eq=False)
class _Tracked:
    """A variant's job, and its run in MLflow."""

    job: Job
    run_id: str


@dataclass(frozen=True)
class Training:
    """One materialization of a model: `root_run` is the same for all retries of it."""

    workload: Workload
    data: DataVersion
    run: str
    root_run: str

    def start(
        self, resources: Resources, parameters: Mapping[str, Parameters], tier: str, log: Callable[[str], Any]
    ) -> Judged:
        """Train on a tier (its name), track, register, judge.

        `parameters` are by variant, which has an empty name where it is the only one.

        Raises:
            resources.compute.NotPlaceable: the tier can never be placed here. Nothing was begun then.
            resources.compute.JobFailed: a training ended without a result. Nothing is registered then.
        """
        resources.compute.require(TIERS[tier], f"Training {self.workload.name} on the tier {tier}")
        jobs = self._jobs(resources, parameters, tier)
        origin = Origin.of(self.data, training_code(self.workload), source(self.workload.folder), self.run)
        tracked = [self._open(resources, job, origin, tier) for job in jobs]
        left = list(tracked)  # runs in MLflow that nobody has ended
        try:
            results = dict(zip(tracked, resources.compute.run_all(jobs, log), strict=True))
            finished = {one: result for one, result in results.items() if isinstance(result, Result)}
            for one, result in finished.items():
                self._track(resources, one, result)
            if failures := [result for result in results.values() if isinstance(result, Exception)]:
                for one in finished:
                    resources.tracking.runs.close(one.run_id, "FINISHED")
                    left.remove(one)
                raise failures[0] if len(failures) == 1 else JobFailed("\n\n".join(map(str, failures)))
            ranked = sorted(finished.items(), key=lambda pair: _worth(pair[1], self.workload.metric))
            trained = self._register(resources, origin, ranked, tier)
        except TrackingUnavailable:
            raise  # nothing can be told to MLflow now; `orphans.reap` does when it is back
        except BaseException as error:
            with suppress(TrackingUnavailable, DatabaseUnavailable):  # what failed first is what is to be said
                for one in left:
                    withdraw(self.workload.name, one.run_id, resources)
                    resources.tracking.runs.close(one.run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        for one in tracked:
            resources.tracking.runs.close(one.run_id, "FINISHED")
        releases = releasing(model_of(self.workload), resources)
        best = trained[-1]
        report = releases.report(best.candidate)
        releases.aliases.project()
        gates = ModelEvaluator(self.workload, resources).declared(best.candidate).gates
        return Judged(best=best, report=report, gates=gates, variants=trained)

    def _jobs(self, resources: Resources, parameters: Mapping[str, Parameters], tier: str) -> list[Job]:
        data, files = self.data, resources.registry.local(self.data)
        digests = {file.split: file.sha256 for file in data.files if file.split}
        code = training_code(self.workload)
        return [
            Job(
                workload=self.workload.name,
                spec=Spec(
                    package=self.workload.package,
                    data={split: DataFile(path=path, sha256=digests[split]) for split, path in files.items()},
                    data_version=data.version,
                    data_digest=data.digest,
                    code_version=code,
                    parameters=values.model_dump(mode="json"),
                    tier=TIERS[tier],
                ),
                root_run=self.root_run,
                variant=variant,
            )
            for variant, values in parameters.items()
        ]

    def _open(self, resources: Resources, job: Job, origin: Origin, tier: str) -> _Tracked:
        """The job's run in MLflow; a retry finds the one that there is by its key."""
        own = {"dagster.root_run": self.root_run, "seed": str(parameters_of(job)["seed"]), "tier": tier}
        named = [job.workload, origin.data_version, *([job.variant] if job.variant else [])]
        key, tags = ":".join([self.root_run, *named]), origin.tags | own | _variant(job)
        return _Tracked(job, resources.tracking.runs.open(job.workload, key, " ".join(named), tags))

    def _track(self, resources: Resources, one: _Tracked, result: Result) -> None:
        """What came of a training, in its run."""
        resources.tracking.runs.log(one.run_id, parameters_of(one.job), result.metrics, result.curves)
        resources.tracking.runs.log_trials(one.run_id, result.trials)
        resources.tracking.runs.log_files(one.run_id, resources.compute.folder(one.job) / "out" / "plots", "plots")

    def _register(
        self, resources: Resources, origin: Origin, ranked: list[tuple[_Tracked, Result]], tier: str
    ) -> list[Trained]:
        """Versions in MLflow, then all candidates at once in the ledger; in order, the best one last."""
        new = [self._candidate(resources, origin, one, result, tier) for one, result in ranked]
        candidates = resources.ledger.candidates.add_all(new)
        return [
            Trained(
                variant=one.job.variant,
                candidate=candidate,
                result=result,
                plots=[resources.compute.folder(one.job) / "out" / "plots" / name for name in result.plots],
                run_url=resources.tracking.runs.url(one.run_id),
                version_url=resources.tracking.registry.url(self.workload.name, candidate.number),
            )
            for (one, result), candidate in zip(ranked, candidates, strict=True)
        ]

    def _candidate(
        self, resources: Resources, origin: Origin, one: _Tracked, result: Result, tier: str
    ) -> NewCandidate:
        """A version in MLflow, as a candidate."""
        return new_candidate(
            self.workload.name,
            one.run_id,
            resources.compute.folder(one.job) / "out" / "artifacts",
            origin,
            resources,
            {"data": origin.data_tag} | _variant(one.job),
            digest=result.digest,
            parameters=parameters_of(one.job),
            signature=result.signature,
            metrics=result.metrics,
            parity=result.parity and result.parity.model_dump(),
            tier=tier,
            seconds=sum(result.seconds.values()),
            variant=one.job.variant,
        )


def _variant(job: Job) -> dict[str, str]:
    """The tag that names a variant, where there is one."""
    return {"variant": job.variant} if job.variant else {}


def _worth(result: Result, metric: Metric) -> float:
    """What a result is chosen by: the deciding metric on validation, the larger the better."""
    value = result.metrics[f"{VALIDATION}_{metric.name}"]
    return -math.inf if math.isnan(value) else value if metric.higher_is_better else -value


def parameters_of(job: Job) -> dict[str, Any]:
    assert isinstance(job.spec, Spec)
    return job.spec.parameters
