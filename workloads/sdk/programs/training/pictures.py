"""The pictures of a training. One that cannot be drawn costs a warning, never the model."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workloads.sdk import plots
from workloads.sdk.contract import TrainingResult, Workload


def draw(
    workload: Workload, outputs: Any, test: Path, trained: TrainingResult, beside: Mapping[str, float], out: Path
) -> list[str]:
    """Write the workload's own pictures (PNG) and those of every training into `out`; what failed of it, and why.

    Args:
        outputs: of the served form for the test rows.
        beside: the deciding metric on these of the model, and of the baselines in its artifacts.
    """
    goal, wanted = workload.metric, dict[str, Callable[[], Any]]()
    if reference := workload.plot:
        wanted[reference] = lambda: workload.resolve(reference)(outputs, test, out)
    if len(beside) > 1:
        wanted["baselines.png"] = lambda: plots.baselines(beside, goal.name, len(outputs), out / "baselines.png")
    if any(len(values) > 1 for values in trained.curves.values()):
        wanted["learning_curves.png"] = lambda: plots.learning_curves(trained.curves, out / "learning_curves.png")
    if trained.trials:
        file = out / "parallel_coordinates.png"
        wanted[file.name] = lambda: plots.parallel_coordinates(
            trained.trials, f"validation_{goal.name}", goal.higher_is_better, file
        )
    return [why for name, picture in wanted.items() if (why := _failure(name, picture))]


def _failure(name: str, picture: Callable[[], Any]) -> str | None:
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            picture()
    except Exception as error:  # whatever a library says of a name, a font or a number
        return f"{name} could not be drawn: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if lacking := {str(one.message) for one in said if "missing from font" in str(one.message)}:
        return f"{name} has boxes for {len(lacking)} letters that no font here has; install one, such as Noto Sans CJK"
    return None
