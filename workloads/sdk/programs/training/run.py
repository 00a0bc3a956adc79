"""A training: checked data in, `artifacts/`, `plots/` and, last of all, `result.json` out."""

import random
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from workloads.sdk.artifacts import BASELINES, Manifest, in_parts, sha256, write_golden
from workloads.sdk.contract import TEST, TRAIN, VALIDATION, Predictor, TrainingJob, Workload
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.disk import writing
from workloads.sdk.errors import PlatformError
from workloads.sdk.programs.spec import RESULT, ParityFigures, Result, Spec, finished, write_last
from workloads.sdk.programs.training.pictures import draw

GOLDEN_ROWS = 5
LIBRARIES = {
    "lightning": "lightning",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "pyarrow": "pyarrow",
    "ray": "ray",
    "skl2onnx": "skl2onnx",
    "sklearn": "scikit-learn",
    "skops": "skops",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
}
Progress = Callable[[float, str], None]


class TrainingError(PlatformError):
    """A training cannot be done; one sentence says why."""


class NoServices:
    """The services of a training: none."""

    def setting(self, name: str) -> str | None:
        return None

    def secret(self, name: str) -> str | None:
        return None


def say(share: float, text: str) -> None:
    """One line of progress on stdout."""
    print(f"[{share:4.0%}] {text}", flush=True)


def run(spec: Spec, out: Path, progress: Progress = say) -> Result:
    """Train as the spec says, and leave `artifacts/`, `plots/` and, last of all, `result.json` in `out`.

    A valid result of the same spec is returned at once; a checkpoint of an attempt that ended early is gone on from.

    Raises:
        TrainingError: an input is not what the spec says.
        DiskFull: a file could not be written; it is named.
        DeclarationError: the package declares no workload.
        pydantic.ValidationError: the parameters are not the workload's.
    """
    with writing(out):
        return _run(spec, out.resolve(), progress)


def _run(spec: Spec, out: Path, progress: Progress) -> Result:
    if (done := finished(spec, out)) is not None:
        progress(1, f"done before: {out / RESULT} is the result of this spec")
        return done
    workload = workload_of(spec.package)
    parameters = workload.parameters.model_validate(spec.parameters)
    seconds: dict[str, float] = {}

    with _phase("verify", seconds):
        progress(0, "checking the data")
        _verify(spec)
    (out / RESULT).unlink(missing_ok=True)
    artifacts, plots = (_emptied(out / name) for name in ("artifacts", "plots"))
    checkpoints = (spec.checkpoints or out / "checkpoints").resolve() / spec.hash[:16]  # another spec's are of no use
    checkpoints.mkdir(parents=True, exist_ok=True)
    with _phase("train", seconds):
        _seed(parameters.seed)
        trained = workload.resolve(workload.train)(
            TrainingJob(
                data={split: spec.data[split].path.resolve() for split in (TRAIN, VALIDATION)},
                parameters=parameters,
                artifacts=artifacts,
                plots=plots,
                checkpoints=checkpoints,
                tier=spec.tier,
                progress=lambda share, text: progress(0.05 + 0.8 * share, text),
            )
        )
    with _phase("load", seconds):
        progress(0.86, "loading the form that is served")
        predictor: Predictor = workload.resolve(workload.predictor).load(artifacts, NoServices())
        request = workload.resolve(workload.example)(spec.data[VALIDATION].path, GOLDEN_ROWS)
        write_golden(artifacts, predictor, [request])
        manifest = Manifest.write(artifacts, spec.package, type(predictor))
    held_out = {split: spec.data[split].path for split in (VALIDATION, TEST)}
    with _phase("parity", seconds):
        progress(0.88, "comparing the served form with the trained one")
        rows = {split: workload.resolve(workload.rows)(file) for split, file in held_out.items()}
        outputs = {split: in_parts(predictor.outputs, rows[split]) for split in held_out}
        parity = _parity(workload, artifacts, rows, outputs)
    with _phase("evaluate", seconds):
        progress(0.94, "evaluating")
        metrics = dict(trained.metrics)
        for split, file in held_out.items():
            scores = workload.resolve(workload.evaluate)(outputs[split], file).scores
            metrics |= {f"{split}_{metric.name}": float(scores[metric.name].mean()) for metric in workload.metrics}
        simpler = _baselines(workload, artifacts, rows[TEST], held_out[TEST])
        metrics |= {f"test_{workload.metric.name}_of_{name}": value for name, value in simpler.items()}
        beside = {"model": metrics[f"test_{workload.metric.name}"], **simpler}
        warnings = draw(workload, outputs[TEST], held_out[TEST], trained, beside, plots)
        for warning in warnings:
            progress(0.98, f"warning: {warning}")
    result = Result(
        spec_hash=spec.hash,
        metrics=metrics,
        curves={name: [float(value) for value in values] for name, values in trained.curves.items()},
        plots=sorted(picture.name for picture in plots.glob("*.png")),
        artifacts=manifest,
        digest=manifest.digest,
        signature=manifest.request_schema,
        parity=parity,
        seconds={phase: round(value, 3) for phase, value in seconds.items()},
        resumed_from=trained.resumed_from,
        versions={"python": sys.version.split()[0]}
        | {name: version(name) for module, name in sorted(LIBRARIES.items()) if module in sys.modules},
        trials=list(trained.trials),
        warnings=warnings,
    )
    write_last(out / RESULT, result.model_dump_json(indent=2))
    shutil.rmtree(checkpoints, ignore_errors=True)
    progress(1, f"done: {out / RESULT}")
    return result


def _baselines(workload: Workload, artifacts: Path, rows: Any, test: Path) -> dict[str, float]:
    """The deciding metric of the simpler models beside this one, on the test rows, by name."""
    goal, found = workload.metric.name, {}
    folder = artifacts / BASELINES
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        predictor = workload.resolve(workload.predictor).load(each, NoServices())
        outputs = in_parts(predictor.outputs, rows)
        found[each.name] = float(workload.resolve(workload.evaluate)(outputs, test).scores[goal].mean())
    return found


def _verify(spec: Spec) -> None:
    for split in (TRAIN, VALIDATION, TEST):
        if split not in spec.data:
            raise TrainingError(f"the spec names no file for the split {split!r}")
        file = spec.data[split]
        if not file.path.is_file():
            raise TrainingError(f"the file of the split {split!r} is missing: {file.path}")
        if (found := sha256(file.path)) != file.sha256:
            raise TrainingError(f"{file.path} was changed: its SHA-256 is {found}, and the spec says {file.sha256}")


def _seed(seed: int) -> None:
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)


def _parity(
    workload: Workload, artifacts: Path, rows: Mapping[str, Any], outputs: Mapping[str, Any]
) -> ParityFigures | None:
    import numpy as np

    if workload.parity is None:
        return None
    reference = workload.resolve(workload.parity.reference)
    worst = []
    for split in rows:
        trained = np.asarray(reference(artifacts, rows[split]))
        if trained.shape != outputs[split].shape:
            raise TrainingError(
                f"the trained form's outputs are {trained.shape}, the served form's {outputs[split].shape}"
            )
        worst.append(np.abs(trained.astype(np.float64) - outputs[split]).reshape(len(trained), -1).max(axis=1))
    difference = np.concatenate(worst)
    tolerance = workload.parity.tolerance
    return ParityFigures(
        rows=len(difference),
        max_difference=float(difference.max()),
        differing=int((~(difference <= tolerance)).sum()),  # NaN differs
        tolerance=tolerance,
    )


@contextmanager
def _phase(name: str, seconds: dict[str, float]):
    start = perf_counter()
    yield
    seconds[name] = perf_counter() - start


def _emptied(folder: Path) -> Path:
    """The folder, without what an attempt that ended early left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
