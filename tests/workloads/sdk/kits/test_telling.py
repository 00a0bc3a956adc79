"""Columns that give the target away are named with how well each alone tells it; what counts rows is left out."""

import random
from pathlib import Path

import pytest

from workloads.sdk import findings
from workloads.sdk.kits.parameters import TableParameters
from workloads.sdk.kits.tables import examine
from workloads.sdk.kits.tables.tabular import Table, bundled

R = random.Random(4)


def rising(rows: int) -> list[int]:
    """Numbers of rows of which some were taken out."""
    found = [17]
    while len(found) < rows:
        found.append(found[-1] + R.choice((1, 1, 2, 4)))
    return found


COUNTERS = {
    "each": [str(at) for at in range(1, 301)],
    "by ten": [str(10 * at) for at in range(1, 301)],
    "with gaps": list(map(str, rising(300))),
    "falling": list(map(str, reversed(rising(300)))),
    "with a sign": [f"#{at}" for at in rising(300)],
    "shuffled": R.sample([str(at) for at in range(1, 301)], 300),
}
NUMBERS = {
    "amounts": [str(R.randrange(10**6)) for _ in range(300)],
    "sorted amounts of few": sorted((str(R.randrange(10, 60)) for _ in range(300)), key=int),
    "sorted amounts, not even": list(map(str, sorted({int(R.lognormvariate(9, 1.5)) for _ in range(500)})))[:300],
    "years": [str(1990 + at // 10) for at in range(300)],
}


def table(folder: Path, **columns: list[str]) -> Path:
    file = folder / "rows.csv"
    rows = zip(*columns.values(), strict=True)
    file.write_text("\n".join([",".join(columns), *map(",".join, rows)]) + "\n")
    return file


def sorted_by_class(folder: Path, **columns: list[str]) -> Path:
    x = [f"{R.gauss(0, 1):.3f}" for _ in range(300)]
    return table(folder, x=x, **columns, target=["abc"[at // 100] for at in range(300)])


@pytest.mark.parametrize("name", COUNTERS)
def test_numbers_that_count_the_rows_are_left_out_and_named(name: str, tmp_path: Path) -> None:
    found = examine.table(sorted_by_class(tmp_path, n=COUNTERS[name]), "target", "classification")
    _, n = found.columns
    assert n.column.kind == "identifier", n
    assert found.giving_away == {}
    assert n.alone is not None
    assert (n.alone > 0.9) == (name != "shuffled")


@pytest.mark.parametrize("name", NUMBERS)
def test_other_whole_numbers_stay(name: str, tmp_path: Path) -> None:
    found = examine.table(sorted_by_class(tmp_path, n=NUMBERS[name]), "target", "classification")
    assert found.columns[1].column.kind == "number", found.columns[1]


def test_a_copy_and_what_is_known_only_afterwards_are_named(tmp_path: Path) -> None:
    code = ["K1" if at < 100 else "K2" if at < 200 else "K3" for at in range(300)]
    closed = ["2026-03-01" if at < 100 else "" for at in range(300)]
    score = [f"{at // 100 + R.gauss(0, 0.01):.3f}" for at in range(300)]
    partly = [R.choice("xy") if at % 3 else "z" for at in range(300)]
    file = sorted_by_class(tmp_path, code=code, closed=closed, score=score, partly=partly)
    found = examine.table(file, "target", "classification")
    assert set(found.giving_away) == {"code", "closed", "score"}
    assert all(0.95 <= share <= 1 for share in found.giving_away.values())
    assert {each.name: each.alone for each in found.columns}["x"] < 0.3


def test_a_number_is_given_away_too(tmp_path: Path) -> None:
    prices = [R.uniform(10, 1000) for _ in range(300)]
    file = table(
        tmp_path,
        size=[f"{price / 10 + R.gauss(0, 30):.1f}" for price in prices],
        gross=[f"{price * 1.19:.2f}" for price in prices],
        street=[f"Street {at}" for at in range(300)],
        target=[f"{price:.2f}" for price in prices],
    )
    found = examine.table(file, "target", "regression")
    assert list(found.giving_away) == ["gross"]
    shares = {each.name: each.alone for each in found.columns}
    assert 0.1 < shares["size"] < 0.95
    assert shares["street"] < 0.1


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "diabetes"])
def test_no_column_of_real_data_is_blamed(name: str, tmp_path: Path) -> None:
    bundled(name, tmp_path)
    task = "regression" if name == "diabetes" else "classification"
    found = examine.table(tmp_path / f"{name}.csv", "target", task)
    assert found.giving_away == {}
    assert all(each.alone is not None for each in found.columns)


def test_a_release_names_them_again(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    file = sorted_by_class(raw, code=["K1" if at < 100 else "K2" if at < 200 else "K3" for at in range(300)])
    found = examine.table(file, "target", "classification")
    made = Table("target", {each.name: each.column for each in found.columns}, found.classes)
    made.process(TableParameters(), raw, tmp_path / "out")
    told = findings.read(tmp_path / "out")
    assert told["give_the_target_away"] == {"code": 1.0}
    assert {each["column"]: each["tells_alone"] for each in told["columns"]}["code"] == 1.0
    assert "give the target away: code 1.0" in list(findings.said(told))


def test_cells_that_are_all_missing_or_classes_of_one_row_each_are_no_trouble(tmp_path: Path) -> None:
    file = sorted_by_class(tmp_path, code=["K1"] * 300)
    found = examine.table(file, "target", "classification")
    made = Table("target", {each.name: each.column for each in found.columns}, found.classes)
    lines = file.read_text().splitlines()
    raw = tmp_path / "raw"
    raw.mkdir()
    cells = [line.split(",") for line in lines[1:]]
    (raw / "rows.csv").write_text("\n".join([lines[0], *(f",{code},{target}" for _, code, target in cells)]))
    with pytest.raises(ValueError, match="different rows are too few"):  # to a model all rows are the same one
        made.process(TableParameters(), raw, tmp_path / "out")


@pytest.mark.parametrize(("rare", "metric"), [(9, "accuracy"), (10, "balanced_accuracy"), (99, "accuracy")])
def test_what_decides_follows_the_imbalance_of_what_can_be_judged(rare: int, metric: str, tmp_path: Path) -> None:
    kinds = ["rare"] * rare + ["ab"[at % 2] for at in range(300 - rare)]
    file = table(tmp_path, x=[f"{R.gauss(0, 1):.4f}" for _ in kinds], target=kinds)
    found = examine.table(file, "target", "classification")
    assert found.metric == metric
    assert found.floor == (
        0.33 if metric == "balanced_accuracy" else int(100 * max(map(kinds.count, "ab")) / 300) / 100
    )
