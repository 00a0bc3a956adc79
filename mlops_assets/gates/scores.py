"""Checks on row scores that candidates of every kind pass: the floor, and the comparison with what is released."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_assets.gates.statistics import Paired, mean_interval, paired
from resources.ledger.reports import Check
from workloads.sdk.artifacts import CONSTANT, BrokenArtifacts
from workloads.sdk.contract import Metric, Verdict
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def floor(metric: Metric, bound: float, values: "NDArray[Any]", evidence: dict[str, Any] | None = None) -> Check:
    """Whether the mean of row scores, shape (rows,), reaches a bound (stays below it, where lower is better)."""
    value, interval = float(values.mean()), mean_interval(values)
    asked = "at least" if metric.higher_is_better else "at most"
    return Check(
        name="floor",
        verdict="pass" if reaches(metric, value, bound) else "refuse",
        value=value,
        threshold=bound,
        unit=metric.unit,
        n=len(values),
        text=f"{metric.name} {value:.4g} [{interval.low:.4g}, {interval.high:.4g}], asked {asked} {bound:g}",
        evidence={"metric": metric.name, "interval": [interval.low, interval.high], **(evidence or {})},
    )


def baselines(metric: Metric, values: "NDArray[Any]", found: Mapping[str, "NDArray[Any]"]) -> Check:
    """Whether a candidate's row scores beat those of simpler models on the same rows.

    One that says the same of every row must be beaten; of any other it is enough that the rows do not show it better.
    """
    if not found:
        text = "the artifacts hold no baselines to beat; write them in training, or declare a floor"
        return Check(name="floor", verdict="refuse", text=text)
    sign = 1 if metric.higher_is_better else -1
    verdicts: list[Verdict] = []
    for name, theirs in found.items():
        against = paired(sign * values, sign * theirs)
        beaten = against.difference > 0 or (against.difference == 0 and name != CONSTANT)
        worse = name == CONSTANT or against.interval.high < 0
        verdicts.append("pass" if beaten else "refuse" if worse else "inconclusive")
    value, interval = float(values.mean()), mean_interval(values)
    means = {name: float(theirs.mean()) for name, theirs in found.items()}
    said = ", ".join(f"{name} {mean:.4g}" for name, mean in means.items())
    return Check(
        name="floor",
        verdict=next((each for each in ("refuse", "inconclusive") if each in verdicts), "pass"),
        value=value,
        threshold=(max if sign > 0 else min)(means.values()),
        unit=metric.unit,
        n=len(values),
        text=f"{metric.name} {value:.4g} [{interval.low:.4g}, {interval.high:.4g}], asked to beat {said}",
        evidence={"metric": metric.name, "interval": [interval.low, interval.high], "baselines": means},
    )


def reaches(metric: Metric, value: float, bound: float) -> bool:
    """Whether a metric's value is at its bound or beyond, on the good side."""
    return value >= bound if metric.higher_is_better else value <= bound


def uncompared(metric: Metric | None, margin: float, text: str, value: float | None = None) -> Check:
    """A comparison with what is released that need not be made."""
    unit = metric.unit if metric else ""
    return Check(name="champion", verdict="pass", value=value, threshold=-margin, unit=unit, text=text)


def broken_champion(metric: Metric | None, margin: float, number: int, cannot: str, error: Exception) -> Check:
    """A comparison that could not be made, since the champion (its number) cannot do something, by its own fault.

    Raises:
        Exception: the error itself, where it lies outside of the champion.
    """
    text = f"the champion (number {number}) {cannot}: {sentence(of_candidate(error))}"
    check = uncompared(metric, margin, text)
    return check.model_copy(update={"verdict": "inconclusive", "evidence": {"error": sentence(error)}})


def compared(
    metric: Metric, margin: float, ours: "NDArray[Any]", theirs: "NDArray[Any]", number: int
) -> tuple[Check, float | None]:
    """Whether a candidate's row scores are not worse than the champion's on the same rows by more than the margin.

    Args:
        number: of the champion, for people.

    Returns:
        The check, and the smallest difference that the rows can show; None where they show nothing.

    Raises:
        ValueError: scores of other rows, or not finite.
    """
    sign = 1 if metric.higher_is_better else -1
    found = paired(sign * ours, sign * theirs)
    low, high = found.interval.low, found.interval.high
    side = "better" if found.difference >= 0 else "worse"
    shown = f"{side} by {abs(found.difference):.4g}, in [{low:+.4g}, {high:+.4g}]"
    smallest = f"{found.smallest:.3g}" if found.smallest is not None else "nothing"
    verdict: Verdict
    if high < -margin:
        verdict, text = "refuse", f"worse by more than the margin of {margin:g}: {shown}"
    elif low > 0:
        verdict, text = "pass", shown  # few rows are enough to see that it is better,
    elif high < 0 and low < -margin:  # or worse, by whatever
        verdict, text = "refuse", f"worse, and it may be by more than the margin of {margin:g}: {shown}"
    elif found.smallest is None or found.smallest > margin:
        verdict = "inconclusive"
        text = f"{found.n} rows can show a difference of {smallest}, and the margin is {margin:g}: {shown}"
    elif low >= -margin:
        verdict, text = "pass", f"not worse by the margin of {margin:g}: {shown}"
    else:
        verdict, text = "refuse", f"may be worse by more than the margin of {margin:g}: {shown}"
    said = {"metric": metric.name, "champion": number, "differing_rows": found.differing}
    means = {"candidate_value": float(ours.mean()), "champion_value": float(theirs.mean())}
    return comparison(found, margin, verdict, text, metric.unit, **said, **means)


def comparison(
    found: Paired, margin: float, verdict: Verdict, text: str, unit: str = "", **evidence: Any
) -> tuple[Check, float | None]:
    """The check of a comparison that was made, and the smallest difference that its rows can show."""
    shown = {"interval": [found.interval.low, found.interval.high], "smallest_difference": found.smallest}
    check = Check(
        name="champion",
        verdict=verdict,
        value=found.difference,
        threshold=-margin,
        unit=unit,
        n=found.n,
        text=text,
        evidence=evidence | shown,
    )
    return check, found.smallest


def of_candidate(error: Exception) -> Exception:
    """An error of what is judged, which is a reason to refuse it; one that lies outside of it is raised again.

    Outside are services that do not answer, a store or disk that cannot be read, no memory: they say nothing of it.
    """
    absent = isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError)  # its own code looked for it
    outside = isinstance(error, PlatformError | MemoryError | OSError) and not isinstance(error, BrokenArtifacts)
    library, name = type(error).__module__.partition(".")[0], type(error).__name__
    if (outside and not absent) or library in ("psycopg", "mlflow") or name == "OutOfMemoryError":  # of a GPU
        raise error
    return error


def sentence(error: Exception) -> str:
    """An error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
