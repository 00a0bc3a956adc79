"""What a candidate must show before it may be released."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Verdict = Literal["pass", "refuse", "inconclusive"]


class OnInconclusive(StrEnum):
    """What follows when the test set is too small to show a difference of the margin's size."""

    RELEASE = "release"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Metric:
    """A measure of quality, the mean over rows of a score of the same name in `Evaluation.scores`."""

    name: str
    description: str
    higher_is_better: bool = True
    unit: str = ""


@dataclass(frozen=True)
class Slice:
    """A column whose groups of rows are looked at one by one.

    Attributes:
        column: one of `Evaluation.slices`, or a column of the test split; numbers are cut at their quartiles.
        floor: what every group must reach (a ceiling where lower is better); None: they are shown, and none is judged.
        minimum_rows: a group with fewer rows is shown and not judged.
        metric: what is looked at; None: the metric that decides.
    """

    column: str
    floor: float | None = None
    minimum_rows: int = 10
    metric: str | None = None


@dataclass(frozen=True)
class Gates:
    """What a candidate must show before it may be released; every figure on the frozen test split, served form.

    Attributes:
        metric: name of the metric that decides.
        floor: value that the metric must reach (a ceiling where lower is better). None: the artifacts' `baselines` must
            be beaten, `constant` for certain, the others as far as the test rows can tell.
        margin: difference to the champion that matters, in the metric's own unit; a candidate may be worse by less.
        slices: columns within whose groups the metric is looked at, with a floor or without.
        golden: JSON file beside the declaration: a list of `{"request": ..., "answer": {...}}`, each request with one
            row, whose answer must contain the given fields; floats are compared within 1e-3. None: no golden rows.
        latency_ms: budget of the 95th percentile of one row's prediction in process, milliseconds.
        on_inconclusive: see `OnInconclusive`.
    """

    metric: str
    floor: float | None
    margin: float
    latency_ms: float
    slices: Sequence[Slice] = ()
    golden: str | None = None
    on_inconclusive: OnInconclusive = OnInconclusive.RELEASE


@dataclass(frozen=True)
class Parity:
    """How far the served form may differ from the trained one, on all held-out rows.

    Attributes:
        reference: `module:function`, `(artifacts: Path, inputs) -> outputs` of the trained form.
        tolerance: largest absolute difference of any output.
    """

    reference: str
    tolerance: float
