"""A network's stored forms: safetensors as trained, ONNX as served. What happens to inputs and outputs is inside both.

`Whole` takes rows as requests give them and answers with probabilities or estimates; it needs PyTorch and no Lightning.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workloads.sdk.artifacts import in_parts
from workloads.sdk.kits.tables.encoder import Encoder
from workloads.sdk.kits.tables.sklearn import SERVED
from workloads.sdk.kits.torch_onnx import exported

WEIGHTS = "model.safetensors"
# (numbers in a row, outputs, parameters) -> a network from standardised rows to a logit for each class, or one number.
Network = Callable[[int, int, Any], nn.Module]


class Standardised(nn.Module):
    """A network behind its inputs' standardisation: rows as they come, (rows, k), of any number type."""

    def __init__(self, net: nn.Module, mean: Any, std: Any):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))

    def forward(self, rows: Tensor) -> Tensor:
        return self.net((rows.to(torch.float32) - self.mean) / self.std)


class Probabilities(nn.Module):
    """From rows to the probability of each class, float32 (rows, classes)."""

    def __init__(self, body: Standardised):
        super().__init__()
        self.body = body

    def forward(self, rows: Tensor) -> Tensor:
        return self.body(rows).softmax(dim=1)


class Estimates(nn.Module):
    """From rows to estimates in the target's own unit, float32 (rows, 1)."""

    def __init__(self, body: Standardised, mean: Any, std: Any):
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))

    def forward(self, rows: Tensor) -> Tensor:
        return self.body(rows) * self.std + self.mean


def save(whole: nn.Module, rows: Tensor, about: Mapping[str, Any], folder: Path) -> None:
    """Write both forms into the artifact folder, each with `about` (JSON) in it; `rows` are two to trace it by."""
    from safetensors.torch import save_file

    whole = whole.to(memory_format=torch.contiguous_format).cpu().eval()
    # One entry, since safetensors writes several in no fixed order.
    save_file(whole.state_dict(), folder / WEIGHTS, metadata={"about": json.dumps(about)})
    inside = {name: json.dumps(value) for name, value in about.items()}
    (folder / SERVED).write_bytes(exported(whole, {"features": rows}, {"features": ["rows"]}, inside))


def about(folder: Path) -> dict[str, Any]:
    """What was stored with the weights."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, "pt") as file:
        return json.loads(file.metadata()["about"])


def load(whole: nn.Module, folder: Path) -> nn.Module:
    """The trained form: a fresh network of the same shape, given the stored weights."""
    from safetensors.torch import load_file

    whole.load_state_dict(load_file(folder / WEIGHTS))
    return whole.eval()


def outputs(whole: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """What a network gives for rows, float32 (rows, k)."""
    with torch.inference_mode():
        return in_parts(lambda rows: whole(torch.tensor(rows)).numpy(), inputs)


def reference(artifacts: Path, inputs: Any, network: Network) -> np.ndarray:
    """Outputs of the trained form, float32, for inputs as requests give them: `Rows`, or an array of numbers."""
    stored = about(artifacts)
    net = network(stored["inputs"], stored["outputs"], SimpleNamespace(**stored["parameters"]))
    body = Standardised(net, torch.zeros(stored["standardised"]), torch.ones(stored["standardised"]))
    whole = Probabilities(body) if stored["classes"] is not None else Estimates(body, 0.0, 1.0)
    return outputs(load(whole, artifacts), Encoder(artifacts)(inputs))


def standard(values: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over an axis (None: over all), float64; a constant's deviation is 1."""
    mean, std = values.mean(axis=axis, dtype=np.float64), values.std(axis=axis, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)
