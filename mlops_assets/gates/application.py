"""Gates of a part of an application: a prompt or a language model is judged by the answers that it leads to.

The candidate is put among the other parts as they are now, and asked the questions of its data, several times; so is
what is released in its place, and the rows are compared in pairs. A control asks once more, answered from the passages
of other questions. If that passes, the evaluation does not measure whether answers rest on what was found, and nothing
may be concluded from it.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.gates import slices
from mlops_assets.gates.evaluation import Compared, Found, latency, leads_to, needless, report
from mlops_assets.gates.evaluations import Scores
from mlops_assets.gates.scores import broken_champion, compared, floor, reaches, sentence
from mlops_assets.gates.statistics import paired
from mlops_assets.release.composition import Chosen, chosen, composition
from mlops_assets.release.mechanism import CannotRelease
from resources.all import Resources
from resources.ledger import Candidate
from resources.ledger.reports import Check, GateReport
from resources.registry.version import DataVersion
from resources.serving.services import PlatformServices
from workloads.sdk.artifacts import BrokenArtifacts, digest_of, sha256
from workloads.sdk.contract import OnInconclusive, Services
from workloads.sdk.contract.applications import Application, Component, Composition
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MILLISECONDS = "milliseconds"  # metric of an answer's time, which the latency gate reads
UNUSABLE = (ValueError, BrokenArtifacts)  # what a part whose content is wrong raises when it is loaded
log = logging.getLogger("mlops.judging")


class CannotJudge(PlatformError):
    """There is no verdict: an answer, or something that is needed for it, could not be had. The message says what."""


def judge(
    application: Application,
    role: str,
    candidate: Composition,
    champion: Composition | None,
    questions: Path,
    services: Services,
    environment: str,
) -> GateReport:
    """Judge the part of a role, as it stands in `candidate`, against the one in `champion` (None: nothing is released).

    Args:
        questions: the frozen questions, a file of the application's data.

    Returns:
        A report; a candidate whose content is wrong (a prompt without its placeholders) is refused with the reason.

    Raises:
        CannotJudge: answers failed, so there are no figures. That says nothing of the candidate.
    """
    judging = Judging(application, role, candidate, champion, questions, services)
    found = asyncio.run(judging.checks())
    test = sha256(questions)
    asked, n = rules(application, role, candidate, test), judging.rows
    released = judging.part(champion) if champion else None
    return report(judging.part(candidate), released, found, environment=environment, rules=asked, test=test, n=n)


def rules(application: Application, role: str, around: Composition, questions: str) -> str:
    """Digest of what is asked of a candidate: the gates, the questions (their digest), and the parts around it."""
    others = {name: part.digest for name, part in around.parts.items() if name != role}
    metrics = [asdict(metric) for metric in application.metrics]
    asked = [asdict(application.gates), metrics, application.repeats, others, questions]
    return digest_of(asked)[:16]


@dataclass
class Judging:
    """One candidate before its gate."""

    application: Application
    role: str
    candidate: Composition
    champion: Composition | None
    questions: Path
    services: Services
    rows: int = 0

    async def checks(self) -> Found:
        """All checks, and the smallest difference to the champion that the questions can show."""
        gates, metric, answerer = self.application.gates, self.application.metric, self.candidate.answerer
        model = self.candidate.language_model.content
        # What answers, in every report: figures of one answerer say nothing of another.
        evidence = {"answered by": answerer, "provider": model["provider"], "model": model.get("model")}
        try:
            scores, control = await self._scores(self.candidate, controlled=True)
        except UNUSABLE as error:
            text = f"the candidate cannot be used: {sentence(error)}"
            return (Check(name="load", verdict="refuse", text=text, evidence=evidence),), None
        self.rows = scores.rows
        values = scores.of(metric.name)
        comparison, smallest = await self._champion(values)
        found = (
            Check(name="load", verdict="pass", text=f"it loads, and {answerer} answers", evidence=evidence),
            floor(metric, self.bound, values, evidence | {"metrics": self._means(scores)}),
            *slices.checks(scores, self.application.gates, self.application.metrics),
            latency(scores.of(MILLISECONDS), gates.latency_ms, "single answers", f"; by {answerer}"),
            self._control(values, control.of(metric.name)),
            comparison,
        )
        return found, smallest

    @property
    def bound(self) -> float:
        assert self.application.gates.floor is not None  # the declaration's checks hold that
        return self.application.gates.floor

    def part(self, composition: Composition) -> Component:
        return composition.parts[self.role]

    async def _scores(self, composition: Composition, controlled: bool = False) -> list[Scores]:
        """Of all questions; and, if controlled, of those answered once more, from the passages of others."""
        about = f"{self.part(composition).thing} number {self.part(composition).number}"
        kind, evaluate = map(self.application.resolve, (self.application.app, self.application.evaluate))
        app, found = await asyncio.to_thread(kind.load, composition, self.services), []
        try:
            for repeats, shuffled in [(self.application.repeats, False), (1, True)][: 1 + controlled]:
                log.info(
                    "%s answers%s %d times", about, " from other questions' passages," if shuffled else "", repeats
                )
                evaluation = await evaluate(app, self.questions, repeats, shuffled, self.services)
                found.append(arrays(self.application, evaluation))
        except Exception as error:
            raise CannotJudge(f"{about} cannot be judged: {sentence(error)}") from error
        finally:
            await app.close()
        return found

    def _means(self, scores: Scores) -> dict[str, Any]:
        """Each metric's mean over the rows that it applies to, and how many these are."""
        import numpy as np

        found = {}
        for metric in self.application.metrics:
            values = scores.of(metric.name)
            there = values[~np.isnan(values)]
            found[metric.name] = {"value": float(there.mean()) if len(there) else None, "n": len(there)}
        return found

    def _control(self, values: "NDArray[Any]", control: "NDArray[Any]") -> Check:
        """Whether answers from other questions' passages fail, as they must."""
        metric, gates = self.application.metric, self.application.gates
        value, sign = float(control.mean()), 1 if metric.higher_is_better else -1
        found = paired(sign * values, sign * control)
        passes, apart = reaches(metric, value, self.bound), found.interval.low > gates.margin
        shown = f"answers from other questions' passages reach {metric.name} {value:.4g}"
        if passes:
            text = f"{shown}, beyond the floor of {self.bound:g}: this evaluation shows nothing"
        elif not apart:
            text = f"{shown}, and the candidate is not clearly better: its answers do not rest on what was found"
        else:
            text = f"{shown}, below the floor and {abs(found.difference):.4g} from the candidate, as they must"
        return Check(
            name="control",
            verdict="pass" if apart and not passes else "refuse",
            value=value,
            threshold=self.bound,
            unit=metric.unit,
            n=len(control),
            text=text,
            evidence={"difference": found.difference, "interval": [found.interval.low, found.interval.high]},
        )

    async def _champion(self, values: "NDArray[Any]") -> Compared:
        metric, margin = self.application.metric, self.application.gates.margin
        part = self.part(self.champion) if self.champion else None
        if check := needless(self.part(self.candidate), part, metric, margin, "the same content, byte for byte,"):
            return check, None
        assert self.champion is not None
        assert part is not None
        try:
            (theirs,) = await self._scores(self.champion)
        except UNUSABLE as error:
            return broken_champion(metric, margin, part.number, "cannot be used", error), None
        check, smallest = compared(metric, margin, values, theirs.of(metric.name), part.number)
        same = self.champion.answerer == self.candidate.answerer
        text = check.text if same else f"{check.text}; that one is answered by {self.champion.answerer}"
        return check.model_copy(update={"text": text}), smallest


def arrays(application: Application, evaluation: Any) -> Scores:
    """An application's evaluation as arrays. A metric may be NaN in rows that it does not apply to, the deciding not.

    Raises:
        KeyError: a declared metric was not scored.
        ValueError: it is not one value per row, or the deciding metric is missing in some.
    """
    import numpy as np

    scores = Scores.of_evaluation(evaluation)
    decides = scores.of(application.gates.metric)
    for metric in application.metrics:
        scores.of(metric.name)
    for name, values in scores.arrays.items():
        if values.shape != decides.shape or not values.size:
            raise ValueError(f"{name} has the shape {values.shape}; one value for each question is asked")
    for name in (application.gates.metric, MILLISECONDS):
        if not np.isfinite(scores.of(name)).all():
            raise ValueError(f"{name} has values that are not finite")
    return scores


class ComponentEvaluator:
    """The evaluator of one role in an application, `prompt` or `language_model`.

    A candidate is put among the other parts as they are: what is released of each, or, before anything is, its newest
    candidate.
    """

    def __init__(self, application: Application, role: str, resources: Resources) -> None:
        self.application = application
        self.role = role
        self.resources = resources

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the questions, which candidate and champion answer now.

        Raises:
            mlops_assets.release.composition.NothingReleased: another part is not there yet.
            CannotJudge: answers failed, so there are no figures.
        """
        return self._judge(Chosen(candidate, None), champion)

    def try_out(self, content: Mapping[str, Any]) -> GateReport:
        """Judge content that is no candidate, against what is released; nothing is written down.

        Raises: as `judge`.
        """
        target, ledger = self.application.things()[self.role], self.resources.ledger
        part = Component(target, None, "dry run", 0, digest_of(dict(content)), data="", content=content)
        release = ledger.current(target)
        return self._judge(part, ledger.candidates.by_id(release.candidate) if release else None)

    def _judge(self, candidate: Chosen | Component, champion: Candidate | None) -> GateReport:
        return judge(
            self.application,
            self.role,
            self._around(candidate),
            self._around(Chosen(champion, None)) if champion else None,
            self._questions(),
            PlatformServices(self.application.name, self.resources.settings),
            self.resources.settings.env,
        )

    def rules(self, candidate: Candidate) -> str:
        around = self._around(Chosen(candidate, None))
        return rules(self.application, self.role, around, sha256(self._questions()))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return leads_to(report, self.application.gates, self.application.approval)

    def _around(self, part: Chosen | Component) -> Composition:
        others = chosen(self.application, self.resources, without=self.role)
        return composition(self.application, {**others, self.role: part}, self.resources)

    def _questions(self) -> Path:
        """The newest version of the questions: they are what it is judged by, not what it was made from."""
        version = questions(self.application, self.resources)
        return self.resources.registry.local(version)[self.application.data.splits[0]]


def questions(application: Application, resources: Resources) -> DataVersion:
    """The newest version of the questions that the ledger knows. Raises CannotRelease where there is none."""
    newest = resources.ledger.data.newest(application.data.name)
    if newest is None:
        raise CannotRelease(
            f"{application.name} has no questions to be judged by: `mlops data release {application.data.name}`, and "
            "where no sensor runs `mlops data sync`"
        )
    return newest
