"""The same data, code, parameters, seed and tier give the same figures to the bit, in whatever process (scikit-learn).

Torch: `test_text.py`, `test_digits.py` (to the bit), `benchmarks/repeatability.py` (several workers: measured).
"""

from pathlib import Path

from workload_support import program, spec_of, splits_of_wine

from workloads.sdk.programs.spec import Result


def test_scikit_learn_repeats_to_the_bit(tmp_path: Path):
    spec = spec_of(splits_of_wine(tmp_path), parameters={"trees": 8, "search_trials": 3})
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    runs = [
        program("--spec", tmp_path / "spec.json", "--out", tmp_path / order, "--json", PYTHONHASHSEED=order)
        for order in ("1", "2")
    ]
    found = []
    for run in runs:
        output, errors = run.communicate()
        assert run.returncode == 0, errors
        found.append(Result.model_validate_json(output))
    one, two = found
    assert one.metrics == two.metrics
    assert one.digest == two.digest
    assert [trial.metrics for trial in one.trials] == [trial.metrics for trial in two.trials]
    assert len(one.trials) == 3
