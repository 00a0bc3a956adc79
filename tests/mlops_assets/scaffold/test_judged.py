"""What `mlops new` asks of a classifier: a class that is never found is refused, and named."""

import random
from pathlib import Path
from typing import Any

import pytest
from scaffold_support import new, report_of, splits, written

from workloads.sdk.contract import TEST, Slice, Workload
from workloads.sdk.contract.loading import load
from workloads.sdk.programs.spec import Result, Spec
from workloads.sdk.programs.training.run import run


def table(folder: Path, told: str, rows: int = 400) -> Path:
    """One row in twenty is of the class `1`, others of `0`; what tells it is a weak hint, or nothing at all."""
    draw = random.Random(8)
    lines = ["x,hint,kind"]
    for at in range(rows):
        kind = "1" if at % 20 == 7 else "0"
        hint = draw.gauss(1.5 * (kind == "1") * (told == "weakly"), 1)
        lines.append(f"{draw.gauss(0, 1):.4f},{hint:.4f},{kind}")
    file = folder / "rows.csv"
    file.write_text("\n".join(lines))
    return file


def trained(folder: Path, own: Path, kind: str, **parameters: Any) -> tuple[Workload, Result, Path]:
    written(f"rare_{kind}", "--kind", kind, "--csv", own, "--target", "kind", "--into", folder / f"of_{kind}")
    (workload,) = load(folder / f"of_{kind}" / f"of_{kind}_models")
    data = splits(workload, folder / "data")
    result = run(Spec(package=workload.package, data=data, parameters=parameters), folder / "out", lambda *_: None)
    return workload, result, data[TEST].path


@pytest.mark.parametrize(
    ("kind", "parameters"), [("sklearn", {"trees": 20}), ("plain", {}), ("lightning", {"epochs": 5})]
)
def test_where_a_class_is_rare_each_counts_as_much(kind: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    workload, result, test = trained(tmp_path, table(tmp_path, "weakly"), kind, **parameters)
    assert workload.gates.metric == "balanced_accuracy"
    assert list(workload.gates.slices) == [Slice("target", floor=0.01, minimum_rows=5, metric="accuracy")]
    assert result.metrics["test_balanced_accuracy"] > 0.55
    assert result.warnings == []
    report = report_of(workload, result, tmp_path / "out" / "artifacts", test, tmp_path)
    (found,) = [check for check in report.checks if check.name == "slices:target"]
    assert found.verdict == "pass"
    assert {group["group"] for group in found.evidence["groups"]} == {"0", "1"}


def test_a_classifier_that_never_finds_a_class_is_refused_and_the_class_is_named(tmp_path: Path) -> None:
    """As one is that was fitted to be right as often as possible: 95 rows of 100, and no rare one."""
    own = table(tmp_path, "not at all")
    written("rare_sklearn", "--csv", own, "--target", "kind", "--into", tmp_path / "of_never")
    code = tmp_path / "of_never" / "of_never_models" / "rare_sklearn" / "train.py"
    code.write_text(code.read_text().replace(", balanced=True", ""))
    declared = code.with_name("workload.py")
    declared.write_text(
        declared.read_text()
        .replace('metric="balanced_accuracy"', 'metric="accuracy"')
        .replace("floor=None", "floor=0.9")
    )  # as it was before: accuracy decides, and is high
    (workload,) = load(tmp_path / "of_never" / "of_never_models")
    data = splits(workload, tmp_path / "data")
    spec = Spec(package=workload.package, data=data, parameters={"model": "linear"})
    result = run(spec, tmp_path / "out", lambda *_: None)
    assert result.metrics["test_accuracy"] > 0.9
    report = report_of(workload, result, tmp_path / "out" / "artifacts", data[TEST].path, tmp_path)
    (found,) = [check for check in report.checks if check.name == "slices:target"]
    rare = next(group for group in found.evidence["groups"] if group["group"] == "1")
    assert (rare["value"], rare["judged"]) == (0, True)
    assert report.verdict == "refuse"
    assert f"never right: 1 (0 of {rare['n']})" in found.text


def test_columns_that_give_the_target_away_and_names_of_any_signs_are_taken_from_a_table_to_a_picture(
    tmp_path: Path,
) -> None:
    """A table sorted by class with its row's number, a copy of the target, and names that mean something to TeX."""
    draw, names = random.Random(2), ["$", "$$", "%_\\\\"]
    lines = ["n,$ per $,copy,kind"]
    lines += [
        f"{3 * at + draw.choice((0, 1))},{at // 70 + draw.gauss(0, 1):.3f},c{at // 70},{names[at // 70]}"
        for at in range(210)
    ]
    own = tmp_path / "rows.csv"
    own.write_text("\n".join(lines))
    arguments = ("--csv", own, "--target", "kind", "--into")
    said = new("signs", *arguments, tmp_path / "of_signs", "--column", "copy=out").stdout
    assert "gives the target away" not in said
    said = new("copies", *arguments, tmp_path / "of_copies").stdout
    assert "'copy' gives the target away: alone it tells 100% of what there is to tell" in said
    assert "--column 'copy=out'" in said
    facts = written("facts", *arguments, tmp_path / "of_facts")
    assert facts["target"]["columns_that_give_it_away"] == {"copy": 1.0}
    assert {each["column"]: each["kind"] for each in facts["columns"]}["n"] == "identifier"
    (workload,) = load(tmp_path / "of_signs" / "of_signs_models")
    data = splits(workload, tmp_path / "data")
    result = run(Spec(package=workload.package, data=data, parameters={"trees": 10}), tmp_path / "out", lambda *_: None)
    assert result.warnings == []
    assert {"confusion_matrix.png", "accuracy_by_class.png", "baselines.png"} <= set(result.plots)
