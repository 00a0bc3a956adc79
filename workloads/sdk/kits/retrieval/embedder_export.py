"""Writes the encoder's ONNX form, and compares it with torch.

`python -m workloads.sdk.kits.retrieval.embedder_export FOLDER`. It is a process of its own, so
that whoever embeds never loads torch.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workloads.sdk.artifacts import sha256
from workloads.sdk.kits.retrieval.embedder import CHECKED, LONGEST, SERVED, Embedder, published
from workloads.sdk.kits.torch_onnx import exported

TOLERANCE = 1e-5  # of any number of a vector
TEXTS = (
    "Where?",
    "A release is decided in the ledger, in one transaction.",
    "def split_of(row: str, shares: Mapping[str, float]) -> str:",
    "Zürich, 東京, naïve 🙂 — and a text that goes on. " * 60,
)


class Sentence(nn.Module):
    """Token numbers and mask, int64 (rows, longest), to vectors of length 1, float32 (rows, 384): the mean of the
    last layer's over the text's tokens, as the authors publish it."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        means = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(means, p=2.0, dim=1)


def reference(weights: Path) -> nn.Module:
    """The published encoder in torch."""
    from transformers import AutoModel

    encoder: Any = AutoModel.from_pretrained(
        weights, local_files_only=True, use_safetensors=True, add_pooling_layer=False, attn_implementation="eager"
    )
    return Sentence(encoder.eval())


def main(folder: Path) -> None:
    """Write `model.onnx`, and `checked.json` once it computes what torch does; exits with a sentence where it does
    not."""
    weights = published()
    module = reference(weights)
    ids = torch.randint(1000, 20000, (3, 16))
    content = exported(
        module,
        {"ids": ids, "mask": torch.ones_like(ids)},
        {"ids": ("rows", "tokens"), "mask": ("rows", "tokens")},
        {},
    )
    (folder / CHECKED).unlink(missing_ok=True)
    (folder / SERVED).write_bytes(content)
    worst = difference(module, folder / SERVED, weights)
    if not worst <= TOLERANCE:
        sys.exit(f"ONNX Runtime's vectors differ from torch's by {worst:.2g}, more than {TOLERANCE:g}")
    (folder / CHECKED).write_text(json.dumps({"sha256": sha256(folder / SERVED), "difference": worst}) + "\n")


def difference(module: nn.Module, served: Path, weights: Path) -> float:
    """The largest difference of any number of a vector between both forms."""
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    vectors = Embedder(InferenceSession(served, providers=["CPUExecutionProvider"]), tokenizer).encode(TEXTS)
    alone = []
    with torch.no_grad():
        for text in TEXTS:  # one by one, so that padding is compared too
            ids = torch.tensor([tokenizer.encode(text).ids])
            alone.append(module(ids, torch.ones_like(ids))[0].numpy())
    return float(np.abs(np.stack(alone) - vectors).max())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
