"""`mlops new`: what it writes trains, passes its gates and serves at once; the rest is refused with a reason.

Every kind that has templates is tried on both tasks, in one repository of its own. The way of such a repository through
the platform is in `tests/test_second_location.py`.
"""

import json
import random
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server.client import dump_input_data
from scaffold_support import judged, new, refused, splits, written
from serving_support import call

from mlops_assets.scaffold.generate import TASKS, Wanted, generate, kinds
from resources.registry import DataRegistry
from resources.registry.version import DataError
from resources.settings import REPOSITORY, Settings
from workloads.sdk.contract import TEST, TRAIN, Workload
from workloads.sdk.contract.loading import load, workload_of
from workloads.sdk.dataset import read_split
from workloads.sdk.kits.tables import examine, tablefile
from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.programs.spec import Spec
from workloads.sdk.programs.training.run import run
from workloads.sdk.serving.http.model import Endpoint

EVERY = [f"{kind}_{task}" for kind in kinds() for task in TASKS]
QUICK: dict[str, dict[str, Any]] = {}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workload]:
    """A repository with a workload of every kind and task."""
    folder = tmp_path_factory.mktemp("kinds") / "every"
    for kind in kinds():
        for task in TASKS:
            written(f"{kind}_{task}", "--kind", kind, "--task", task, "--into", folder)
    return {workload.name: workload for workload in load(folder / "every_models")}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_written_trains_passes_its_gates_and_serves(name: str, team, endpoint, tmp_path: Path) -> None:
    workload = team[name]
    data = splits(workload, tmp_path / "data")
    spec = Spec(package=workload.package, data=data, parameters=QUICK.get(name.rpartition("_")[0], {}))
    result = run(spec, tmp_path / "out", lambda share, text: None)
    assert result.plots
    artifacts = tmp_path / "out" / "artifacts"
    judged(workload, result, artifacts, test := data[TEST].path, tmp_path)
    served = endpoint(workload, artifacts, result)
    body = workload.resolve(workload.example)(test, 3)
    answer = call(served, "POST", "/predict", body)
    assert answer.status == 200, answer.body
    assert len(answer.json["predictions"]) == 3
    for prediction in answer.json["predictions"]:
        assert workload.resolve(workload.predictor).Prediction.model_validate(prediction).model_dump() == prediction
    if "rows" in body:
        sent = json.loads(dump_input_data(pd.DataFrame(body["rows"])))
        for form in (sent, {"dataframe_records": body["rows"]}):
            assert call(served, "POST", "/invocations", form).json["predictions"] == answer.json["predictions"]
    (field,) = body
    for bad in ({}, {field: []}, {field: [None]}, {field: body[field], "more": 1}, {field: "words"}):
        assert call(served, "POST", "/predict", bad).status == 422, bad
    assert call(served, "GET", "/docs").status == 200
    for row in body.get("rows", [])[:1]:
        fill_values_are_answered_or_named(served, row)


def fill_values_are_answered_or_named(served: Endpoint, row: dict[str, Any]) -> None:
    """A number that stands for "nothing here" gets finite numbers, or its column is named; alone and beside another."""
    numbers = [name for name, cell in row.items() if isinstance(cell, float)]
    for value in (1e20, 9.97e36, -3.4e38):
        for one, other in pairwise([*numbers, numbers[0]]):
            for filled in ({one: value}, {one: value, other: value}):
                for body in ({"rows": [row, row | filled]}, {"features": [list((row | filled).values())]}):
                    answer = call(served, "POST", "/predict", body)
                    if answer.status == 200:
                        assert b"null" not in answer.body
                    else:
                        assert answer.status == 422, answer.body
                        assert any(name in answer.error["message"] for name in filled), answer.body


def test_iris_is_what_the_template_writes(tmp_path: Path) -> None:
    made = generate(Wanted("iris", "sklearn", "classification", tmp_path / "own_models"))
    for file in made.files:
        text = (made.folder / file).read_text().replace("own_models", "workloads")
        kept = (REPOSITORY / "workloads" / "iris" / file).read_text()
        if file == "workload.py":  # the words and the gates are iris' own
            text, kept = (one.partition("class IrisParameters")[2].partition("workload = ")[0] for one in (text, kept))
        assert sorted(kept.splitlines()) == sorted(text.splitlines()), file


# --- one's own file -------------------------------------------------------------------------------------------------


def table(file: Path, rows: int = 200, header: str = "size,rooms,street,price,kind", sign: str = ",") -> Path:
    draw = random.Random(5)
    lines = [header.replace(",", sign)]
    for number in range(rows):
        size, rooms = draw.uniform(20, 200), draw.randint(1, 8)
        price, kind = 2000 * size + 5000 * rooms + draw.gauss(0, 4000), "flat" if rooms < 5 else 'a "house"'
        cells = [f"{size:.1f}", str(rooms), f"Street {number}", f"{price:.0f}", '"' + kind.replace('"', '""') + '"']
        lines.append(sign.join(cells))
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_file_of_ones_own_becomes_a_workload(tmp_path: Path) -> None:
    own = table(tmp_path / "flats.csv", sign=";")
    facts = written(
        "flat_prices", "--task", "regression", "--csv", own, "--target", "price", "--into", tmp_path / "my team"
    )
    assert {each["column"]: each["kind"] for each in facts["columns"]} == {
        "size": "number", "rooms": "number", "street": "identifier", "kind": "category"
    }  # fmt: skip
    assert Path(facts["folder"]) == tmp_path / "my team" / "my_team_models" / "flat_prices"
    assert "my_team_models" in Path(facts["definitions"]).read_text()
    (workload,) = load(Path(facts["folder"]).parent)
    assert workload.data.parameters().csv == own
    assert (workload.gates.metric, workload.gates.floor) == ("r2", None)
    spec = Spec(package=workload.package, data=splits(workload, tmp_path / "data"), parameters={"trees": 20})
    result = run(spec, tmp_path / "out", lambda share, text: None)
    assert result.metrics["test_r2"] > 0.9
    assert 0 < result.metrics["test_absolute_error"] < 20_000
    assert result.parity
    assert result.parity.holds


def test_a_file_in_the_same_repository_is_named_relative_to_it(tmp_path: Path) -> None:
    repository = tmp_path / "kindred"
    (repository / "data").mkdir(parents=True)
    own = table(repository / "data" / "flats.csv")
    facts = written("flat_kinds", "--kind", "plain", "--csv", own, "--target", "kind", "--into", repository)
    assert str(repository) not in Path(facts["folder"], "workload.py").read_text()
    (workload,) = load(repository / "kindred_models")
    assert workload.data.parameters().csv.resolve() == own
    assert workload.resolve("data:TABLE").classes == ['a "house"', "flat"]


def test_a_changed_file_is_a_new_version_of_the_data(tmp_path: Path) -> None:
    """Also without a changed parameter, as the daily refresh asks for it."""
    own = table(tmp_path / "flats.csv")
    facts = written("changing", "--task", "regression", "--csv", own, "--target", "price", "--into", tmp_path / "fresh")
    (workload,) = load(Path(facts["folder"]).parent)
    registry = DataRegistry(Settings(home=tmp_path / "home"))
    first = registry.release(workload)
    with own.open("a") as stream:
        stream.write("30.5,2,Street 0,71000,flat\n")
    second = registry.release(workload)
    assert (second.created, second.version.rows) == (True, first.version.rows + 1)
    assert second.version.metadata["dataset"]["uri"] == own.as_uri()
    own.write_text(own.read_text() + "30.5,two,Street 0,71000,flat\n")
    with pytest.raises(DataError, match=r"flats\.csv, line 203: 'rooms' is 'two'"):
        registry.release(workload)
    own.rename(tmp_path / "moved.csv")
    with pytest.raises(DataError, match=r"flats\.csv is no file; name another with --set csv="):
        registry.release(workload)


BROKEN = [
    ("", "is empty: its first line must name the columns"),
    ("\n\n\n", "is empty"),
    ("a,,target\n1,2,x\n", "line 1: column 2 has no name"),
    ("a,a,target\n1,2,x\n", "line 1: 'a' names two columns"),
    ("1,2,3\n4,5,6\n", "line 1: only numbers"),
    ("a,target\n1,x\n1,x,3\n", "line 3: 3 cells; the header names 2 columns"),
    ('a,target\n1,x\n2,"y\n', "line 3: 'target' begins with a quote that nothing closes"),
    ("b,target\n" + "same,x\n" * 60, "has no column to learn from beside 'target'"),
    ("row_id,target\n1,x\n2,y\n", "has a column 'row_id', a name that every split needs"),
    ("a,target\n1,x\n2,y\n", "has 2 different rows; at least 50 are needed"),
    ("a,other\n1,x\n", "has no column 'target'; its columns are 'a', 'other'"),
    ("a,target\n" + "".join(f"{n / 3},x\n" for n in range(60)), "'target' is 'x' in all rows"),
    (
        "a,target\n" + "".join(f"{n / 3},{n}\n" for n in range(200)),
        "for a number that is to be estimated, say --task regre",
    ),
    ("a,target\n" + "".join(f"{n / 3},{'z' * 30}{n}\n" for n in range(200)), "200 different values, and at most 100"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=[message[:30] for _, message in BROKEN])
def test_a_file_that_cannot_be_taken_is_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows.csv").write_text(text)
    said = refused("broken", "--csv", tmp_path / "rows.csv", "--target", "target", "--into", tmp_path / "team")
    assert said.startswith("rows.csv")
    assert message in said
    assert not (tmp_path / "team").exists()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"a,target\n1,x\n2,\0\n")
    said = refused("broken", "--csv", tmp_path / "rows.csv", "--target", "target", "--into", tmp_path)
    assert said == "rows.csv, line 3: 'target' holds a NUL, which is no text; remove it"
    (tmp_path / "rows.csv").write_bytes(b"PK\x03\x04" + bytes(range(256)) * 20)
    said = refused("broken", "--csv", tmp_path / "rows.csv", "--target", "target", "--into", tmp_path)
    assert said == "rows.csv: not a table of text; CSV, TSV, JSON lines and Parquet are read"
    said = refused("broken", "--csv", tmp_path / "nowhere.csv", "--target", "target", "--into", tmp_path)
    assert said.endswith("nowhere.csv cannot be read: No such file or directory")


def test_the_same_number_in_all_rows_is_nothing_to_estimate(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{n / 3},5\n" for n in range(60)))
    said = refused("same", "--task", "regression", "--csv", tmp_path / "rows.csv", "--target", "b", "--into", tmp_path)
    assert "'b' is the same number in all rows" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wine"], "workloads/wine is there already; choose another name"),
        (["sdk"], "workloads/sdk is there already"),
        (["House"], "'House' is no name for a workload"),
        (["../wine"], "'../wine' is no name for a workload"),
        (["class"], "'class' is no name for a workload"),
        (["a" * 41], "at most 40"),
        (["ok", "--kind", "magic"], "there is no kind 'magic'; there are "),
        (["ok", "--kind", "shared"], "there is no kind 'shared'"),
        (["ok", "--task", "ranking"], "there is no task 'ranking'; there are classification, regression"),
        (["ok", "--csv", "rows.csv"], "--csv and --target belong together"),
        (["ok", "--target", "price"], "--csv and --target belong together"),
        (["ok", "--column", "a=text"], "--column says what a column of your own file holds; name the file with --csv"),
        (["ok", "--column", "a"], "--column a: say NAME=KIND"),
        (["ok", "--into", "/dev/null/team"], "/dev/null/team"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments: list[str], message: str) -> None:
    before = sorted((REPOSITORY / "workloads").iterdir())
    assert message in refused(*arguments)
    assert sorted((REPOSITORY / "workloads").iterdir()) == before


def test_a_name_that_another_location_of_the_platform_has_is_refused(tmp_path: Path, monkeypatch) -> None:
    """As a workload's or as a dataset's, in this repository or in one that workspace.yaml names."""
    said = refused("wine", "--into", tmp_path / "team")
    assert f"'wine' is taken by {REPOSITORY / 'workloads' / 'wine'}, and names differ between the locations" in said
    dataset = next(one.data.name for one in load(REPOSITORY / "workloads") if one.data.name != one.name)
    assert f"{dataset!r} is taken by " in refused(dataset, "--into", tmp_path / "team")
    written("prices", "--kind", "plain", "--into", tmp_path / "others")
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from:\n  - python_file:\n      relative_path: others/definitions.py\n")
    monkeypatch.setattr("mlops_assets.scaffold.names.WORKSPACE", workspace)
    assert "'prices' is taken by " in refused("prices", "--into", tmp_path / "team")
    assert not (tmp_path / "team").exists()
    assert "is there already" in refused("prices", "--into", tmp_path / "others")  # its own location


def test_a_person_is_told_what_to_do_next(tmp_path: Path) -> None:
    said = new("next_steps", "--kind", "plain", "--into", tmp_path / "team").stdout
    for part in (
        "python -m team_models.next_steps.train",
        f"relative_path: {tmp_path / 'team' / 'definitions.py'}",
        f"MLOPS_WORKLOADS={tmp_path / 'team' / 'team_models'} mlops data release next_steps",
        "/next_steps/docs",
    ):
        assert part in said
    assert new("--help").exit_code == 0


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).map(str.strip)


@property_settings(max_examples=25, deadline=None)
@given(
    names=st.lists(
        NAMES.filter(lambda name: name and Number().read(name) is None), min_size=2, max_size=4, unique=True
    ),
    classes=st.lists(NAMES.filter(bool), min_size=2, max_size=3, unique=True),
    low=st.floats(-1e9, 1e9),
)
def test_any_names_and_numbers_make_a_folder_that_reads_its_file(names, classes, low) -> None:
    """Quotes, braces, signs of Jinja and of Python in names neither break what is written nor become code in it."""
    import csv

    *columns, target = (name if name not in examine.RESERVED else f"{name}_" for name in names)
    draw = random.Random(1)
    with TemporaryDirectory() as folder:
        own = Path(folder, "rows.csv")
        with own.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([*columns, target])
            for number in range(80):
                values = [repr(low + draw.random() * abs(low) + number) for _ in columns]
                writer.writerow([*values, classes[number % len(classes)]])
        facts = written("names", "--kind", "plain", "--csv", own, "--target", target, "--into", Path(folder, "n"))
        code = Path(facts["folder"], "data.py").read_text()
        values: dict[str, Any] = {}
        exec(compile(code.partition("def fetch")[0], "data.py", "exec"), values)
        assert list(values["TABLE"].columns) == columns
        assert (values["TABLE"].target, values["TABLE"].classes) == (target, sorted(classes))
        read = tablefile.read(own)
        for name, column in values["TABLE"].columns.items():
            assert column.low <= min(read.numbers(name))
            assert max(read.numbers(name)) <= column.high


def test_regression_splits_are_harmed_with_wrong_numbers(tmp_path: Path) -> None:
    workload = workload_of("workloads.iris")
    from workloads.sdk.kits.parameters import TableParameters
    from workloads.sdk.kits.tables.tabular import Table

    own = table(tmp_path / "rows.csv")
    read = tablefile.read(own)
    prices = Table("price", {"size": Number(0, 300), "rooms": Number(0, 10)})
    raw, parts = tmp_path / "raw", []
    raw.mkdir()
    own.rename(raw / "rows.csv")
    for part in (0, 0.5):
        prices.process(TableParameters(corruption=part), raw, tmp_path / str(part))
        parts.append({split: read_split(tmp_path / str(part) / f"{split}.parquet")["target"].to_pylist()
                      for split in (TRAIN, TEST)})  # fmt: skip
    assert parts[0][TEST] == parts[1][TEST]
    changed = [a != b for a, b in zip(parts[0][TRAIN], parts[1][TRAIN], strict=True)]
    assert 0.35 < sum(changed) / len(changed) < 0.65
    assert set(parts[1][TRAIN]) <= set(read.numbers("price"))
    assert workload.data.parameters is TableParameters
