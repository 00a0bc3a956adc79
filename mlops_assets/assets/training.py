"""A training, from data version to judged candidate. Each step may be repeated: a retry goes on where it stopped.

One materialization trains a set of parameters, or several named ones (variants) beside each other. Each is a job, a
run in MLflow, a registered version and a candidate; the best by validation is the one that is judged.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_assets.assets.orphans import withdraw
from mlops_assets.assets.tasks import common
from mlops_assets.gates.evaluators import releasing
from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.lineage.code import training_code
from mlops_assets.release.registration import Provenance, new_candidate
from mlops_assets.release.targets import model_of
from resources.all import Resources
from resources.compute import Job, JobFailed
from resources.ledger import Candidate, NewCandidate
from resources.ledger.reports import GateReport
from resources.registry.version import DataVersion
from workloads.sdk.contract import TIERS, VALIDATION, Gates, Metric, Parameters, Workload
from workloads.sdk.errors import Unavailable
from workloads.sdk.programs.spec import Result, Spec


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


@dataclass(frozen=True)
class Training:
    """One materialization of a model on a tier (its name): `root_run` is the same for all retries of it."""

    workload: Workload
    data: DataVersion
    tier: str
    run: str
    root_run: str
    resources: Resources

    @cached_property
    def origin(self) -> Provenance:
        return Provenance.of(self.data, training_code(self.workload), self.workload.folder, self.run)

    def start(self, parameters: Mapping[str, Parameters], log: Callable[[str], Any]) -> Judged:
        """Train, track, register, judge.

        `parameters` are by variant, which has an empty name where it is the only one.

        Raises:
            resources.compute.NotPlaceable: the tier can never be placed here. Nothing was begun then.
            resources.compute.JobFailed: a training ended without a result. Nothing is registered then.
        """
        compute, runs = self.resources.compute, self.resources.tracking.runs
        compute.require(TIERS[self.tier], f"Training {self.workload.name} on the tier {self.tier}")
        jobs = {self._open(job): job for job in self._jobs(parameters)}  # by the run's id in MLflow
        left = set(jobs)  # runs that nobody has ended
        try:
            results = dict(zip(jobs, compute.run_all(list(jobs.values()), log), strict=True))
            finished = {run: result for run, result in results.items() if isinstance(result, Result)}
            for run, result in finished.items():
                runs.log(run, parameters_of(jobs[run]), result.metrics, result.curves)
                runs.log_trials(run, result.trials)
                runs.log_files(run, self._made(jobs[run], "plots"), "plots")
            if failures := [result for result in results.values() if isinstance(result, Exception)]:
                if away := next((failure for failure in failures if isinstance(failure, Unavailable)), None):
                    raise away
                for run in finished:
                    runs.close(run, "FINISHED")
                    left.remove(run)
                raise failures[0] if len(failures) == 1 else JobFailed("\n\n".join(map(str, failures)))
            trained = self._register(jobs, finished)
        except Unavailable:
            raise  # the step is asked for again, and goes on from here; `orphans.reap` settles what it does not
        except BaseException as error:
            with suppress(Unavailable):  # what failed first is what is to be said
                for run in left:
                    withdraw(self.workload.name, run, self.resources)
                    runs.close(run, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        for run in jobs:
            runs.close(run, "FINISHED")
        releases = releasing(model_of(self.workload), self.resources)
        best = trained[-1]
        report = releases.report(best.candidate)
        releases.aliases.project()
        gates = ModelEvaluator(self.workload, self.resources).declared(best.candidate).gates
        return Judged(best=best, report=report, gates=gates, variants=trained)

    def _jobs(self, parameters: Mapping[str, Parameters]) -> list[Job]:
        asked = common(self.workload, self.data, self.origin.code_version, self.tier, self.resources)
        return [
            Job(self.workload.name, Spec(**asked, parameters=values.model_dump(mode="json")), self.root_run, variant)
            for variant, values in parameters.items()
        ]

    def _open(self, job: Job) -> str:
        """The id of the job's run in MLflow; a retry finds the one that there is by its key."""
        own = {"dagster.root_run": self.root_run, "seed": str(parameters_of(job)["seed"]), "tier": self.tier}
        named = [job.workload, self.data.version, *([job.variant] if job.variant else [])]
        key, tags = ":".join([self.root_run, *named]), self.origin.tags | own | _variant(job)
        return self.resources.tracking.runs.open(job.workload, key, " ".join(named), tags)

    def _made(self, job: Job, kind: str) -> Path:
        """The folder of what a job made: `plots`, `artifacts`."""
        return self.resources.compute.folder(job) / "out" / kind

    def _register(self, jobs: Mapping[str, Job], results: Mapping[str, Result]) -> list[Trained]:
        """Versions in MLflow, then all candidates at once in the ledger; in order, the best one last."""
        ranked = sorted(results.items(), key=lambda pair: _worth(pair[1], self.workload.metric))
        new = [self._candidate(run, jobs[run], result) for run, result in ranked]
        return [
            Trained(
                variant=candidate.variant,
                candidate=candidate,
                result=result,
                plots=[self._made(jobs[run], "plots") / name for name in result.plots],
                run_url=self.resources.tracking.runs.url(run),
                version_url=self.resources.tracking.registry.url(self.workload.name, candidate.number),
            )
            for (run, result), candidate in zip(ranked, self.resources.ledger.candidates.add_all(new), strict=True)
        ]

    def _candidate(self, run: str, job: Job, result: Result) -> NewCandidate:
        """A version in MLflow, as a candidate."""
        return new_candidate(
            self.workload.name,
            run,
            self._made(job, "artifacts"),
            self.origin,
            self.resources,
            {"data": self.data.tag} | _variant(job),
            digest=result.digest,
            parameters=parameters_of(job),
            signature=result.signature,
            metrics=result.metrics,
            parity=result.parity and result.parity.model_dump(),
            tier=self.tier,
            seconds=sum(result.seconds.values()),
            variant=job.variant,
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
