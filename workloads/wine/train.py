"""Trains wine's random forest: `python -m workloads.wine.train --max-depth 5` (a second on one core).

With `--search-trials 20` the forest's parameters are searched for first.

No scaler before the trees: so the ONNX form decides exactly as the trained one does.
"""

from pathlib import Path

import numpy as np

from workloads.sdk.contract import TRAIN, TrainingJob, TrainingResult
from workloads.sdk.kits.tables import sklearn as kit
from workloads.sdk.kits.tables.rows import Rows
from workloads.sdk.programs.training import main
from workloads.wine.data import classes_of, rows
from workloads.wine.search import forest, search


def train(job: TrainingJob) -> TrainingResult:
    """Fit on the training split, with parameters found by a search where one is asked for; write both forms."""
    found, trials = search(job) if job.parameters.search_trials else (job.parameters, [])
    model = forest(found)
    trained = kit.train(job, model, classes_of(rows(job.data[TRAIN])))
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return TrainingResult(metrics={**trained.metrics, "nodes": float(nodes)}, trials=trials)


def reference(artifacts: Path, inputs: Rows) -> np.ndarray:
    """Probabilities by the trained form, float32 (rows, classes)."""
    return kit.reference(artifacts, inputs, classes_of(inputs))


if __name__ == "__main__":
    main(__spec__.parent)
