"""What each training worker does: Lightning on its shard of the rows, a checkpoint to Ray Train after each epoch."""

import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import ray.train
import torch
from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment, RayTrainReportCallback, prepare_trainer
from torch import Tensor, nn

from workloads.fashion_mnist.data import IMAGE
from workloads.fashion_mnist.data import TARGET as WANTED
from workloads.fashion_mnist.model import CHECKPOINT, network, normalised


class Batches:
    """Batches of a worker's rows, held in memory as uint8: pixels (n, 784) and classes (n,).

    Each epoch has its own order, which follows from the seed and the epoch: a resumed training sees the same.
    """

    def __init__(self, shard: Any, size: int, epoch: Callable[[], int] | None = None, seed: int = 0):
        parts = list(shard.iter_batches(batch_size=8192, batch_format="numpy"))
        self.pixels = torch.from_numpy(np.concatenate([part[IMAGE] for part in parts]))
        self.wanted = torch.from_numpy(np.concatenate([part[WANTED] for part in parts])).long()
        self.size, self.epoch, self.seed = min(size, len(self.wanted)), epoch, seed

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
            yield self.pixels[chosen], self.wanted[chosen]


class Classifier(lightning.LightningModule):
    """A network, its loss, and AdamW on a one-cycle schedule. `history` has a value per epoch of each curve."""

    def __init__(self, name: str, learning_rate: float, weight_decay: float):
        super().__init__()
        self.net = network(name)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.history: dict[str, list[float]] = {}

    def logits(self, pixels: Tensor) -> Tensor:
        return self.net(normalised(pixels).contiguous(memory_format=torch.channels_last))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        pixels, wanted = batch
        loss = nn.functional.cross_entropy(self.logits(pixels), wanted)
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(wanted))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        pixels, wanted = batch
        logits = self.logits(pixels)
        figures = {
            "validation_loss": nn.functional.cross_entropy(logits, wanted),
            "validation_accuracy": (logits.argmax(dim=1) == wanted).float().mean(),
        }
        self.log_dict(figures, sync_dist=True, batch_size=len(wanted))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=max(steps, 2))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]


class Report(RayTrainReportCallback):
    """After every epoch: its figures into the history, a checkpoint to Ray Train, a line to whoever waits."""

    CHECKPOINT_NAME = CHECKPOINT

    def __init__(self, lines: Path):
        super().__init__()
        self.lines = lines

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Classifier) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for name, value in figures.items():
            module.history.setdefault(name, []).append(value)
        super().on_train_epoch_end(trainer, module)
        if trainer.is_global_zero:
            epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs
            text = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in sorted(figures.items()))
            tell(self.lines, epoch / epochs, f"epoch {epoch} of {epochs}: {text}")


def tell(lines: Path, share: float, text: str) -> None:
    """A line of progress for `train`, which waits in another process."""
    with lines.open("a") as file:
        file.write(json.dumps([share, text]) + "\n")


def fit(config: dict[str, Any]) -> None:
    """Train on this worker; goes on from the checkpoint that Ray Train has, if any."""
    _quiet()
    context, parameters = ray.train.get_context(), config["parameters"]
    torch.set_num_threads(max(1, int(config["threads"])))
    torch.manual_seed(parameters["seed"])
    module = Classifier(parameters["network"], parameters["learning_rate"], parameters["weight_decay"])
    torch.manual_seed(parameters["seed"] + context.get_world_rank())
    size = max(1, parameters["batch_size"] // context.get_world_size())
    trainer = prepare_trainer(
        lightning.Trainer(
            max_epochs=parameters["epochs"],
            accelerator="gpu" if config["gpu"] else "cpu",
            devices="auto" if config["gpu"] else 1,
            strategy=RayDDPStrategy(),
            plugins=[RayLightningEnvironment()],
            callbacks=[Report(config["lines"])],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    )
    train = Batches(ray.train.get_dataset_shard("train"), size, lambda: module.current_epoch, parameters["seed"])
    validation = Batches(ray.train.get_dataset_shard("validation"), 1000)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        trainer.fit(module, train, validation)
        return
    with checkpoint.as_directory() as folder:
        if trainer.is_global_zero:
            tell(config["lines"], 0, f"going on from {Path(checkpoint.path).name}")
        trainer.fit(module, train, validation, ckpt_path=Path(folder, CHECKPOINT), weights_only=True)


def _quiet() -> None:
    """Lightning's advice on loaders and devices is no news here."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
