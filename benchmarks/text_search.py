"""A search with ASHA against a full one: the same candidates, each trained to its end.

    python benchmarks/text_search.py --out DIR [--trials 16] [--epochs 4] [--rows 2000]

Says epochs, time, and how the two models differ on the same test rows, with a 95 % interval (paired bootstrap). What is
in DIR already is taken or gone on with, so that a stopped measurement loses little. Leave the machine alone meanwhile.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from mlops_assets.gates.statistics import paired
from workloads.sdk.artifacts import in_parts, sha256
from workloads.sdk.contract import TIERS
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.spec import InputFile, Result, Spec
from workloads.sdk.programs.training.run import NoServices, run

SPLITS = ("train", "validation", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", type=int, help="texts for training and validation together (default: all)")
    asked = parser.parse_args()
    text = workload_of("workloads.text")
    data = splits(text, asked.out / "data", asked.rows)
    figures: dict[str, Any] = {}
    scores = {}
    for name, early in (("asha", True), ("full", False)):
        parameters = {"trials": asked.trials, "epochs": asked.epochs, "early_stopping": early}
        spec = Spec(package=text.package, data=data, parameters=parameters, tier=TIERS[text.tier])
        result = run(spec, asked.out / name)
        figures[name] = summary(result)
        outputs = in_parts(
            text.resolve(text.predictor).load(asked.out / name / "artifacts", NoServices()).outputs,
            text.resolve(text.rows)(data["test"].path),
        )
        scores[name] = text.resolve(text.evaluate)(outputs, data["test"].path).scores["accuracy"]
    found = paired(scores["asha"], scores["full"])
    figures["test_accuracy_asha_minus_full"] = {
        "difference": round(found.difference, 4),
        "low": round(found.interval.low, 4),
        "high": round(found.interval.high, 4),
        "rows": found.n,
    }
    print(json.dumps(figures, indent=2))


def splits(text: Any, folder: Path, rows: int | None) -> dict[str, InputFile]:
    """The workload's own data, made by its own pipeline."""
    raw, processed = folder / "raw", folder / "processed"
    if not (processed / "test.parquet").exists():
        parameters = text.data.parameters(rows=rows)
        for made in (raw, processed):
            made.mkdir(parents=True, exist_ok=True)
        text.resolve(text.data.fetch)(parameters, raw)
        text.resolve(text.data.process)(parameters, raw, processed)
    files = {split: processed / f"{split}.parquet" for split in SPLITS}
    return {split: InputFile(path=file, sha256=sha256(file)) for split, file in files.items()}


def summary(result: Result) -> dict[str, Any]:
    """What a search cost and found."""
    states = [trial.state for trial in result.trials]
    (best,) = (trial for trial in result.trials if trial.best)
    return {
        "trials": len(states),
        "stopped": states.count("stopped"),
        "epochs": result.metrics["epochs_spent"],
        "share_of_all_epochs": round(result.metrics["share_of_all_epochs"], 3),
        "training_seconds": result.seconds["train"],
        "best": best.name,
        "best_parameters": dict(best.parameters),
        "validation_accuracy": round(result.metrics["validation_accuracy"], 4),
        "test_accuracy": round(result.metrics["test_accuracy"], 4),
    }


if __name__ == "__main__":
    main()
