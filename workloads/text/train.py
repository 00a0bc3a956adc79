"""Trains DistilBERT with the best parameters of a search: `python -m workloads.text.train --trials 16` (4 minutes).

On docstrings a small network learns from nothing, with a tokenizer learned from the training split. On the emotion data
the published DistilBERT is fine-tuned, which takes hours without a GPU. `--trials 1` trains without a search.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workloads.sdk.contract import TRAIN, VALIDATION, TrainingJob, TrainingResult
from workloads.sdk.kits.ray_session import passed_on, session
from workloads.sdk.kits.search import candidates
from workloads.sdk.programs.training import main
from workloads.text.data import classes_of
from workloads.text.emotion import LABELS

PUBLISHED = "distilbert-base-uncased"


def train(job: TrainingJob) -> TrainingResult:
    """Search by validation accuracy; the best trial's best epoch becomes the model."""
    import torch

    from workloads.sdk.kits.texts.transformers import Rows, save, texts, tokenizer_of
    from workloads.text import pretrained

    parameters, classes = job.parameters, classes_of(job.data[TRAIN])
    network = parameters.network
    if network == "auto":
        network = PUBLISHED if set(classes) == set(LABELS) else "small"
    start: dict[str, Any] = {}
    if network == PUBLISHED:
        job.progress(0, f"fetching {PUBLISHED}")
        pretrained.fetch(job.checkpoints / PUBLISHED)
        tokenizer = pretrained.tokenizer(job.checkpoints / PUBLISHED, parameters.length)
        start = {"sizes": pretrained.SIZES, "weights": pretrained.weights(job.checkpoints / PUBLISHED)}
    else:
        tokenizer = tokenizer_of(texts(job.data[TRAIN]), parameters.vocabulary, parameters.length)
    train, validation = (Rows.read(job.data[split], tokenizer, classes) for split in (TRAIN, VALIDATION))
    asked = candidates(parameters, parameters.trials, start.get("sizes", ()))
    if start:
        slower = [each.learning_rate / pretrained.SLOWER for each in asked]
        asked = [each.model_copy(update={"learning_rate": rate}) for each, rate in zip(asked, slower, strict=True)]
    lines = job.checkpoints / "progress.jsonl"
    resumed = (job.checkpoints / "search").is_dir()
    job.progress(0.02, f"searching among {len(asked)} candidates, {job.tier.workers} at a time")
    with session(job.tier), passed_on(lines, job.progress):
        from workloads.text.search import search

        found = search(asked, train, validation, job.checkpoints, job.tier, lines, parameters.early_stopping, **start)
    job.progress(0.92, "writing both forms")
    torch.set_num_threads(1)
    save(found.weights, found.about, tokenizer, job.artifacts)
    epochs = [len(trial.curves.get("train_loss", ())) for trial in found.trials]
    best = found.history["validation_accuracy"].index(max(found.history["validation_accuracy"]))
    return TrainingResult(
        metrics={
            "train_loss": found.history["train_loss"][best],
            "best_epoch": best + 1.0,
            "epochs_spent": float(sum(epochs)),
            "share_of_all_epochs": sum(epochs) / (len(epochs) * parameters.epochs),
        },
        curves=found.history,
        resumed_from="the search" if resumed else None,
        trials=found.trials,
    )


def reference(artifacts: Path, inputs: Sequence[str]) -> Any:
    """Probabilities by the trained form, float32 (rows, classes), for texts."""
    from workloads.sdk.kits.texts import transformers

    return transformers.reference(artifacts, inputs)


if __name__ == "__main__":
    main(__spec__.parent)
