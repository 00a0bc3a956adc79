"""The mechanism of release: candidates judged by gates, decided in the ledger, projected onto the registry's aliases.

It knows nothing of what a target is. How to judge one is an `Evaluator` (`gates/evaluators.py`).
The ledger decides in one transaction; aliases are set afterwards, and whatever is cut off in between is mended by the
next `repair`, which the registry sensor calls at every tick.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mlops_assets.release.intact import damage
from mlops_assets.release.projection import Difference, Projection, log
from resources.ledger import (
    CHAMPION,
    Action,
    AliasMove,
    Candidate,
    ChampionMoved,
    DecidedMeanwhile,
    Decision,
    Ledger,
    Release,
)
from resources.ledger.reports import GateReport
from resources.tracking import Tracking, TrackingUnavailable
from workloads.sdk.contract import OnInconclusive
from workloads.sdk.errors import PlatformError

Result = Literal["released", "unchanged", "held", "refused", "rejected"]

MLFLOW = "mlflow"  # who decides where an alias was moved by hand: MLflow does not say who it was
RESULTS: dict[str, Result] = {"release": "released", "hold": "held", "refuse": "refused"}
ATTEMPTS = 5


class CannotRelease(PlatformError):
    """What was asked makes no sense now; the message says why and what can be done."""


@dataclass(frozen=True)
class Outcome:
    """What came of considering a candidate.

    Attributes:
        result: `released`; `unchanged`: it is released already, or was and was replaced; `held`: a person must approve;
            `refused`: by its gate; `rejected`: by a person.
        release: the target's current release afterwards, if any.
        report: what it was decided on, if anything.
        why: one sentence.
    """

    result: Result
    release: Release | None
    report: GateReport | None
    why: str = ""


@dataclass
class Repair:
    """What a repair found and did."""

    moves: list[AliasMove] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    adopted: list[Outcome] = field(default_factory=list)


class Evaluator(Protocol):
    """How the candidates of one target are judged."""

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport: ...

    def rules(self, candidate: Candidate) -> str:
        """Digest of what is asked of a candidate; a report under other rules is stale."""
        ...

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        """What a report leads to: release, hold or refuse."""
        ...


class Releasing:
    """Decides what of one target is released."""

    def __init__(self, target: str, ledger: Ledger, tracking: Tracking, evaluator: Evaluator) -> None:
        self.target = target
        self.ledger = ledger
        self.tracking = tracking
        self.evaluator = evaluator
        self.aliases = Projection(target, ledger, tracking)

    # Judging.

    def report(self, candidate: Candidate) -> GateReport:
        """The candidate's report against what is released now: the stored one where it still holds, else a new one."""
        return self._report(candidate, self._champion(self.ledger.current(self.target)))

    def _report(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        stored = self.ledger.report(candidate.id)
        if stored and champion and champion.id == candidate.id:
            return stored  # it is released: what it was released on is what counts
        against = champion if champion and champion.id != candidate.id else None
        if stored and self._holds(stored, candidate, against):
            return stored
        report = self.evaluator.judge(candidate, against)
        self.ledger.add_report(candidate.id, report)
        return report

    def _holds(self, report: GateReport, candidate: Candidate, champion: Candidate | None) -> bool:
        return (
            report.environment == self.ledger.settings.env
            and report.candidate_digest == candidate.digest
            and report.champion_digest == (champion.digest if champion else None)
            and report.rules == self.evaluator.rules(candidate)
        )

    # Deciding.

    def consider(
        self,
        candidate: Candidate,
        actor: str,
        why: str,
        action: Action = "release",
        again: bool = False,
        alert: bool = False,
    ) -> Outcome:
        """Let the gate decide about a candidate, now, and do what follows.

        Args:
            action: what it is called in the ledger if it is released.
            again: also release one that was released before and replaced since, as only a person asks for.
            alert: where it is not released, raise an alert and set the aliases again.
        """
        known: list[Decision] | None = None  # about the candidate, when it was asked for
        for _ in range(ATTEMPTS):
            current = self.ledger.current(self.target)
            if current and current.candidate == candidate.id:
                return self._done(Outcome("unchanged", current, self.ledger.report(candidate.id), "released already"))
            champion = self._champion(current)
            if not again and current and champion and _same(champion, candidate):
                why = f"{current.version} has the same artifacts, made from the same data"
                return self._done(Outcome("unchanged", current, self.ledger.report(candidate.id), why))
            if not again and (before := self.ledger.releases_of_candidates([candidate.id])):
                why = f"it was released as {before[-1].version} and replaced; only a person brings it back"
                return self._done(Outcome("unchanged", current, self.ledger.report(candidate.id), why))
            decided = self.ledger.decisions(candidate.id)
            known = decided if known is None else known
            if decided and decided[-1].action == "reject" and (not again or decided != known):  # asked for before that
                why = f"{decided[-1].actor} has rejected it ({decided[-1].why}); only a person brings it back"
                return self._done(Outcome("unchanged", current, self.ledger.report(candidate.id), why))
            report = self._report(candidate, champion)
            leads = self.evaluator.leads_to(candidate, report)
            released = leads == OnInconclusive.RELEASE
            reasons = "; ".join(report.reasons()) or "all checks pass"
            held = leads == OnInconclusive.HOLD
            verdict = f"waits for `mlops approve {self.target} --why ...`" if held else "is refused"
            text = f"version {candidate.number} {verdict}: {reasons}"
            if released and (damaged := self._damage(candidate)):
                return self._damaged(candidate, current, report, damaged, alert)
            try:
                release = self.ledger.decide(
                    candidate.id,
                    action if released else leads.value,
                    actor=actor,
                    why=why if released else f"{why}; {reasons}",
                    report=report,
                    against=champion.id if champion else None,
                    after=decided[-1].id if decided else None,
                    alert=text if held or (alert and not released) else None,
                    put_back=alert and not released and not self.aliases.is_gone(current.number if current else None),
                )
            except (ChampionMoved, DecidedMeanwhile):
                continue  # judge again, against what is released and decided now
            self.aliases.tell(candidate, report.verdict)
            return self._done(Outcome(RESULTS[leads.value], release, report, reasons))
        raise CannotRelease(f"what is released as {self.target} changed {ATTEMPTS} times meanwhile; try again")

    def approve(self, actor: str, why: str, number: int | None = None) -> Outcome:
        """Release a candidate that waits for a person (the newest where no number is given).

        Raises:
            CannotRelease: none waits.
        """
        candidate, hold = self._waiting(number)
        current = self.ledger.current(self.target)
        champion = self._champion(current)
        report = self._report(candidate, champion)
        refused = report.verdict == "refuse"
        if not refused:
            self._require_intact(candidate)
        action: Action = "refuse" if refused else "approve"
        against = champion.id if champion else None
        release = self._answer(candidate.id, action, actor, why, report=report, against=against, after=hold)
        reasons = "; ".join(report.reasons())
        return self._done(Outcome("refused" if refused else "released", release, report, reasons))

    def reject(self, actor: str, why: str, number: int | None = None) -> Outcome:
        """Refuse a candidate that waits for a person, for good: only a person asks for it again (`mlops release`).

        Raises:
            CannotRelease: none waits.
        """
        candidate, hold = self._waiting(number)
        report = self.ledger.report(candidate.id)
        current = self._answer(candidate.id, "reject", actor, why, report=report, after=hold)
        return self._done(Outcome("rejected", current, report, f"version {candidate.number}, by {actor}: {why}"))

    def _waiting(self, number: int | None) -> tuple[Candidate, int]:
        """A candidate that waits, and the id of the decision that holds it."""
        waiting = [each for each in self.held() if number in (None, each.number)]
        if not waiting:
            which = f"version {number} of {self.target}" if number else f"no candidate of {self.target}"
            raise CannotRelease(f"{which} {'does not wait' if number else 'waits'} for approval")
        decisions = self.ledger.decisions(waiting[-1].id)
        if decisions[-1].action != "hold":
            raise CannotRelease(f"{decisions[-1].actor} has decided meanwhile: {decisions[-1].action}")
        return waiting[-1], decisions[-1].id

    def held(self) -> list[Candidate]:
        """Candidates that wait for a person, newest last."""
        return self.ledger.candidates.waiting(self.target)

    def rollback(self, actor: str, why: str, to: str | None = None) -> Outcome:
        """Release what was released before (or a version that once was) again, as it was: nothing is trained or judged.

        Raises:
            CannotRelease: there is no such release.
        """
        current = self.ledger.current(self.target)
        if current is None:
            raise CannotRelease(f"nothing of {self.target} is released, so there is nothing to go back from")
        if to is None:
            target = self.ledger.release(current.previous) if current.previous else None
        else:
            target = next((each for each in self.ledger.releases(self.target) if each.version == to), None)
        if target is None:
            what = f"{to} was never released" if to else f"{current.version} is the first release"
            versions = dict.fromkeys(release.version for release in self.ledger.releases(self.target))
            raise CannotRelease(f"{self.target} {what}; released so far: {', '.join(versions)}")
        if target.candidate == current.candidate:
            return self._done(Outcome("unchanged", current, None, f"{current.version} is what is released"))
        candidate = self.ledger.candidates.by_id(target.candidate)
        assert candidate is not None
        self._require_intact(candidate)
        release = self._answer(target.candidate, "rollback", actor, why, against=current.candidate)
        return self._done(Outcome("released", release, self.ledger.report(target.candidate), why))

    def override(self, candidate: Candidate, actor: str, why: str) -> Outcome:
        """Release a candidate whatever its gate says; who and why stay in the ledger."""
        current = self.ledger.current(self.target)
        report = self.ledger.report(candidate.id)
        if current and current.candidate == candidate.id:
            return self._done(Outcome("unchanged", current, report, "released already"))
        self._require_intact(candidate)
        release = self.ledger.decide(candidate.id, "override", actor=actor, why=why, report=report)
        return self._done(Outcome("released", release, report, why))

    # Aliases.

    def adopt(self, number: int) -> Outcome:
        """Enter a `@champion` moved by hand as that person's decision: released if the gate lets it, else put back."""
        current = self.ledger.current(self.target)
        candidate = self.ledger.candidates.get(self.target, number)
        why = f"@{CHAMPION} was moved by hand in MLflow to version {number}"
        if candidate is None:
            text = f"{why}, which the ledger does not know: nothing says what it was made from"
            self._put_back(current, number, text)
            return self._done(Outcome("refused", current, None, text))
        return self.consider(candidate, MLFLOW, why, action="adopt", again=True, alert=True)

    def repair(self, adopt: bool = True) -> Repair:
        """Make aliases and ledger agree: do what is pending, adopt or put back what somebody moved, put back the rest.

        Args:
            adopt: False leaves a moved `@champion` as it is, for whoever calls `adopt` with what the repair returns.
        """
        done = Repair(moves=self.aliases.project())
        done.differences = self.aliases.inspect()
        for difference in done.differences:
            if difference.decides:
                done.adopted += [self.adopt(difference.mlflow)] if adopt and difference.mlflow else []
            else:
                self.aliases.put_back(difference)
        done.moves += self.aliases.project()
        return done

    # What these share.

    def _require_intact(self, candidate: Candidate) -> None:
        """Raises CannotRelease where endpoints could not serve a candidate."""
        if damaged := self._damage(candidate):
            raise CannotRelease(f"version {candidate.number} of {self.target} cannot be served: {damaged}")

    def _damage(self, candidate: Candidate) -> str | None:
        """Why endpoints could not serve a candidate; None too where MLflow is away, without which decisions stand."""
        try:
            return damage(candidate, self.tracking)
        except TrackingUnavailable:
            return None

    def _damaged(
        self, candidate: Candidate, current: Release | None, report: GateReport, damaged: str, alert: bool
    ) -> Outcome:
        """What its gate lets through and no endpoint could serve is refused; nothing is decided about it."""
        why = f"version {candidate.number} cannot be served: {damaged}"
        if alert:
            self._put_back(current, candidate.number, why)
        return self._done(Outcome("refused", current, report, why))

    def _put_back(self, current: Release | None, number: int, text: str) -> None:
        """Raise an alert about a version (its number), and have the aliases set as before where they can be."""
        gone = self.aliases.is_gone(current.number if current else None)
        (self.ledger.alerts.add if gone else self.ledger.aliases.put_back)(self.target, "refuse", text, str(number))

    def _answer(self, candidate: int, action: Action, actor: str, why: str, **on: Any) -> Release | None:
        """Enter what a person decides; raises CannotRelease where something else was decided meanwhile."""
        try:
            return self.ledger.decide(candidate, action, actor=actor, why=why, **on)
        except (ChampionMoved, DecidedMeanwhile) as moved:
            raise CannotRelease(f"{moved}; look at `mlops live {self.target}` and decide again") from None

    def _champion(self, current: Release | None) -> Candidate | None:
        return self.ledger.candidates.by_id(current.candidate) if current else None

    def _done(self, outcome: Outcome) -> Outcome:
        """Project what was decided. The decision stands without MLflow; its aliases follow at the next tick."""
        try:
            self.aliases.project()
        except TrackingUnavailable as away:
            log.warning("%s: %s; the aliases follow when it is back", self.target, away)
        return outcome


def _same(one: Candidate, other: Candidate) -> bool:
    return (one.digest, one.data_digest, one.signature) == (other.digest, other.data_digest, other.signature)
