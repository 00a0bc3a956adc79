"""Trains the model: `python -m workloads.iris.train --model forest`."""

from pathlib import Path
from typing import Any

import numpy as np

from workloads.iris.data import TABLE
from workloads.sdk.contract import TrainingJob, TrainingResult
from workloads.sdk.kits.tables import choice
from workloads.sdk.kits.tables import sklearn as kit
from workloads.sdk.kits.tables.rows import Rows
from workloads.sdk.programs.training import main


def models(parameters: Any) -> dict[str, Any]:
    """What is chosen from: any of scikit-learn's, also pipelines. The last is the baseline of the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees, depth, seed = parameters.trees, parameters.max_depth, parameters.seed
    return {
        "boosting": HistGradientBoostingClassifier(max_iter=trees, max_depth=depth, random_state=seed),
        "forest": RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }


def train(job: TrainingJob) -> TrainingResult:
    """Fit the best of them on the training split; write the trained and the served form, and the baselines."""
    return choice.train(job, models(job.parameters), TABLE.classes, job.parameters.model)


def reference(artifacts: Path, inputs: Rows) -> np.ndarray:
    """Outputs of the trained form, which the served one is compared with."""
    return kit.reference(artifacts, inputs, TABLE.classes)


if __name__ == "__main__":
    main(__spec__.parent)
