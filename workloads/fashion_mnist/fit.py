"""What each training worker does: Lightning on its shard of the rows, a checkpoint to Ray Train after each epoch."""

from pathlib import Path
from typing import Any

import lightning
import ray
import ray.train
import torch
from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment, RayTrainReportCallback, prepare_trainer
from torch import Tensor

from workloads.fashion_mnist.model import CHECKPOINT, network, normalised
from workloads.sdk.contract import TRAIN, VALIDATION
from workloads.sdk.kits import lightning as kit
from workloads.sdk.kits.ray_session import tell


class Classifier(kit.Module):
    """A network of this workload, from pixels as they come."""

    def __init__(self, name: str, learning_rate: float, weight_decay: float):
        super().__init__(network(name), "classification", learning_rate, weight_decay)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.net(normalised(pixels).contiguous(memory_format=torch.channels_last))


class Report(RayTrainReportCallback):
    """After every epoch: its figures into the history, a checkpoint to Ray Train, a line to whoever waits."""

    CHECKPOINT_NAME = CHECKPOINT

    def __init__(self, lines: Path):
        super().__init__()
        self.lines = lines

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Classifier) -> None:
        text = module.remember(trainer)
        super().on_train_epoch_end(trainer, module)
        if trainer.is_global_zero:
            tell(self.lines, (trainer.current_epoch + 1) / trainer.max_epochs, text)


def fit(config: dict[str, Any]) -> None:
    """Train on this worker; goes on from the checkpoint that Ray Train has, if any."""
    kit.quiet()
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
    train = _batches(config["rows"][TRAIN], size, epoch=lambda: module.current_epoch, seed=parameters["seed"])
    validation = _batches(config["rows"][VALIDATION], 1000)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        trainer.fit(module, train, validation)
        return
    with checkpoint.as_directory() as folder:
        if trainer.is_global_zero:
            tell(config["lines"], 0, f"going on from {Path(checkpoint.path).name}")
        trainer.fit(module, train, validation, ckpt_path=Path(folder, CHECKPOINT), weights_only=True)


def _batches(rows: ray.ObjectRef, size: int, **order: Any) -> kit.Batches:
    """This worker's shard of a split, as many rows as every other's: pixels (n, 784) uint8 and classes (n,)."""
    context = ray.train.get_context()
    pixels, wanted = ray.get(rows)
    each, rank = len(wanted) // context.get_world_size(), context.get_world_rank()
    mine = slice(rank * each, (rank + 1) * each)
    return kit.Batches(torch.tensor(pixels[mine]), torch.tensor(wanted[mine]).long(), size, **order)
