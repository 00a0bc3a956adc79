"""How well each column of a table alone tells the target: what tells it too well gives it away (target leakage).

Such a column is a copy of the target, a number that counts the rows of a sorted file, or what is known only afterwards
(Kaufman, Rosset and Perlich 2011, "Leakage in data mining"). A small tree is fitted to each column and scored on rows
that it has not seen; that a cell is missing counts as well. Nothing is decided here: people are told.
"""

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from workloads.sdk.kits.tables.column import Column
from workloads.sdk.kits.tables.columns import Identifier
from workloads.sdk.kits.tables.rows import Columns

FOLDS = 3
ROWS = 3000  # that are looked at, spread over the file
WORDS = 100  # of a column
LEAVES, LEAST = 16, 3  # of a tree: leaves (more where there are many classes), and rows in each
AWAY = 0.95  # share of what there is to tell from which on a column gives the target away


def telling(columns: Columns, values: Mapping[str, np.ndarray], targets: np.ndarray, classes: bool) -> dict[str, float]:
    """Of each column the share of what there is to tell that it tells alone, from 0 to 1; of free text nothing.

    Of classes that is (balanced accuracy - what guessing reaches) / (1 - the same), or how well a missing cell tells
    one of them (Youden's index); of numbers the coefficient of determination. Names of rows count by their digits.

    Args:
        values: of each column, shape (rows,); where it has none, the column is passed over.
        targets: strings or float64 of shape (rows,), "" or NaN where it is missing.
    """
    told = np.flatnonzero([target == target and target != "" for target in targets.tolist()])
    told = told[np.linspace(0, len(told) - 1, min(ROWS, len(told))).round().astype(int)]
    wanted = targets[told].astype(str if classes else np.float64)
    counts = np.unique(wanted, return_counts=True)[1]
    if len(told) < 2 * FOLDS or len(counts) < 2 or (classes and max(counts) < FOLDS):
        return {}
    seen = {name: _features(column, values[name][told]) for name, column in columns.items() if name in values}
    return {name: _alone(features, wanted, classes) for name, features in seen.items() if features.shape[1]}


def giving_away(columns: Columns, found: Mapping[str, float]) -> dict[str, float]:
    """The columns that are learned from and give the target away, with what `telling` found, the best first."""
    ranked = sorted(found.items(), key=lambda each: -each[1])
    return {name: share for name, share in ranked if share >= AWAY and columns[name].learned}


def _features(column: Column, values: np.ndarray) -> np.ndarray:
    """What a tree gets of a column, float32 of shape (rows, features), NaN where a cell is missing."""
    if isinstance(column, Identifier):
        digits = [re.sub(r"\D", "", cell) for cell in values.tolist()]
        return np.asarray([[float(cell[-15:]) if cell else np.nan] for cell in digits], np.float32)
    parts = column.numbers(values)
    if column.words:
        known = [word for word, _ in Counter(values.tolist()).most_common(WORDS) if word]
        parts = [np.where(values == "", np.nan, values == word).astype(np.float32) for word in known]
    return np.stack(parts, axis=1) if parts else np.zeros((len(values), 0), np.float32)


def _alone(features: np.ndarray, wanted: np.ndarray, classes: bool) -> float:
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    leaves = max(LEAVES, 2 * len(np.unique(wanted))) if classes else LEAVES
    size: dict[str, Any] = {"max_leaf_nodes": leaves, "min_samples_leaf": LEAST, "random_state": 0}
    tree = DecisionTreeClassifier(class_weight="balanced", **size) if classes else DecisionTreeRegressor(**size)
    folds = (StratifiedKFold if classes else KFold)(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer rows than there are folds
        estimated = cross_val_predict(tree, features, wanted, cv=folds)
        if not classes:
            return round(max(0.0, float(r2_score(wanted, estimated))), 3)
        guessed = 1 / len(np.unique(wanted))
        skill = (float(balanced_accuracy_score(wanted, estimated)) - guessed) / (1 - guessed)
    return round(max(0.0, skill, _by_absence(features, wanted)), 3)


def _by_absence(features: np.ndarray, wanted: np.ndarray) -> float:
    """How well it tells one of the classes that a cell is missing, or that it is there."""
    absent = np.isnan(features).any(axis=1)
    found = [0.0]
    for name in np.unique(wanted) if absent.any() else ():
        own = wanted == name
        if own.sum() >= LEAST and not own.all():
            found.append(abs(float(absent[own].mean() - absent[~own].mean())))
    return max(found)
