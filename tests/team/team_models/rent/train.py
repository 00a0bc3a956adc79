"""A line through the rents: `python -m team_models.rent.train --ridge 1`."""

import json

import numpy as np

from team_models.rent.data import rents, rows
from workloads.contract import TRAIN, TrainingJob, TrainingResult
from workloads.training import main


def train(job: TrainingJob) -> TrainingResult:
    flats, wanted = rows(job.data[TRAIN]).astype(np.float64), rents(job.data[TRAIN])
    inputs = np.column_stack([flats, np.ones(len(flats))])
    weights = np.linalg.solve(inputs.T @ inputs + job.parameters.ridge * np.eye(4), inputs.T @ wanted)
    (job.artifacts / "line.json").write_text(json.dumps(weights.tolist()))
    return TrainingResult(metrics={"train_squared_error": float(np.mean((inputs @ weights - wanted) ** 2))})


if __name__ == "__main__":
    main(__spec__.parent)
