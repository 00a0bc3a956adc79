"""Training of a network with Lightning in one process: AdamW on a one-cycle schedule, a checkpoint after every epoch.

    def network(inputs: int, outputs: int, parameters: Any) -> nn.Module: ...

    def train(job: TrainingJob) -> TrainingResult:
        return kit.train_table(job, network, TABLE.classes)

The epoch with the least loss on validation becomes the model. An attempt that was lost is gone on from after its last
whole epoch, with the same rows in the same order. `FitParameters` (`kits/parameters.py`) are what it reads.
"""

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from workloads.sdk.contract import TRAIN, VALIDATION, TrainingJob, TrainingResult
from workloads.sdk.kits import network as forms
from workloads.sdk.kits.classification import even, indices
from workloads.sdk.kits.tables.encoder import fit_encoder
from workloads.sdk.kits.tables.tabular import columns_of, rows, targets

CHECKPOINT, BEST = "last.ckpt", "best.pt"
LOSS = "validation_loss"
Task = Literal["classification", "regression"]
Examples = tuple[np.ndarray, np.ndarray]  # rows as requests give them; classes' positions (int64), or numbers (float32)


def train_table(
    job: TrainingJob, network: forms.Network, classes: Sequence[str] | None = None, balanced: bool = False
) -> TrainingResult:
    """Fit a network to a table's splits (`kits/tables`), as numbers, each standardised; write both forms.

    Args:
        balanced: rows of rare classes weigh more, so that each class counts as much as any other.
    """
    columns = {name: column.declared() for name, column in columns_of(job.data[TRAIN]).items()}
    encode = fit_encoder(rows(job.data[TRAIN]), job.artifacts)
    examples = {split: (encode(rows(file)), _wanted(targets(file), classes)) for split, file in job.data.items()}
    return train(job, network, examples, classes, columns, forms.standard(examples[TRAIN][0], axis=0), balanced)


def train(
    job: TrainingJob,
    network: forms.Network,
    examples: Mapping[str, Examples],
    classes: Sequence[str] | None,
    columns: Sequence[str] | Mapping[str, Any],
    standard: tuple[Any, Any],
    balanced: bool = False,
) -> TrainingResult:
    """Fit a network to the training examples; write both forms.

    Args:
        classes: of which one is to be told; None where the target is a number.
        columns: names of the numbers in a row, or a table's columns as they are declared.
        standard: mean and deviation that inputs are standardised by: one for each column, or one for all.
        balanced: as for `train_table`.
    """
    quiet()
    parameters = job.parameters
    torch.set_num_threads(max(1, int(job.tier.cpus)))
    torch.manual_seed(parameters.seed)
    inputs, outputs = examples[TRAIN][0].shape[1], 1 if classes is None else len(classes)
    body = forms.Standardised(network(inputs, outputs, parameters), *standard)
    (numbers, wanted), held_out = examples[TRAIN], examples[VALIDATION]
    middle, spread = (0.0, 1.0) if classes else forms.standard(wanted, axis=0)
    job.progress(0.02, f"fitting a network of {_weights(body):,} weights to {len(numbers)} rows")
    task: Task = "classification" if classes else "regression"
    weights = torch.tensor(even(wanted, outputs), dtype=torch.float32) if classes and balanced else None
    module = Module(body, task, parameters.learning_rate, parameters.weight_decay, weights)
    resumed_from = fit(
        job,
        module,
        [_tensors(each, classes is None, middle, spread) for each in ((numbers, wanted), held_out)],
    )
    job.progress(0.92, "writing both forms")
    body.load_state_dict(torch.load(job.checkpoints / BEST, weights_only=True))
    whole = forms.Probabilities(body) if classes else forms.Estimates(body, middle, spread)
    about = {
        "inputs": inputs,
        "outputs": outputs,
        "parameters": parameters.model_dump(mode="json"),
        "standardised": list(np.shape(standard[0])),
        "columns": columns if isinstance(columns, Mapping) else list(columns),
        "classes": list(classes) if classes else None,
        "known": list(range(outputs)),
    }
    forms.save(whole, torch.tensor(numbers[:1]).repeat(2, 1), about, job.artifacts)
    history = module.history
    best = history[LOSS].index(min(history[LOSS]))
    return TrainingResult(
        metrics={"train_loss": history["train_loss"][best], "best_epoch": float(best + 1)},
        curves=history,
        resumed_from=resumed_from,
    )


class Batches:
    """Batches of rows that are held in memory.

    With `epoch` each epoch has its own order, which follows from seed and epoch: a resumed training sees the same.
    Rows that fill no whole batch wait for another epoch then. Without it all come, in their order.
    """

    def __init__(self, rows: Tensor, wanted: Tensor, size: int, epoch: Callable[[], int] | None = None, seed: int = 0):
        self.rows, self.wanted = rows, wanted
        self.size, self.epoch, self.seed = min(size, len(wanted)), epoch, seed

    def __len__(self) -> int:
        rows = len(self.wanted)
        return rows // self.size if self.epoch else math.ceil(rows / self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.epoch:
            generator = torch.Generator().manual_seed(self.seed * 10_007 + self.epoch())
            order = torch.randperm(len(self.wanted), generator=generator)
        else:
            order = torch.arange(len(self.wanted))
        for at in range(len(self)):
            chosen = order[at * self.size : (at + 1) * self.size]
            yield self.rows[chosen], self.wanted[chosen]


class Module(lightning.LightningModule):
    """A network, its loss, and AdamW on a one-cycle schedule. `history` has a value per epoch of each curve.

    Args:
        weights: of the classes in the loss, float32 (classes,); None: each row weighs the same.
    """

    def __init__(
        self, net: nn.Module, task: Task, learning_rate: float, weight_decay: float, weights: Tensor | None = None
    ):
        super().__init__()
        self.weights = weights
        self.net, self.task = net, task
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.history: dict[str, list[float]] = {}

    def forward(self, rows: Tensor) -> Tensor:
        return self.net(rows)

    def loss(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        if self.task == "classification":
            weights = None if self.weights is None else self.weights.to(outputs.device)
            return nn.functional.cross_entropy(outputs, wanted, weights)
        return nn.functional.mse_loss(outputs[:, 0], wanted)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        rows, wanted = batch
        loss = self.loss(self(rows), wanted)
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(wanted))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        rows, wanted = batch
        outputs = self(rows)
        figures = {LOSS: self.loss(outputs, wanted)}
        if self.task == "classification":
            figures["validation_accuracy"] = (outputs.argmax(dim=1) == wanted).float().mean()
        self.log_dict(figures, sync_dist=True, batch_size=len(wanted))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=max(steps, 2))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def remember(self, trainer: lightning.Trainer) -> str:
        """Enter an epoch's figures into the history; returns them as a line of text."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        text = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in sorted(figures.items()))
        return f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {text}"

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]


class _EachEpoch(lightning.Callback):
    """After every epoch: its weights where they are the best so far, a checkpoint, a line of progress."""

    def __init__(self, job: TrainingJob):
        self.job = job

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Module) -> None:
        text = module.remember(trainer)
        losses = module.history[LOSS]
        if losses[-1] == min(losses) or not (self.job.checkpoints / BEST).exists():
            _whole(self.job.checkpoints / BEST, lambda file: torch.save(module.net.state_dict(), file))
        _whole(self.job.checkpoints / CHECKPOINT, trainer.save_checkpoint)
        self.job.progress(0.05 + 0.85 * (trainer.current_epoch + 1) / (trainer.max_epochs or 1), text)


def fit(job: TrainingJob, module: Module, splits: Sequence[tuple[Tensor, Tensor]]) -> str | None:
    """Fit to the first split and look at the second after each epoch; where a training was gone on from, if it was.

    Weights of the best epoch stand in `job.checkpoints / BEST` afterwards.
    """
    parameters, gpu = job.parameters, job.tier.gpus > 0
    trainer = lightning.Trainer(
        max_epochs=parameters.epochs,
        accelerator="gpu" if gpu else "cpu",
        devices=1,
        callbacks=[_EachEpoch(job)],
        default_root_dir=job.checkpoints,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    training, validation = splits
    train = Batches(*training, parameters.batch_size, lambda: module.current_epoch, parameters.seed)
    checkpoint = job.checkpoints / CHECKPOINT
    if not checkpoint.exists():
        trainer.fit(module, train, Batches(*validation, 1000))
        return None
    done = torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"] + 1
    job.progress(0.05, f"going on after epoch {done}")
    trainer.fit(module, train, Batches(*validation, 1000), ckpt_path=checkpoint, weights_only=True)
    return f"epoch {done}"


def quiet() -> None:
    """Lightning's advice on loaders and devices is no news here."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")


def _wanted(values: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    return values.astype(np.float32) if classes is None else indices(values, classes)


def _tensors(examples: Examples, numbers: bool, mean: Any, std: Any) -> tuple[Tensor, Tensor]:
    """As tensors; numbers are standardised, so that their loss is in units of their variance."""
    rows, wanted = examples
    return torch.tensor(rows), torch.tensor((wanted - mean) / std, dtype=torch.float32) if numbers else torch.tensor(
        wanted
    )


def _weights(net: nn.Module) -> int:
    return sum(weights.numel() for weights in net.parameters())


def _whole(file: Path, write: Callable[[Path], Any]) -> None:
    """The file is written whole or not at all, whatever ends the process."""
    partial = file.with_suffix(".part")
    write(partial)
    partial.replace(file)
