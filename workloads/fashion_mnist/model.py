"""The networks and their stored forms: safetensors as trained, ONNX as served; preprocessing and labels in both."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workloads.sdk.kits import network as forms

SIDE, CLASSES = 28, 10
MEAN, STD = 0.2860, 0.3530  # of the training pixels, scaled to [0, 1]
CHECKPOINT = "checkpoint.ckpt"


class Convolutional(nn.Sequential):
    """Two convolutions and two linear layers, 105,000 weights; pixels (rows, 1, 28, 28) to logits (rows, 10)."""

    def __init__(self) -> None:
        super().__init__(
            *self._block(1, 16),
            *self._block(16, 32),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32 * (SIDE // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, CLASSES),
        )

    @staticmethod
    def _block(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]


class ResNet18(nn.Module):
    """A residual network of 18 layers, 11 million weights, of He et al. (2015); shapes as `Convolutional`."""

    def __init__(self) -> None:
        from transformers import ResNetConfig, ResNetForImageClassification

        super().__init__()
        sizes = [64, 128, 256, 512]
        config = ResNetConfig(
            num_channels=1,
            embedding_size=64,
            hidden_sizes=sizes,
            depths=[2, 2, 2, 2],
            layer_type="basic",
            num_labels=CLASSES,
        )
        self.net = ResNetForImageClassification(config)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images).logits


NETWORKS: dict[str, type[nn.Module]] = {"cnn": Convolutional, "resnet18": ResNet18}


def network(name: str) -> nn.Module:
    """A network with fresh weights; channels last, which is a quarter faster on a CPU."""
    return NETWORKS[name]().to(memory_format=torch.channels_last)


def normalised(pixels: Tensor) -> Tensor:
    """Pixels from 0 to 255, (rows, 784), as the networks take them: float32 (rows, 1, 28, 28)."""
    images = (pixels.to(torch.float32) / 255 - MEAN) / STD
    return images.reshape(-1, 1, SIDE, SIDE)


class Whole(nn.Module):
    """From pixels, uint8 (rows, 784), to probabilities, float32 (rows, 10)."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> Tensor:
        return self.net(normalised(pixels)).softmax(dim=1)


def save(net: nn.Module, name: str, labels: list[str], folder: Path) -> None:
    """Write both forms into the artifact folder."""
    about = {"network": name, "labels": labels, "mean": MEAN, "std": STD, "side": SIDE}
    forms.save(Whole(net), torch.zeros(2, SIDE * SIDE, dtype=torch.uint8), about, folder)


def reference(artifacts: Path, inputs: np.ndarray) -> np.ndarray:
    """Probabilities by the trained form, float32 (rows, 10), for pixels uint8 (rows, 784)."""
    about = forms.about(artifacts)
    if (about["mean"], about["std"]) != (MEAN, STD):
        raise ValueError(f"{artifacts / forms.WEIGHTS} was trained on other preprocessing than this code does")
    return forms.outputs(forms.load(Whole(NETWORKS[about["network"]]()), artifacts), inputs)
