"""A small DistilBERT for texts, from scratch: tokenizer, network, training, and both stored forms.

Classes or a number, as the target is. Stored as safetensors and as ONNX, the tokenizer beside (`tokenizer.json`):
that is all an endpoint needs, see `text_onnx`. DistilBERT: Sanh et al. (2019); byte-pair encoding: Sennrich et al.
(2016).
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from workloads.sdk.artifacts import in_parts
from workloads.sdk.contract import TRAIN, VALIDATION, TrainingJob, TrainingResult
from workloads.sdk.kits.classification import even
from workloads.sdk.kits.texts.onnx import SERVED, TOKENIZER, encode, in_batches, padded
from workloads.sdk.kits.texts.texts import targets, texts
from workloads.sdk.kits.texts.transformer_parameters import PER_HEAD, TransformerParameters
from workloads.sdk.kits.torch_onnx import exported

LETTERS = 500  # characters that a tokenizer knows at least; Chinese has thousands
DIVERGED = 1e9  # stands for an infinite loss, which JSON cannot say
STORED, CHECKPOINT = "model.safetensors", "fit.pt"
PAD, UNKNOWN, START, END = SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def train(job: TrainingJob, classes: Sequence[str] | None = None, balanced: bool = False) -> TrainingResult:
    """Train; the epoch with the best validation score becomes the model. Goes on after the last whole epoch.

    Args:
        classes: of which one is to be told; None where the target is a number.
        balanced: rows of rare classes weigh more, so that each class counts as much as any other.
    """
    tokenizer = tokenizer_of(texts(job.data[TRAIN]), job.parameters.vocabulary, job.parameters.length)
    train, validation = (Rows.read(job.data[split], tokenizer, classes) for split in (TRAIN, VALIDATION))
    fit = Fit(job.parameters, train, validation, balanced=balanced)
    checkpoint, resumed_from = job.checkpoints / CHECKPOINT, None
    if checkpoint.is_file():
        fit.restore(torch.load(checkpoint, map_location="cpu", weights_only=True))
        resumed_from = f"epoch {fit.done}"
    while fit.done < job.parameters.epochs:
        figures = fit.epoch()
        partial = checkpoint.with_suffix(".part")
        torch.save(fit.state(), partial)
        partial.replace(checkpoint)
        text = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in sorted(figures.items()))
        job.progress(0.9 * fit.done / job.parameters.epochs, f"epoch {fit.done} of {job.parameters.epochs}: {text}")
    job.progress(0.92, "writing both forms")
    save(fit.best_weights, fit.about, tokenizer, job.artifacts)
    return TrainingResult(
        metrics={"train_loss": fit.history["train_loss"][fit.best_epoch], "best_epoch": fit.best_epoch + 1.0},
        curves=fit.history,
        resumed_from=resumed_from,
    )


def tokenizer_of(corpus: Sequence[str], vocabulary: int, length: int) -> Tokenizer:
    """A tokenizer for texts like these, in lower case; it reads `length` tokens of a text, marks included.

    Byte-pair encoding within words, whose first piece is marked. A WordPiece trainer would number pieces in the order
    of a hash table, and so learn other pieces each time.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    # Accents stay: in many scripts they are vowels.
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    words = [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(words)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        min_frequency=2,
        limit_alphabet=max(LETTERS, vocabulary // 2),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    marks = [(mark, tokenizer.token_to_id(mark)) for mark in (START, END)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=marks)
    tokenizer.enable_truncation(length)
    return tokenizer


class Rows:
    """A split's texts as token numbers, and its targets: classes int64, or numbers float32, of shape (rows,)."""

    def __init__(self, ids: list[list[int]], wanted: np.ndarray, classes: Sequence[str] | None, vocabulary: int):
        self.ids, self.classes, self.vocabulary = ids, classes, vocabulary
        if classes is None:
            self.wanted = torch.tensor(wanted, dtype=torch.float32)
        else:
            index = {name: at for at, name in enumerate(classes)}
            self.wanted = torch.tensor([index[name] for name in wanted.tolist()])

    @classmethod
    def read(cls, split: Path, tokenizer: Tokenizer, classes: Sequence[str] | None) -> "Rows":
        return cls(encode(tokenizer, texts(split)), targets(split), classes, tokenizer.get_vocab_size())

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, chosen: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Token numbers, mask, and targets of some rows."""
        tokens, mask = padded([self.ids[at] for at in chosen])
        return torch.from_numpy(tokens), torch.from_numpy(mask), self.wanted[torch.from_numpy(chosen)]


class Fit:
    """A training, epoch by epoch, on one core or a GPU; on a core it follows from parameters and rows alone.

    Args:
        sizes: of the network, where they are not those of the parameters, with the `weights` that it begins with.

    Attributes:
        about: what the stored forms say of themselves: sizes, classes, or the target's mean and spread.
        history: a value per epoch of each curve; `score` names the one that the best epoch is chosen by.
    """

    def __init__(
        self,
        parameters: TransformerParameters,
        train: Rows,
        validation: Rows,
        sizes: Mapping[str, int] | None = None,
        weights: Mapping[str, Tensor] | None = None,
        device: str = "cpu",
        balanced: bool = False,
    ):
        self.parameters, self.train, self.validation, self.device = parameters, train, validation, device
        score = "r2" if train.classes is None else "balanced_accuracy" if balanced else "accuracy"
        self.score, self.balanced = f"validation_{score}", balanced
        self.about: dict[str, Any] = {
            **(sizes or sizes_of(parameters)),
            "dropout": parameters.dropout,
            "vocabulary": train.vocabulary,
            "outputs": 1 if train.classes is None else len(train.classes),
            "classes": None if train.classes is None else list(train.classes),
        }
        if train.classes is None:
            self.about |= {"mean": train.wanted.mean().item(), "spread": max(train.wanted.std().item(), 1e-6)}
        torch.set_num_threads(1)  # more threads would add numbers in another order
        torch.manual_seed(parameters.seed)
        self.net = network(self.about)
        if weights is not None:
            self.net.load_state_dict({**self.net.state_dict(), **weights})
        self.net.to(device)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=parameters.learning_rate, weight_decay=parameters.weight_decay
        )
        steps = parameters.epochs * -(-len(train) // parameters.batch_size)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: _rate(step, steps))
        self.history: dict[str, list[float]] = {}
        self.best_weights: dict[str, Tensor] = {}

    @property
    def done(self) -> int:
        """Whole epochs."""
        return len(self.history.get(self.score, ()))

    @property
    def best_epoch(self) -> int:
        """The first of those with the best score, counted from 0."""
        return int(np.argmax(self.history[self.score]))

    def epoch(self) -> dict[str, float]:
        """Train once on all rows, and measure; returns the epoch's figures."""
        generator = np.random.default_rng([self.parameters.seed, self.done])
        torch.manual_seed(self.parameters.seed * 10_007 + self.done)
        self.net.train()
        weights, total = self._weights(self.train), 0.0
        for chosen in self._batches(generator):
            ids, mask, wanted = (part.to(self.device) for part in self.train.batch(chosen))
            losses = self._losses(self.net(input_ids=ids, attention_mask=mask).logits, wanted)
            loss = (losses * weights[chosen].to(self.device)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            total += loss.item() * len(chosen)
        figures = {"train_loss": total / len(self.train), **self._measured()}
        figures = {name: value if math.isfinite(value) else DIVERGED for name, value in figures.items()}
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        if self.best_epoch == self.done - 1:
            self.best_weights = {name: value.cpu().clone() for name, value in self.net.state_dict().items()}
        return figures

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on."""
        return {
            "weights": self.net.state_dict(),
            "best": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": self.history,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.best_weights, self.history = state["best"], state["history"]

    def _batches(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Every row once, in batches of texts of about one length, drawn anew in each epoch."""
        order, size = generator.permutation(len(self.train)), self.parameters.batch_size
        pools = [order[at : at + 20 * size] for at in range(0, len(order), 20 * size)]
        batches = [pool[chosen] for pool in pools for chosen in in_batches([self.train.ids[at] for at in pool], size)]
        return [batches[at] for at in generator.permutation(len(batches))]

    def _losses(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Of each row: cross entropy, or the squared error in units of the target's spread."""
        if self.about["classes"] is None:
            return (logits[:, 0] - (wanted - self.about["mean"]) / self.about["spread"]) ** 2
        return nn.functional.cross_entropy(logits, wanted, reduction="none")

    def _weights(self, rows: Rows) -> Tensor:
        """Of each row, float32 (rows,): where classes are balanced, the fewer rows its class has, the more."""
        if not self.balanced:
            return torch.ones(len(rows))
        return torch.tensor(even(rows.wanted.numpy(), self.about["outputs"]), dtype=torch.float32)[rows.wanted]

    @torch.inference_mode()
    def _measured(self) -> dict[str, float]:
        self.net.eval()
        weights, losses, right = self._weights(self.validation).to(self.device), [], 0.0
        for chosen in in_batches(self.validation.ids, 64):
            ids, mask, wanted = (part.to(self.device) for part in self.validation.batch(chosen))
            logits = self.net(input_ids=ids, attention_mask=mask).logits
            losses.append(self._losses(logits, wanted))
            if self.about["classes"] is not None:
                right += float(weights[chosen][logits.argmax(dim=1) == wanted].sum())
        loss = torch.cat(losses).mean().item()
        if self.about["classes"] is not None:
            return {"validation_loss": loss, self.score: right / len(self.validation)}
        variance = (self.validation.wanted.var(correction=0) / self.about["spread"] ** 2).item()
        return {"validation_loss": loss, self.score: max(-DIVERGED, 1 - loss / max(variance, 1e-12))}


def _rate(step: int, steps: int) -> float:
    """Share of the largest learning rate: it rises over the first tenth of all steps, and falls to 0."""
    rising = max(1, steps // 10)
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))


# --- the network and its stored forms -------------------------------------------------------------------------------


def sizes_of(parameters: TransformerParameters) -> dict[str, int]:
    """Sizes of a network with fresh weights."""
    return {
        "width": parameters.width,
        "heads": parameters.width // PER_HEAD,
        "hidden": 2 * parameters.width,
        "layers": parameters.layers,
        "positions": parameters.length,
    }


def network(about: Mapping[str, Any]) -> nn.Module:
    """A DistilBERT with fresh weights: token numbers and mask, int64 (rows, tokens), to logits (rows, outputs)."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    return DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=about["vocabulary"],
            max_position_embeddings=about["positions"],
            dim=about["width"],
            n_layers=about["layers"],
            n_heads=about["heads"],
            hidden_dim=about["hidden"],
            dropout=about["dropout"],
            attention_dropout=about["dropout"],
            seq_classif_dropout=about["dropout"],
            num_labels=about["outputs"],
        )
    )


class Whole(nn.Module):
    """From token numbers and mask, int64 (rows, tokens), to what is served: probabilities, or an estimate."""

    def __init__(self, net: nn.Module, about: Mapping[str, Any]):
        super().__init__()
        self.net, self.about = net, about

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        logits = self.net(input_ids=ids, attention_mask=mask).logits
        if self.about["classes"] is None:
            return logits * self.about["spread"] + self.about["mean"]
        return logits.softmax(dim=1)


def save(weights: Mapping[str, Tensor], about: Mapping[str, Any], tokenizer: Tokenizer, folder: Path) -> None:
    """Write both forms and the tokenizer into the artifact folder."""
    from safetensors.torch import save_file

    net = network(about)
    net.load_state_dict(weights)
    save_file(net.state_dict(), folder / STORED, metadata={"about": json.dumps(about)})
    tokenizer.save(str(folder / TOKENIZER))
    ids = torch.ones(2, 5, dtype=torch.int64)
    both = {"ids": ids, "mask": torch.ones_like(ids)}
    axes = dict.fromkeys(both, ("rows", "tokens"))
    (folder / SERVED).write_bytes(exported(Whole(net, about), both, axes, {"about": json.dumps(about)}))


def reference(artifacts: Path, inputs: Sequence[str]) -> np.ndarray:
    """Outputs of the trained form, float32 (rows, outputs), for texts."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(artifacts / STORED, "pt") as file:
        about = json.loads(file.metadata()["about"])
    net = network(about)
    net.load_state_dict(load_file(artifacts / STORED))
    whole, tokenizer = Whole(net, about).eval(), Tokenizer.from_file(str(artifacts / TOKENIZER))

    @torch.inference_mode()
    def outputs(some: Sequence[str]) -> np.ndarray:
        return whole(*map(torch.from_numpy, padded(encode(tokenizer, some)))).numpy()

    return in_parts(outputs, inputs, 32)
