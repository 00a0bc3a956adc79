"""Trains a convolutional network: `python -m workloads.digits.train --variant wide --epochs 20`."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from workloads.digits.data import LABELS
from workloads.sdk.contract import TRAIN, TrainingJob, TrainingResult
from workloads.sdk.kits import lightning as kit
from workloads.sdk.kits import network as forms
from workloads.sdk.kits.images import pictures
from workloads.sdk.programs.training import main


def network(inputs: int, outputs: int, parameters: Any) -> nn.Module:
    """Two convolutions and two linear layers; square pictures of any side from 4 pixels on."""
    side, channels = int(np.sqrt(inputs)), parameters.channels
    return nn.Sequential(
        nn.Unflatten(1, (1, side, side)),
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(parameters.dropout),
        nn.Linear(2 * channels * (side // 4) ** 2, parameters.hidden),
        nn.ReLU(),
        nn.Dropout(parameters.dropout),
        nn.Linear(parameters.hidden, outputs),
    )


def train(job: TrainingJob) -> TrainingResult:
    """Fit on the training split; write the trained and the served form."""
    examples = {
        split: (pictures.images(file), pictures.targets(file).astype(np.int64)) for split, file in job.data.items()
    }
    pixels = examples[TRAIN][0]
    names = [f"pixel_{at}" for at in range(pixels.shape[1])]
    return kit.train(job, network, examples, LABELS, names, forms.standard(pixels, axis=None))


def reference(artifacts: Path, inputs: np.ndarray) -> np.ndarray:
    """Outputs of the trained form, which the served one is compared with."""
    return forms.reference(artifacts, inputs, network)


if __name__ == "__main__":
    main(__spec__.parent)
