"""What came of considering a candidate, or of a repair."""

from dataclasses import dataclass, field
from typing import Literal

from mlops_assets.release.projection import Difference
from resources.ledger import AliasMove, Release
from resources.ledger.reports import GateReport
from workloads.sdk.errors import PlatformError

Result = Literal["released", "unchanged", "held", "refused", "rejected"]


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
