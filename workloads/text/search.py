"""The search for good parameters: Ray Tune trains candidates side by side, and ASHA (Li et al., 2020) stops the weak.

A trial that is killed goes on from its last epoch, and so does a search: whatever is in its folder is taken up again.
"""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, Tuner
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from torch import Tensor

from workloads.sdk.contract import Tier, Trial
from workloads.sdk.kits.ray_session import tell
from workloads.sdk.kits.search import tried
from workloads.sdk.kits.texts.transformer_parameters import TransformerParameters
from workloads.sdk.kits.texts.transformers import Fit, Rows

SCORE, RANK, FIT = "validation_accuracy", "rank", "fit.pt"
KEPT = 3  # of so many trials one goes on beyond an epoch, and of those one beyond three
KILLED = 3  # so many times a trial goes on after losing its process


@dataclass(frozen=True)
class Found:
    """What a search found: all trials, and the weights of the best epoch of the best one, with what they say."""

    trials: list[Trial]
    weights: dict[str, Tensor]
    about: dict[str, Any]
    history: dict[str, list[float]]


class Candidate(tune.Trainable):
    """A trial, an epoch a step; one process trains several after each other."""

    def setup(self, config: dict[str, Any], kind: type[TransformerParameters], **rest: Any) -> None:
        self.kind, self.rest = kind, rest
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.fit = Fit(self.kind.model_validate_json(new_config["parameters"]), **self.rest)
        return True

    def step(self) -> dict[str, Any]:
        figures = self.fit.epoch()
        return {
            **figures,
            RANK: rank(figures[SCORE], figures["validation_loss"]),
            "history": self.fit.history,
            "done": self.fit.done == self.fit.parameters.epochs,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        torch.save({**self.fit.state(), "about": json.dumps(self.fit.about)}, Path(checkpoint_dir, FIT))

    def load_checkpoint(self, checkpoint: str) -> None:
        state = torch.load(Path(checkpoint, FIT), map_location=self.fit.device, weights_only=True)
        self.fit.restore(state)


class Halving(ASHAScheduler):
    """ASHA which, in a search that is gone on with, knows what the trials had reached: Ray does not keep that."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        history = (trial.last_result or {}).get("history") or {SCORE: [], "validation_loss": []}
        for epoch, figures in enumerate(zip(history[SCORE], history["validation_loss"], strict=True), 1):
            self.on_trial_result(tune_controller, trial, {"training_iteration": epoch, RANK: rank(*figures)})


class Told(tune.Callback):
    """Each epoch of each trial is a line of progress."""

    def __init__(self, lines: Path, candidates: int):
        self.lines, self.candidates = lines, candidates

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        over = sum(each.is_finished() for each in trials)
        text = f"{result['config']['name']}: epoch {len(result['history'][SCORE])}, accuracy {result[SCORE]:.4f}"
        tell(self.lines, over / self.candidates, f"{text}; {over} of {self.candidates} trials are over")


def search(
    candidates: Sequence[TransformerParameters],
    train: Rows,
    validation: Rows,
    folder: Path,
    tier: Tier,
    lines: Path,
    early_stopping: bool = True,
    **start: Any,
) -> Found:
    """Train all candidates, on as many workers as the tier has; the best by validation accuracy is the one found.

    Args:
        folder: where the search keeps its state; one that was killed goes on from there.
        lines: file that progress is written to.
        early_stopping: whether ASHA stops the weak; else every candidate is trained to its end.
        start: what else `Fit` is begun with.

    Raises:
        RuntimeError: no candidate could be trained.
    """
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the history comes with each result
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    gpu = tier.gpus > 0
    rest = {"kind": type(candidates[0]), "train": train, "validation": validation, **start}
    trainable = tune.with_resources(
        tune.with_parameters(Candidate, **rest, device="cuda" if gpu else "cpu"),
        {"cpu": tier.cpus, **({"gpu": tier.gpus} if gpu else {})},
    )
    epochs = candidates[0].epochs
    space = tune.grid_search(
        [{"name": f"trial-{at:02}", "parameters": each.model_dump_json()} for at, each in enumerate(candidates, 1)]
    )
    halving = Halving(metric=RANK, mode="max", max_t=epochs, grace_period=1, reduction_factor=KEPT)
    path = folder / "search"
    if Tuner.can_restore(str(path)):
        tell(lines, 0, "going on with the search")
        tuner = Tuner.restore(str(path), trainable, resume_errored=True, param_space=space)
    else:
        tuner = Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(
                scheduler=halving if early_stopping else FIFOScheduler(),
                max_concurrent_trials=tier.workers,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=RunConfig(
                name="search",
                storage_path=str(folder),
                callbacks=[Told(lines, len(candidates))],
                failure_config=FailureConfig(max_failures=KILLED),
                checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_frequency=1, checkpoint_at_end=True),
                verbose=0,
            ),
        )
    results = sorted(tuner.fit(), key=lambda result: (result.config or {})["name"])
    scored = [result for result in results if (result.metrics or {}).get("history") and result.checkpoint]
    if not scored:
        raise RuntimeError(f"none of {len(results)} trials could be trained; the first failed with {results[0].error}")
    best = max(scored, key=lambda result: max(result.metrics["history"][SCORE]))
    with best.checkpoint.as_directory() as kept:
        state = torch.load(Path(kept, FIT), map_location="cpu", weights_only=True)
    trials = [_trial(result, type(candidates[0]), result is best) for result in results]
    return Found(trials, state["best"], json.loads(state["about"]), state["history"])


def rank(accuracy: float, loss: float) -> float:
    """What ASHA compares: the accuracy, and of equal ones the loss; in a first epoch many trials are equally right."""
    return accuracy - 1e-5 * min(loss, 10.0)


def _name(trial: Any) -> str:
    return f"{trial.config['name']}-{trial.trial_id}"


def _trial(result: Any, kind: type[TransformerParameters], best: bool) -> Trial:
    """What Ray says of a trial, as the platform takes it."""
    parameters = kind.model_validate_json(result.config["parameters"])
    history = (result.metrics or {}).get("history", {})
    whole = len(history.get(SCORE, ())) == parameters.epochs
    return Trial(
        name=result.config["name"],
        parameters=tried(parameters),
        metrics={SCORE: max(history[SCORE]), "train_loss": history["train_loss"][-1]} if history else {},
        curves=history,
        state="finished" if whole else "failed" if result.error else "stopped",
        best=best,
        seconds=float((result.metrics or {}).get("time_total_s", 0)),
    )
