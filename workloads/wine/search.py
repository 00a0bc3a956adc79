"""The search for good forests: each candidate by cross-validation on training and validation rows, never on the test.

Serial, or side by side with Ray as joblib's backend. Where and how much is tried does not depend on that, and nor does
what is found.
"""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from workloads.sdk.contract import TrainingJob, Trial
from workloads.sdk.kits.ray_session import session
from workloads.sdk.kits.search import candidates, tried
from workloads.sdk.kits.tables.tabular import rows, targets

FOLDS = 5
# From so many rows times trees, over all fits, Ray is quicker than one core. On two idle cores 268,000 took 1.7 s
# serially and 2.6 s in a Ray that was there, 10,000,000 took 14.9 s and 9.8 s: they meet at about 2,600,000.
RAY_PAYS = 3_000_000


def search(job: TrainingJob) -> tuple[Any, list[Trial]]:
    """The best parameters by mean accuracy over the folds, the first of equals, and all trials."""
    asked = candidates(job.parameters, job.parameters.search_trials)
    numbers, wanted = rows_of(job.data)
    cpus = max(1, int(job.tier.workers * job.tier.cpus))
    by = job.parameters.search_backend
    if by == "auto":
        by = quicker(len(numbers), [each.trees for each in asked], cpus)
    job.progress(0.02, f"trying {len(asked)} forests on {FOLDS} folds of {len(numbers)} rows, {by}")
    tasks = [(each, numbers, wanted, fold) for each in asked for fold in folds(len(numbers), job.parameters.seed)]
    found = in_ray(tasks, job, cpus) if by == "ray" else [fitted(*task) for task in tasks]
    scores = np.reshape([score for score, _ in found], (len(asked), FOLDS))
    seconds = np.reshape([took for _, took in found], (len(asked), FOLDS)).sum(axis=1)
    means = scores.mean(axis=1)
    best = int(means.argmax())
    trials = [
        Trial(
            name=f"trial-{at + 1:02}",
            parameters=tried(each),
            metrics={"validation_accuracy": float(means[at]), "deviation_over_folds": float(scores[at].std())},
            best=at == best,
            seconds=float(seconds[at]),
        )
        for at, each in enumerate(asked)
    ]
    return asked[best], trials


def quicker(rows: int, trees: list[int], cpus: int) -> str:
    """`ray` where it is quicker than one core after each other, else `serial`."""
    return "ray" if cpus > 1 and rows * sum(trees) * FOLDS >= RAY_PAYS else "serial"


def rows_of(data: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Rows float32 (rows, columns) and targets of training and validation together."""
    both = [(rows(file).numbers, targets(file)) for file in data.values()]
    return np.concatenate([numbers for numbers, _ in both]), np.concatenate([wanted for _, wanted in both])


def folds(rows: int, seed: int) -> list[np.ndarray]:
    """For each fold the positions that are held out; each row in one fold."""
    return np.array_split(np.random.default_rng(seed).permutation(rows), FOLDS)


def forest(parameters: Any) -> Any:
    """The forest with these parameters."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=parameters.trees,
        max_depth=parameters.max_depth,
        min_samples_leaf=parameters.min_samples_leaf,
        max_features=parameters.max_features,
        random_state=parameters.seed,
    )


def fitted(parameters: Any, rows: np.ndarray, wanted: np.ndarray, held_out: np.ndarray) -> tuple[float, float]:
    """Accuracy on the rows that are held out, by a forest fitted to the others, and the seconds that it took."""
    start, learned = perf_counter(), np.ones(len(rows), bool)
    learned[held_out] = False
    score = forest(parameters).fit(rows[learned], wanted[learned]).score(rows[held_out], wanted[held_out])
    return float(score), perf_counter() - start


def in_ray(tasks: list[tuple], job: TrainingJob, cpus: int) -> list[tuple[float, float]]:
    """The same, side by side in a pool of Ray's."""
    from joblib import Parallel, delayed, parallel_config
    from ray.util.joblib import register_ray

    register_ray()
    with session(job.tier), parallel_config(backend="ray"):
        return Parallel(n_jobs=cpus)(delayed(fitted)(*task) for task in tasks)
