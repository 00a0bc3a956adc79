"""A gate's report: checks with value, threshold and evidence, and the verdict that follows from them."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workloads.sdk.contract import Verdict


class Check(BaseModel):
    """One thing that a candidate had to show.

    Attributes:
        name: for example `floor`, `slices:region`, `latency`, `champion`.
        verdict: `pass`, `refuse` or `inconclusive`.
        value: what was measured; None where the check is not a figure.
        threshold: what it had to reach, in the same unit.
        unit: of value and threshold.
        n: rows, calls or examples that the value comes from.
        text: one sentence for people, saying what was found.
        evidence: JSON-ready details.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    n: int = 0
    text: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)


class GateReport(BaseModel):
    """What a gate found about a candidate.

    Attributes:
        thing: what it is a candidate for.
        environment: where it was judged; a report from elsewhere is not taken as this environment's own.
        rules: digest of what was asked of the candidate; changed rules make a report stale.
        candidate_digest: identity of what was judged.
        champion_digest: identity of what it was compared with; None where nothing was released yet.
        test_digest: SHA-256 of the frozen test rows.
        n: number of those rows.
        smallest_difference: smallest difference to the champion that these rows can show (80 % power, 5 % two-sided),
            in the deciding metric's unit; None where nothing was compared.
        checks: all of them, also those that passed.
        verdict: `refuse` if any check refuses, else `inconclusive` if any is, else `pass`.
        created_at: when it was judged, UTC.
    """

    model_config = ConfigDict(frozen=True)

    thing: str
    environment: str = ""
    rules: str = ""
    candidate_digest: str
    champion_digest: str | None
    test_digest: str
    n: int
    smallest_difference: float | None
    checks: tuple[Check, ...]
    verdict: Verdict
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def failed(self) -> bool:
        """Whether it is inconclusive since something went wrong, and not since there are too few rows."""
        return any(check.verdict == "inconclusive" and "error" in check.evidence for check in self.checks)

    def reasons(self) -> list[str]:
        """Why the verdict is not `pass`: one sentence for each check that did not pass."""
        return [f"{check.name}: {check.text}" for check in self.checks if check.verdict != "pass"]


def overall(checks: tuple[Check, ...]) -> Verdict:
    """The verdict of several checks."""
    verdicts = {check.verdict for check in checks}
    if "refuse" in verdicts:
        return "refuse"
    return "inconclusive" if "inconclusive" in verdicts else "pass"
