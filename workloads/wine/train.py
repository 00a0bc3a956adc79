"""Trains wine's random forest: `python -m workloads.wine.train --max-depth 5` (a second on one core).

No scaler before the trees: so the ONNX form decides exactly as the trained one does.
"""

from pathlib import Path

import numpy as np

from workloads.contract import TRAIN, TrainingJob, TrainingResult
from workloads.kits import sklearn as kit
from workloads.training import main
from workloads.wine.data import classes_of, rows


def train(job: TrainingJob) -> TrainingResult:
    """Fit on the training split; write the trained and the served form."""
    from sklearn.ensemble import RandomForestClassifier

    parameters = job.parameters
    forest = RandomForestClassifier(
        n_estimators=parameters.trees,
        max_depth=parameters.max_depth,
        min_samples_leaf=parameters.min_samples_leaf,
        max_features=parameters.max_features,
        random_state=parameters.seed,
    )
    trained = kit.train(job, forest, classes_of(rows(job.data[TRAIN])))
    nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    return TrainingResult(metrics={**trained.metrics, "nodes": float(nodes)})


def reference(artifacts: Path, inputs: np.ndarray) -> np.ndarray:
    """Probabilities by the trained form, float32 (rows, classes), for float32 inputs (rows, columns)."""
    return kit.reference(artifacts, inputs, classes_of(inputs))


if __name__ == "__main__":
    main(__spec__.parent)
