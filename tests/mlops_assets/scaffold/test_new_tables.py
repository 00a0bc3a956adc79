"""`mlops new` on tables as people have them: of any dialect and encoding, with columns of every kind.

What is understood of a column is tested in `test_columns.py`, what is learned from it in `test_mixed_tables.py`.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from scaffold_support import judged, new, splits, written
from serving_support import call

from mlops_assets.assets.datasets import describe
from resources.registry import DataRegistry
from resources.settings import Settings
from workloads.sdk.contract import TEST
from workloads.sdk.contract.loading import load
from workloads.sdk.programs.spec import Spec
from workloads.sdk.programs.training.run import run


def boilers(draw: random.Random) -> Iterator[str]:
    """Semicolons, decimal commas, German dates, names of rows with leading zeros; a number to estimate."""
    yield "Anlage-Nr;Datum;Außen temp;Betriebsart;Wartung fällig;Verbrauch"
    for n in range(240):
        outside, used = (
            f"{x:.1f}".replace(".", ",") for x in (draw.gauss(9, 8), 1000 + 3 * (n % 12) + 50 * (n % 7 > 0))
        )
        mode, due = draw.choice(["Öko", "aus", ""]), draw.choice(["ja", "nein"])
        yield f"{n % 40:05d};{n % 28 + 1:02d}.{n % 12 + 1:02d}.2025;{outside};{mode};{due};{used}"


def tickets(draw: random.Random) -> Iterator[str]:
    """Quoted line breaks, times with a zone, thousands, a constant and a nearly empty column; one class is rare."""
    yield "ticket,opened at,plan,urgent,amount $,text,region,flag,topic"
    for n in range(240):
        topic = "rare" if n in (3, 50, 99, 150) else "bug" if n % 3 else "question"
        at, plan = f"2026-03-{n % 30 + 1:02d}T{n % 24:02d}:00:00+02:00", draw.choice(["pro", "basic"])
        urgent, flag = "yes" if n % 3 else "no", "x" if n == 5 else ""
        yield f'T{n:06d},{at},{plan},{urgent},"{1000 + n * 7:,.2f}","two\nlines, ""said""",EU,{flag},{topic}'


def codes(draw: random.Random) -> Iterator[str]:
    """Tabs, whole numbers beyond 2**53, codes that look like numbers, missing in several spellings; a class `None`."""
    yield "serial\tcode\tStärke\tstate"
    for n in range(240):
        strength = "N/A" if n % 9 == 0 else n % 5
        yield f"{2**53 + n}\t{draw.choice(['0012', '1e5', 'A7', '-'])}\t{strength}\t{'None' if n % 5 > 2 else 'True'}"


CASES = {
    "boilers": (boilers, "utf-8-sig", "\n", "regression", "Verbrauch"),
    "tickets": (tickets, "utf-16", "\n", "classification", "topic"),
    "codes": (codes, "latin-1", "\r\n", "classification", "state"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_table_as_people_have_it_is_trained_judged_and_served(name: str, endpoint, tmp_path: Path) -> None:
    """Of any dialect and encoding, with dates, categories, missing cells, names of rows and columns of no use."""
    lines, encoding, end, task, target = CASES[name]
    own = tmp_path / f"{name}.csv"
    own.write_bytes(end.join(lines(random.Random(2))).encode(encoding))
    facts = written(name, "--task", task, "--csv", own, "--target", target, "--into", tmp_path / f"of_{name}")
    (workload,) = load(Path(facts["folder"]).parent)
    data = splits(workload, tmp_path / "data")
    result = run(Spec(package=workload.package, data=data, parameters={"trees": 20}), tmp_path / "out", lambda *_: None)
    assert {"baselines.png"} <= set(result.plots)
    artifacts = tmp_path / "out" / "artifacts"
    judged(workload, result, artifacts, data[TEST].path, tmp_path)
    served = endpoint(workload, artifacts, result)
    kept = [column["column"] for column in facts["columns"] if column["kind"] not in ("identifier", "out", "text")]
    (row,) = workload.resolve(workload.example)(data[TEST].path, 1)["rows"]
    assert [column for column in row if column in kept] == kept
    for body in ({"rows": [{}]}, {"rows": [{kept[1]: None}]}, {"rows": [dict(reversed(row.items()))]}):
        assert call(served, "POST", "/predict", body).status == 200, body
    unseen = {column["column"]: "never seen" for column in facts["columns"] if column["kind"] == "category"}
    assert call(served, "POST", "/predict", {"rows": [row | unseen]}).status == 200


def test_what_was_understood_is_shown_before_anything_is_written(tmp_path: Path) -> None:
    own = tmp_path / "tickets.csv"
    own.write_text("\n".join([*tickets(random.Random(2)), *list(tickets(random.Random(2)))[1:4]]))
    arguments = ["shown", "--csv", own, "--target", "topic", "--into", tmp_path / "of_shown"]
    said = new(*arguments, "--column", "plan=out", "--column", "text=text").stdout
    for part in ("ticket", "identifier", "date", "hashed", "region"):
        assert part in said
    assert "'topic', one of 3 classes" in said
    assert "Classes of few rows, spread over the splits: 'rare' 4" in said
    assert "3 rows are alike in all columns to one before" in said
    assert said.index("identifier") < said.index("is written")
    declared = (tmp_path / "of_shown" / "of_shown_models" / "shown" / "data.py").read_text()
    assert '"plan": LeftOut(why="as asked for"),' in declared
    assert '"text": Text(buckets=64, why="as asked for"),' in declared


def test_a_release_and_dagster_say_what_was_found(tmp_path: Path) -> None:
    own = tmp_path / "found.csv"
    lines = list(tickets(random.Random(2)))
    own.write_text("\n".join([*lines, *lines[1:4], lines[5].rpartition(",")[0] + ","]))
    facts = written("found", "--csv", own, "--target", "topic", "--into", tmp_path / "of_found")
    (workload,) = load(Path(facts["folder"]).parent)
    registry = DataRegistry(Settings(home=tmp_path / "home"))
    released = registry.release(workload)
    for part in ("duplicates dropped: 3", "rows without target: 1", "classes of few rows: rare 4"):
        assert part in str(released)
    shown = describe(released.version, registry.local(released.version))
    rows = {record.data["column"]: record.data for record in shown["columns"].records}
    assert list(rows) == [column["column"] for column in facts["columns"]]
    assert rows["flag"]["kind"] == "out"
    assert rows["plan"]["examples"] in ("pro, basic", "basic, pro")
    (plan,) = [column for column in shown["dagster/column_schema"].columns if column.name == "plan"]
    assert plan.description.startswith("category: a 0 or 1 for each word of the training rows; 2 different")
    assert shown["findings"].data["rows_read"] == 244


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("nothing=number", "has no column 'nothing'"),
        ("plan=colour", "plan=colour: a column is one of number, boolean"),
        ("plan=number", "the column 'plan' cannot be read as number; it holds"),
    ],
)
def test_what_a_column_cannot_be_is_refused(tmp_path: Path, asked: str, message: str) -> None:
    own = tmp_path / "tickets.csv"
    own.write_text("\n".join(tickets(random.Random(2))))
    done = new("no", "--csv", own, "--target", "topic", "--into", tmp_path / "of_no", "--column", asked)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "of_no").exists()
