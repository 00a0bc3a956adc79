"""The registry's aliases as a projection of the ledger: set what is asked for, and see what somebody else set."""

import logging
from dataclasses import dataclass

from resources.ledger import CHAMPION, PREVIOUS, AliasMove, Candidate, Ledger
from resources.tracking import Gone, Tracking, TrackingUnavailable

log = logging.getLogger("mlops.releasing")


@dataclass(frozen=True)
class Difference:
    """An alias that points elsewhere than the ledger says, with no move pending: somebody moved or removed it.

    `stuck`: nobody did; it could not be set, since the version is gone, and stands where it stood before.
    """

    alias: str
    ledger: int | None
    mlflow: int | None
    stuck: bool = False

    @property
    def decides(self) -> bool:
        """Whether this is a decision about what should be live, which `adopt` enters."""
        return self.alias == CHAMPION and self.mlflow is not None and not self.stuck

    def __str__(self) -> str:
        expected = f"version {self.ledger}" if self.ledger else "nothing"
        if self.stuck:
            return f"@{self.alias} belongs on {expected}"
        if self.mlflow is None:
            return f"@{self.alias} was removed in MLflow, and belongs on {expected}"
        return f"@{self.alias} was moved by hand in MLflow to version {self.mlflow}, and belongs on {expected}"


class Projection:
    """The aliases of one target."""

    def __init__(self, target: str, ledger: Ledger, tracking: Tracking) -> None:
        self.target = target
        self.ledger = ledger
        self.tracking = tracking

    def project(self) -> list[AliasMove]:
        """Set the aliases that the ledger asks for, one by one. Cut off anywhere, the next call goes on."""
        with self.ledger.aliases.projecting(self.target):
            asked = {move.alias: move for move in self.ledger.aliases.pending(self.target)}
            actual = self.tracking.registry.aliases(self.target) if asked else {}
            for move in asked.values():
                self._set(move, actual.get(move.alias))
                self.ledger.aliases.mark_moved(move)
            return list(asked.values())

    def _set(self, move: AliasMove, actual: int | None) -> None:
        try:
            if move.alias == CHAMPION and move.number and (release := self.ledger.current(self.target)):
                self.tracking.registry.tag(self.target, release.number, {"version": release.version})
            if move.number != actual:
                self.tracking.registry.set_alias(self.target, move.alias, move.number)
        except Gone as gone:
            self.ledger.alerts.add(self.target, "version-gone", f"@{move.alias} cannot be set: {gone}", move.alias)

    def inspect(self) -> list[Difference]:
        """Aliases that somebody moved or removed. Costs one request to MLflow, and decides nothing."""
        with self.ledger.aliases.projecting(self.target):  # else a half-done projection looks like a person's doing
            actual = self.tracking.registry.aliases(self.target)
            asked = {move.alias for move in self.ledger.aliases.pending(self.target)}
            expected = self.ledger.aliases.expected(self.target)
        found = {alias: number for alias, number in expected.items() if alias not in asked}
        return [
            Difference(alias, number, actual.get(alias), self._is_stuck(number, actual.get(alias), expected[PREVIOUS]))
            for alias, number in found.items()
            if actual.get(alias) != number
        ]

    def _is_stuck(self, number: int | None, actual: int | None, before: int | None) -> bool:
        return actual in (None, before) and self.is_gone(number)

    def restore(self) -> None:
        """Set aliases as the ledger has them, whoever moved them: of a composition nobody decides by an alias."""
        self.project()
        for difference in self.inspect():
            self.put_back(difference)
        self.project()

    def put_back(self, difference: Difference) -> None:
        """Ask for an alias to be set as the ledger has it, and raise an alert."""
        if self.is_gone(difference.ledger):
            text = f"{difference}, which is gone from MLflow; release another, or `mlops rollback {self.target}`"
            self.ledger.alerts.add(self.target, "version-gone", text, difference.alias)
        else:
            text, alias = f"{difference}; it was put back", difference.alias
            self.ledger.aliases.put_back(self.target, "alias", text, alias, [alias])

    def is_gone(self, number: int | None) -> bool:
        """Whether a version can never get its alias back, so that the alert about that stands until another release."""
        return number is not None and not self.tracking.registry.has(self.target, number)

    def tell(self, candidate: Candidate, verdict: str) -> None:
        """Show a gate's verdict in MLflow. Nothing depends on it."""
        try:
            self.tracking.registry.tag(self.target, candidate.number, {"verdict": verdict})
        except (TrackingUnavailable, Gone) as error:
            log.warning("%s: %s", self.target, error)
