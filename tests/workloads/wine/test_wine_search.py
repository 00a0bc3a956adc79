"""Wine's search: serial and with Ray they find the same, and the best trial is the forest that is stored."""

from pathlib import Path

import pytest
from workload_support import spec_of, splits_of_wine

from workloads.sdk.contract import TIERS, TRAIN, VALIDATION
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.spec import Result
from workloads.sdk.programs.training.run import run
from workloads.wine import search

WINE = workload_of("workloads.wine")
ASKED = {"trees": 10, "search_trials": 6}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    splits = splits_of_wine(tmp_path_factory.mktemp("wine"))
    return {
        by: run(
            spec_of(splits, parameters={**ASKED, "search_backend": by}, tier=TIERS["cpu-medium"]),
            tmp_path_factory.mktemp(by),
        )
        for by in ("serial", "ray")
    }


def test_ray_and_serial_find_the_same(found: dict[str, Result]):
    one, two = found["serial"], found["ray"]
    assert one.digest == two.digest
    assert one.metrics == two.metrics
    assert [(trial.parameters, trial.metrics) for trial in one.trials] == [
        (trial.parameters, trial.metrics) for trial in two.trials
    ]
    assert len(one.trials) == 6
    assert "parallel_coordinates.png" in one.plots


def test_best_trial_is_the_forest_that_is_stored(found: dict[str, Result], tmp_path: Path):
    (best,) = (trial for trial in found["serial"].trials if trial.best)
    key = "validation_accuracy"
    assert best.metrics[key] == max(trial.metrics[key] for trial in found["serial"].trials)
    (tmp_path / "wine").mkdir()
    alone = run(spec_of(splits_of_wine(tmp_path / "wine"), parameters=dict(best.parameters)), tmp_path / "out")
    assert alone.digest == found["serial"].digest
    assert alone.trials == []


def test_test_rows_are_never_seen(tmp_path: Path):
    splits = splits_of_wine(tmp_path)
    rows, wanted = search.rows_of({split: splits / f"{split}.parquet" for split in (TRAIN, VALIDATION)})
    seen = {row.tobytes() for row in rows}
    assert len(rows) == len(wanted)
    assert not seen & {row.tobytes() for row in search.rows(splits / "test.parquet").numbers}
    held = search.folds(len(rows), 1)
    assert sorted(at for fold in held for at in fold.tolist()) == list(range(len(rows)))


def test_the_quicker_way_follows_from_size_and_cores():
    assert search.quicker(130, [100] * 20, 2) == "serial"
    assert search.quicker(6000, [200] * 50, 2) == "ray"
    assert search.quicker(6000, [200] * 50, 1) == "serial"
