"""Gates: what a candidate must show before it may be released, judged on the form that is served.

Nothing here knows what a row or a score means. A workload evaluates its own outputs; the gates compare row scores with
what the declaration asks, and with the champion's scores on the same frozen rows, both computed now.
"""

from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.gates import golden, slices
from mlops_assets.gates.evaluation import Compared, Found, fastest, latency, leads_to, needless, report
from mlops_assets.gates.evaluations import Scores, evaluate
from mlops_assets.gates.scores import baselines, broken_champion, compared, floor, of_candidate, sentence
from mlops_assets.release.intact import verified
from resources.all import Resources
from resources.ledger import Candidate
from resources.ledger.reports import Check, GateReport
from resources.settings import Settings
from resources.tracking import Tracking
from workloads.sdk.artifacts import BASELINES, digest_of, sha256
from workloads.sdk.contract import TEST, OnInconclusive, Parity, Predictor, Services, Workload
from workloads.sdk.programs.training.run import NoServices

if TYPE_CHECKING:
    from numpy.typing import NDArray


def judge(
    workload: Workload,
    candidate: Candidate,
    champion: Candidate | None,
    test_split: Path,
    services: Services,
    settings: Settings,
) -> GateReport:
    """Judge a candidate on the frozen test rows, against what is released now (None: nothing is).

    A candidate that cannot be loaded or evaluated by its own fault is refused with the reason; a champion that cannot
    answer these rows by its own fault makes it inconclusive.

    Raises:
        workloads.sdk.errors.PlatformError, OSError, MemoryError: something outside of both is away; nothing was judged.
    """
    judging = Judging(workload, candidate, champion, test_split, services, settings)
    found = judging.checks()
    test, n = judging.test_digest, judging.rows
    return report(candidate, champion, found, environment=settings.env, rules=rules(workload), test=test, n=n)


def rules(workload: Workload) -> str:
    """Digest of what the declaration asks of a candidate, golden rows included."""
    gates = workload.gates
    rows = sha256(workload.folder / gates.golden) if gates.golden else ""
    asked = [asdict(gates), asdict(workload.metric), rows, asdict(workload.parity) if workload.parity else None]
    return digest_of(asked)[:16]


@dataclass
class Judging:
    """One candidate before its gate."""

    workload: Workload
    candidate: Candidate
    champion: Candidate | None
    test_split: Path
    services: Services
    settings: Settings
    rows: int = 0

    @cached_property
    def test_digest(self) -> str:
        return sha256(self.test_split)

    def checks(self) -> Found:
        """All checks, and the smallest difference to the champion that the rows can show."""
        try:
            predictor = self._load(self.candidate)
            scores = self._scores(self.candidate, predictor)
        except Exception as error:
            text = f"the candidate cannot be loaded and evaluated: {sentence(of_candidate(error))}"
            return (Check(name="load", verdict="refuse", text=text),), None
        self.rows = scores.rows
        gates, metric, values = self.workload.gates, self.workload.metric, scores.of(self.workload.metric.name)
        checks = [
            Check(name="load", verdict="pass", text="artifacts are whole, and the served form answers"),
            self._floor(values) if gates.floor is None else floor(metric, gates.floor, values),
            *slices.checks(scores, self.workload.gates, self.workload.metrics),
        ]
        if gates.golden:
            checks.append(golden.compare(self.workload.folder / gates.golden, predictor))
        checks.append(self._latency(predictor))
        if self.workload.parity:
            checks.append(self._parity(self.workload.parity))
        champion, smallest = self._champion(scores)
        return (*checks, champion), smallest

    def _load(self, candidate: Candidate) -> Predictor:
        return self.workload.resolve(self.workload.predictor).load(
            verified(candidate, Tracking(self.settings)), self.services
        )

    def _scores(self, candidate: Candidate, predictor: Predictor | None = None) -> Scores:
        cache = self.settings.path("evaluations")
        load = (lambda: predictor) if predictor else (lambda: self._load(candidate))
        return evaluate(self.workload, candidate.digest, load, self.test_split, self.test_digest, cache)

    def _floor(self, values: "NDArray[Any]") -> Check:
        """The candidate's row scores beside those of the baselines in its own artifacts."""
        folder, metric = verified(self.candidate, Tracking(self.settings)) / BASELINES, self.workload.metric
        found = {}
        for each in sorted(folder.iterdir()) if folder.is_dir() else ():
            load = partial(self.workload.resolve(self.workload.predictor).load, each, self.services)
            digest = digest_of([each.name, self.candidate.digest])
            cache = self.settings.path("evaluations")
            scores = evaluate(self.workload, digest, load, self.test_split, self.test_digest, cache)
            found[each.name] = scores.of(metric.name)
        return baselines(metric, values, found)

    def _latency(self, predictor: Predictor) -> Check:
        budget = self.workload.gates.latency_ms
        try:
            body = self.workload.resolve(self.workload.example)(self.test_split, 1)
            request = predictor.Request.model_validate(body)
            predictor.predict(request)
        except Exception as error:
            text = f"the example request is not answered: {sentence(of_candidate(error))}"
            return Check(name="latency", verdict="refuse", threshold=budget, unit="ms", text=text)
        return latency(fastest(lambda: predictor.predict(request), budget), budget, "single rows")

    def _parity(self, declared: Parity) -> Check:
        found = self.candidate.parity
        if not found or found["max_difference"] is None:
            text = "the candidate comes without a figure of how far served and trained form differ"
            return Check(name="parity", verdict="refuse", threshold=declared.tolerance, text=text)
        return Check(
            name="parity",
            verdict="pass" if found["max_difference"] <= declared.tolerance else "refuse",
            value=found["max_difference"],
            threshold=declared.tolerance,
            n=found["rows"],
            text=f"served and trained form differ by at most {found['max_difference']:.3g} on {found['rows']} rows",
            evidence=dict(found),
        )

    def _champion(self, scores: Scores) -> Compared:
        metric, margin, champion = self.workload.metric, self.workload.gates.margin, self.champion
        if check := needless(self.candidate, champion, metric, margin, "the same artifacts, byte for byte,"):
            return check, None
        assert champion is not None
        try:
            theirs = self._scores(champion).of(metric.name)
            return compared(metric, margin, scores.of(metric.name), theirs, champion.number)
        except Exception as error:
            return broken_champion(metric, margin, champion.number, "cannot answer these rows", error), None


class ModelEvaluator:
    """The evaluator of one workload's models."""

    def __init__(self, workload: Workload, resources: Resources) -> None:
        self.workload = workload
        self.resources = resources

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the candidate's frozen test rows, which it and the champion answer now."""
        test = self.resources.registry.local(self.resources.data(candidate.data_name, candidate.data_version))[TEST]
        workload = self.declared(candidate)
        return judge(workload, candidate, champion, test, NoServices(), self.resources.settings)

    def rules(self, candidate: Candidate) -> str:
        return rules(self.declared(candidate))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return leads_to(report, self.declared(candidate).gates, self.workload.approval)

    def declared(self, candidate: Candidate) -> Workload:
        """The workload, with the gates that hold for the source of the candidate's data."""
        data = self.resources.ledger.data.get(candidate.data_name, candidate.data_version)
        return self.workload.for_source(data.source if data else "")
