"""Trains the model: `python -m workloads.iris.train --max-depth 5`."""

from pathlib import Path
from typing import Any

import numpy as np

from workloads.iris.data import TABLE
from workloads.sdk.contract import TrainingJob, TrainingResult
from workloads.sdk.kits.tables import sklearn as kit
from workloads.sdk.programs.training import main


def model(parameters: Any) -> Any:
    """The estimator that is fitted: any of scikit-learn's, also a pipeline."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=parameters.trees,
        max_depth=parameters.max_depth,
        min_samples_leaf=parameters.min_samples_leaf,
        random_state=parameters.seed,
    )


def train(job: TrainingJob) -> TrainingResult:
    """Fit on the training split; write the trained and the served form."""
    return kit.train(job, model(job.parameters), TABLE.classes)


def reference(artifacts: Path, inputs: np.ndarray) -> np.ndarray:
    """Outputs of the trained form, which the served one is compared with."""
    return kit.reference(artifacts, inputs, TABLE.classes)


if __name__ == "__main__":
    main(__spec__.parent)
