"""How sure a figure from a test set is: intervals, paired comparison, and what the test set can show at all.

A metric is a mean of row scores, so two models on the same rows are compared by the mean of their rows' differences.
numpy and scipy are imported where they are used.
"""

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

CONFIDENCE, POWER = 0.95, 0.8
RESAMPLES = 2000
BLOCK = 1 << 21  # resampling weights held at a time: 16 MiB


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, in the unit of what it is about."""

    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Two models on the same rows.

    Attributes:
        n: rows.
        difference: mean of (first - second).
        interval: 95 % interval of that mean, by bootstrap.
        smallest: smallest true difference that these rows show with 80 % power; None where the rows say nothing.
        differing: rows whose scores differ at all.
    """

    n: int
    difference: float
    interval: Interval
    smallest: float | None
    differing: int


def paired(first: "ArrayLike", second: "ArrayLike", seed: int = 0) -> Paired:
    """Compare row scores of two models, each of shape (rows,), rows in the same order.

    Raises:
        ValueError: shapes differ, there are no rows, or a score is not finite.
    """
    first, second = _scores(first), _scores(second)
    if first.shape != second.shape:
        raise ValueError(f"scores of {len(first)} rows cannot be compared with scores of {len(second)} rows")
    differences = first - second
    scale = float(max(abs(first).max(), abs(second).max()))
    return Paired(
        n=len(differences),
        difference=float(differences.mean()),
        interval=bootstrap(differences, seed=seed),
        smallest=smallest_difference(differences, scale),
        differing=int((differences != 0).sum()),
    )


def bootstrap(values: "ArrayLike", resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Percentile interval of the mean of values of shape (rows,) (Efron and Tibshirani 1993, section 13.3).

    A resample is a multinomial draw of how often each *distinct* value occurs, which has the same distribution as
    drawing rows and is all but free for scores of right and wrong. Memory is bounded: weights are drawn in blocks.
    """
    import numpy as np

    values = _scores(values)
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return Interval(float(distinct[0]), float(distinct[0]))
    n, shares = len(values), counts / len(values)
    random = np.random.default_rng(seed)
    block = max(1, BLOCK // len(distinct))
    sizes = [min(block, resamples - at) for at in range(0, resamples, block)]
    means = np.concatenate([random.multinomial(n, shares, size=size) @ distinct / n for size in sizes])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def smallest_difference(differences: "ArrayLike", scale: float) -> float | None:
    """Smallest true mean difference that a two-sided paired test at 5 % finds with 80 % power.

    (t[n-1, 0.975] + t[n-1, 0.8]) * s / sqrt(n), the sample size formula of the paired t test solved for the
    difference (Snedecor and Cochran, Statistical Methods, on sample size), where s is the standard deviation of the
    paired differences.

    Rows that do not differ say little about how often rows differ at all: 36 equal answers do not show that there is
    no difference. So where some rows are equal, s is at least what it would be if rows differed as often as the data
    allows: the upper 95 % limit of Clopper and Pearson (1934) of the share of differing rows (with none of n
    differing it is 1 - 0.05^(1/n), about 3/n: the rule of three), times the mean square of a differing row, to whose
    rows one of the size `scale` is added.

    Args:
        differences: shape (rows,).
        scale: largest difference that a row can be expected to show, for example the largest score.

    Returns:
        None with fewer than two rows, or where all scores are 0, so that nothing is known about their scale.
    """
    import numpy as np
    from scipy import stats

    d = _scores(differences)
    n, differing = len(d), int((d != 0).sum())
    if n < 2 or (differing == 0 and scale <= 0):
        return None
    variance = float(d.var(ddof=1))
    if differing < n:
        share = float(stats.beta.ppf(CONFIDENCE, differing + 1, n - differing))
        square = (float(np.square(d).sum()) + scale**2) / (differing + 1)
        variance = max(variance, share * square - float(d.mean()) ** 2)
    t = stats.t(n - 1)
    return float((t.ppf((1 + CONFIDENCE) / 2) + t.ppf(POWER)) * sqrt(variance / n))


def mean_interval(scores: "ArrayLike", seed: int = 0) -> Interval:
    """Interval of a metric: Wilson's where every row is 0 or 1, which also holds near 0 and 1; else bootstrap."""
    scores = _scores(scores)
    if bool(((scores == 0) | (scores == 1)).all()):
        return wilson(int(scores.sum()), len(scores))
    return bootstrap(scores, seed=seed)


def difference(first: float, of_first: Interval, second: float, of_second: Interval) -> Interval:
    """Interval of first - second, two independent means with their own intervals.

    Each side is as wide as the two sides that pull that way, as the sides of a right triangle are to its longest: for
    shares with Wilson's intervals this is Newcombe's method 10 (1998), in general MOVER (Zou and Donner 2008).
    """
    middle = first - second
    low = middle - sqrt((first - of_first.low) ** 2 + (of_second.high - second) ** 2)
    high = middle + sqrt((of_first.high - first) ** 2 + (second - of_second.low) ** 2)
    return Interval(low, high)


def wilson(successes: int, n: int) -> Interval:
    """Score interval of a share (Wilson 1927)."""
    from scipy import stats

    found = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(found.low), float(found.high))


def _scores(values: Any) -> "NDArray[np.float64]":
    import numpy as np

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"scores must be of shape (rows,) with at least one row, not {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("a score is not a finite number")
    return values
