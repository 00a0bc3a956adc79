"""Trains a network on Ray Train: `python -m workloads.fashion_mnist.train --epochs 3` (a minute on two cores).

Works in a Ray job, on that job's cluster, and by hand, on a Ray that it starts for itself. A lost worker, and a
second attempt on the same checkpoint folder, go on after the last whole epoch.
"""

from typing import Any

from workloads.fashion_mnist.data import LABELS, images, targets
from workloads.sdk.contract import TRAIN, VALIDATION, TrainingJob, TrainingResult
from workloads.sdk.kits.ray_session import passed_on, session
from workloads.sdk.programs.training import main

LOST_WORKERS = 3  # so many times a training goes on after losing one
SCORE = "validation_accuracy"


def train(job: TrainingJob) -> TrainingResult:
    """Fit over `tier.workers` workers; the checkpoint with the best validation accuracy becomes the model."""
    lines = job.checkpoints / "progress.jsonl"
    with session(job.tier), passed_on(lines, job.progress):
        from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        resumed_from = _newest(job)
        job.progress(0.02, f"starting {job.tier.workers} workers")
        gpu = job.tier.gpus > 0
        trainer = TorchTrainer(
            _fit,
            train_loop_config={
                "parameters": job.parameters.model_dump(),
                "threads": job.tier.cpus,
                "gpu": gpu,
                "lines": lines,
                "rows": {split: _rows(job, split) for split in (TRAIN, VALIDATION)},
            },
            scaling_config=ScalingConfig(
                num_workers=job.tier.workers,
                use_gpu=gpu,
                resources_per_worker={"CPU": job.tier.cpus, **({"GPU": job.tier.gpus} if gpu else {})},
            ),
            run_config=RunConfig(
                name="fit",
                storage_path=str(job.checkpoints),
                failure_config=FailureConfig(max_failures=LOST_WORKERS),
                checkpoint_config=CheckpointConfig(num_to_keep=2, checkpoint_score_attribute=SCORE),
            ),
        )
        result = trainer.fit()
        best = result.get_best_checkpoint(SCORE, "max")
        history = _read(result.checkpoint)["history"]
        weights = _read(best)["state_dict"]
    job.progress(0.92, "writing both forms")
    from workloads.fashion_mnist.model import network, save

    net = network(job.parameters.network)
    net.load_state_dict({name.removeprefix("net."): value for name, value in weights.items()})
    save(net, job.parameters.network, list(LABELS), job.artifacts)
    best_epoch = 1 + history[SCORE].index(max(history[SCORE]))
    return TrainingResult(
        metrics={"train_loss": history["train_loss"][best_epoch - 1], "best_epoch": float(best_epoch)},
        curves=history,
        resumed_from=resumed_from,
    )


def _fit(config: dict[str, Any]) -> None:
    from workloads.fashion_mnist.fit import fit  # Lightning is loaded by the workers only

    fit(config)


def _rows(job: TrainingJob, split: str) -> Any:
    """A split's pixels, uint8 (rows, 784), and classes, held once per machine for all workers there.

    These rows fit in memory many times over. Ray Data, which is for those that do not, would first start six
    processes of its own to hand them out: on two cores that takes as long as an epoch.
    """
    import ray

    return ray.put((images(job.data[split]), targets(job.data[split])))


def _newest(job: TrainingJob) -> str | None:
    """Name of the newest checkpoint of an earlier attempt."""
    found = sorted(folder.name for folder in (job.checkpoints / "fit").glob("checkpoint_*"))
    return found[-1] if found else None


def _read(checkpoint: Any) -> dict[str, Any]:
    import torch

    from workloads.fashion_mnist.model import CHECKPOINT

    with checkpoint.as_directory() as folder:
        return torch.load(f"{folder}/{CHECKPOINT}", map_location="cpu", weights_only=True)


if __name__ == "__main__":
    main(__spec__.parent)
