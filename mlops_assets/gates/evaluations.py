"""Row scores of a model on a test split, computed once and kept on disk as arrays (nothing pickled)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mlops_assets.gates.slices import column_of
from mlops_assets.lineage.code import own_code
from resources.cache import used
from workloads.sdk.artifacts import in_parts
from workloads.sdk.contract import Predictor, Workload

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Arrays of shape (rows,): `score/<metric>` of float64, `slice/<column>` of strings."""

    arrays: dict[str, Any]

    @classmethod
    def of_evaluation(cls, evaluation: Any) -> Self:
        """What a workload's `evaluate` returned, as it is."""
        import numpy as np

        scores = {f"score/{name}": np.asarray(values, dtype=np.float64) for name, values in evaluation.scores.items()}
        slices = {f"slice/{name}": np.asarray(values).astype(np.str_) for name, values in evaluation.slices.items()}
        return cls(scores | slices)

    @property
    def rows(self) -> int:
        return len(next(iter(self.arrays.values())))

    def of(self, metric: str) -> "NDArray[Any]":
        """Raises KeyError, naming what there is, where the metric was not scored."""
        return self._get(f"score/{metric}", "metric")

    def slice(self, column: str) -> "NDArray[Any]":
        return self._get(f"slice/{column}", "slicing column")

    def _get(self, name: str, what: str) -> Any:
        if name not in self.arrays:
            raise KeyError(f"the workload's evaluate returns no {what} {name.partition('/')[2]!r}")
        return self.arrays[name]


def evaluate(
    workload: Workload, digest: str, load: Callable[[], Predictor], test_split: Path, test_digest: str, cache: Path
) -> Scores:
    """Scores of the model with this digest on a test split; from the cache where they were computed before.

    They are kept under the digests of model, rows and the workload's own code, as changed code may score anew.

    Raises:
        ValueError: the evaluation is not one finite score per row.
    """
    file = cache / f"{digest[:32]}-{test_digest[:32]}-{own_code(workload)}.npz"
    if (kept := _read(file)) is not None:
        return kept
    outputs = in_parts(load().outputs, workload.resolve(workload.rows)(test_split))
    scores = _arrays(workload, workload.resolve(workload.evaluate)(outputs, test_split), test_split, len(outputs))
    _write(file, scores)
    return scores


def _arrays(workload: Workload, evaluation: Any, test_split: Path, rows: int) -> Scores:
    import numpy as np

    scores = Scores.of_evaluation(evaluation)
    for declared in workload.gates.slices:
        if declared.column not in evaluation.slices:
            scores.arrays[f"slice/{declared.column}"] = column_of(test_split, declared.column)
    scores.of(workload.gates.metric)
    for name, values in scores.arrays.items():
        if values.shape != (rows,) or not rows:
            raise ValueError(f"{name} has the shape {values.shape}; one value for each of {rows} test rows is asked")
        if name.startswith("score/") and not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")
    return scores


def _read(file: Path) -> Scores | None:
    import numpy as np

    try:
        with np.load(used(file), allow_pickle=False) as kept:
            return Scores({name: kept[name] for name in kept.files})
    except Exception:  # absent or damaged: computed again
        return None


def _write(file: Path, scores: Scores) -> None:
    import numpy as np

    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, **scores.arrays)
    partial.replace(file)
