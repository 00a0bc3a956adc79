"""The variants of one materialization beside each other: a table, and a picture of how each of them learned."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from mlops_assets.assets.pictures import drawn
from mlops_assets.assets.training import Trained
from workloads.sdk.contract import TEST, VALIDATION, Workload


def compared(workload: Workload, variants: Sequence[Trained]) -> dict[str, dg.MetadataValue]:
    """Metadata that compares variants, of which the last is the best."""
    best = variants[-1]
    ordered = [best, *reversed(variants[:-1])]
    # What is equal in all of them tells nothing.
    differing = [
        name
        for name, value in best.candidate.parameters.items()
        if any(one.candidate.parameters[name] != value for one in variants)
    ]
    records = [
        dg.TableRecord(
            {
                "variant": one.variant,
                "version": one.candidate.number,
                **{name: _cell(one.candidate.parameters[name]) for name in differing},
                **{name: float(f"{one.result.metrics[name]:.5g}") for name in _measures(workload)},
                "train (s)": one.result.seconds["train"],
                "MLflow run": one.run_url,
            }
        )
        for one in ordered
    ]
    metadata: dict[str, dg.MetadataValue] = {
        "best variant": dg.MetadataValue.text(best.variant),
        "variants": dg.MetadataValue.table(records),
    }
    for one in ordered:
        metadata[f"version of {one.variant}"] = dg.MetadataValue.url(one.version_url)
    return metadata | drawn("variants compared", lambda file: _draw(workload, ordered, file))


def _measures(workload: Workload) -> list[str]:
    return [f"{split}_{metric.name}" for metric in workload.metrics for split in (VALIDATION, TEST)]


def _cell(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _draw(workload: Workload, variants: Sequence[Trained], file: Path) -> None:
    """Validation curves, a line for each variant; where a training has none, what it came to."""
    from workloads.sdk.plots import comparison

    deciding = f"{VALIDATION}_{workload.metric.name}"
    names = [name for name in variants[0].result.curves if name.startswith(f"{VALIDATION}_")]
    values = {
        one.variant: {name: one.result.curves[name] for name in names} or {deciding: [one.result.metrics[deciding]]}
        for one in variants
    }
    comparison(values, file)
