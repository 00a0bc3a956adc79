"""A search's trials in the Dagster UI: a table in the model's metadata; MLflow has their curves."""

from collections.abc import Sequence

import dagster as dg

from workloads.sdk.contract import Trial

MOST = 100  # rows of the table; MLflow lists all


def trials(tried: Sequence[Trial], metric: str, higher_is_better: bool) -> dict[str, dg.MetadataValue]:
    """The trials as a table, the best by `metric` first, those without it last; nothing where there are none."""
    if not tried:
        return {}
    sign = -1 if higher_is_better else 1
    order = sorted(tried, key=lambda trial: (metric not in trial.metrics, sign * trial.metrics.get(metric, 0)))
    parameters = dict.fromkeys(name for trial in tried for name in trial.parameters)
    records = [
        dg.TableRecord(
            {
                "trial": f"{trial.name} (the model)" if trial.best else trial.name,
                metric: float(f"{trial.metrics[metric]:.6g}") if metric in trial.metrics else "",
                "state": trial.state,
                "epochs": max(map(len, trial.curves.values()), default=0),
                **{name: _plain(trial.parameters.get(name)) for name in parameters},
            }
        )
        for trial in order[:MOST]
    ]
    return {"trials": dg.MetadataValue.table(records)}


def _plain(value: object) -> str | int | float | bool:
    return float(f"{value:.4g}") if isinstance(value, float) else value if isinstance(value, int) else str(value)
