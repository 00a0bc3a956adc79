"""The model that a table starts with: the best of some, by rows that it has not learned from; and what it must beat.

Beside it lie two baselines, which the gate compares it with on the test rows (`Gates.floor` None): the simplest of the
models, unless that was chosen, and one that says the same of every row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from workloads.sdk.artifacts import BASELINES, CONSTANT
from workloads.sdk.contract import TRAIN, VALIDATION, TrainingJob, TrainingResult, Trial
from workloads.sdk.kits.tables import sklearn as kit
from workloads.sdk.kits.tables.encoder import frame, prepared
from workloads.sdk.kits.tables.rows import Rows, names, together
from workloads.sdk.kits.tables.tabular import columns_of, rows, targets

SMALL = 2000  # rows up to which each model is tried on folds of them, since the validation split alone says little
FOLDS = 5


def train(
    job: TrainingJob,
    models: Mapping[str, Any],
    classes: Sequence[str] | None = None,
    only: str = "auto",
    balanced: bool = False,
) -> TrainingResult:
    """Fit the best of the models to the training split, and write it with its baselines.

    Args:
        models: estimators by name; the last is the baseline of the others.
        classes: of which one is to be told; None where the target is a number.
        only: the one to take, or `auto`.
        balanced: each class counts as much as any other, in fitting and in choosing; else each row.
    """
    asked = models if only == "auto" else {only: models[only]}
    trials = _trials(job, asked, classes, balanced) if len(asked) > 1 else []
    best = next((trial.name for trial in trials if trial.best), next(iter(asked)))
    result = kit.train(job, models[best], classes, balanced)
    simplest = list(models)[-1]
    if best != simplest:
        _baseline(job, simplest, models[simplest], classes, balanced)
    _baseline(job, CONSTANT, _constant(classes), classes)
    return TrainingResult(metrics=result.metrics, trials=trials)


def _trials(job: TrainingJob, models: Mapping[str, Any], classes: Sequence[str] | None, balanced: bool) -> list[Trial]:
    """Each model's mean score on the rows held out: (balanced) accuracy, or the coefficient of determination."""
    table, wanted, parts = _parts(job, classes)
    metric, found = "r2" if classes is None else "balanced_accuracy" if balanced else "accuracy", []
    for number, (name, model) in enumerate(models.items()):
        job.progress(0.1 * number / len(models), f"trying {name} on {len(parts)} part(s) of the rows")
        began = perf_counter()
        with kit.threads(job.tier):
            scores = [_score(model, table, wanted, learned, held, job, metric) for learned, held in parts]
        found.append((name, float(np.mean(scores)), perf_counter() - began))
    best = max(found, key=lambda each: each[1])[0]
    return [
        Trial(
            name=name,
            parameters={"model": name},
            metrics={f"validation_{metric}": score},
            best=name == best,
            seconds=seconds,
        )
        for name, score, seconds in found
    ]


def _parts(
    job: TrainingJob, classes: Sequence[str] | None
) -> tuple[Rows, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Rows, targets, and what to learn from and what to hold out: the validation split, or folds of all."""
    from sklearn.model_selection import KFold, StratifiedKFold

    both = [rows(job.data[split]) for split in (TRAIN, VALIDATION)]
    table, wanted = together(both), np.concatenate([targets(job.data[split]) for split in (TRAIN, VALIDATION)])
    if len(table) > SMALL:
        border = len(both[0])
        return table, wanted, [(np.arange(border), np.arange(border, len(table)))]
    enough = classes is not None and min(np.unique(wanted, return_counts=True)[1]) >= FOLDS
    divided = StratifiedKFold if enough else KFold
    folds = divided(FOLDS, shuffle=True, random_state=job.parameters.seed)
    return table, wanted, list(folds.split(np.zeros(len(table)), wanted))


def _score(
    model: Any, table: Rows, wanted: np.ndarray, learned: np.ndarray, held: np.ndarray, job: TrainingJob, metric: str
) -> float:
    from sklearn.base import clone
    from sklearn.metrics import get_scorer

    columns = names(columns_of(job.data[TRAIN]))
    made = prepared(clone(model), table[learned])
    fitted = kit.fitted(made, frame(table[learned], columns), wanted[learned], metric == "balanced_accuracy")
    return float(get_scorer(metric)(fitted, frame(table[held], columns), wanted[held]))


def _baseline(job: TrainingJob, name: str, model: Any, classes: Sequence[str] | None, balanced: bool = False) -> None:
    folder = job.artifacts / BASELINES / name
    folder.mkdir(parents=True)
    quiet = TrainingJob(**{**vars(job), "artifacts": folder, "progress": lambda share, text: None})
    kit.train(quiet, model, classes, balanced)
    Path(folder, kit.STORED).unlink()  # what is compared with is the served form


def _constant(classes: Sequence[str] | None) -> Any:
    """A tree of one leaf: the share of each class, or the mean."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeRegressor if classes is None else DecisionTreeClassifier
    return kind(min_samples_split=1.0, min_samples_leaf=0.5, min_impurity_decrease=1e300)
