"""A mistake in a declaration is refused when it is loaded, with file and field."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from echo.workload import workload as echo
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from workload_support import REPOSITORY

from workloads.sdk.contract import (
    Data,
    DataParameters,
    DeclarationError,
    Gates,
    Metric,
    Parameters,
    Parity,
    Slice,
    Workload,
)
from workloads.sdk.contract.checks import check
from workloads.sdk.contract.loading import load, workload_of

FILE = REPOSITORY / "tests" / "support" / "echo" / "workload.py"
NAN, INFINITE = float("nan"), float("inf")


class Incomplete(Parameters):
    depth: int = Field(description="Without a default.")


class OutOfBounds(DataParameters):
    rows: int = Field(0, ge=1, description="With a default that is refused.")


def gates(**changed: Any) -> dict[str, Any]:
    return {"gates": replace(echo.gates, **changed)}


def data(**changed: Any) -> dict[str, Any]:
    return {"data": replace(echo.data, **changed)}


RIGHT = echo.metrics[0]
MISTAKES = [
    ({"name": "other"}, "name is 'other'; it must be the folder's name, 'echo'"),
    ({"name": 3}, "name is 3: input should be a valid string"),
    ({"description": " "}, "description is empty"),
    ({"metrics": []}, "gates.metric is 'right', which is none of the declared metrics"),
    ({"metrics": RIGHT}, "metrics is Metric"),
    ({"metrics": [RIGHT, "distance"]}, "metrics.1 is 'distance'"),
    ({"metrics": [RIGHT, RIGHT]}, "metrics.1.name is 'right', as that of another metric"),
    ({"metrics": [replace(RIGHT, name="share right")]}, "metrics.0.name is 'share right'"),
    ({"metrics": [replace(RIGHT, higher_is_better="yes")]}, "metrics.0.higher_is_better is 'yes'"),
    ({"gates": None}, "gates is None"),
    (gates(metric="wrong"), "gates.metric is 'wrong', which is none of the declared metrics ['right', 'distance']"),
    (gates(floor=NAN), "gates.floor is nan: input should be a finite number"),
    (gates(floor="0.8"), "gates.floor is '0.8'"),
    (gates(margin=0), "gates.margin is 0; it must be above 0"),
    (gates(margin=INFINITE), "gates.margin is inf"),
    (gates(latency_ms=-1), "gates.latency_ms is -1"),
    (gates(slices=["parity"]), "gates.slices.0 is 'parity'"),
    (gates(slices=[Slice("parity", NAN)]), "gates.slices.0.floor is nan"),
    (gates(slices=[Slice("parity", 0.5), Slice("parity", 0.6)]), "gates.slices.1.column is 'parity'"),
    (gates(slices=[Slice("parity", 0.5, minimum_rows=0)]), "gates.slices.0.minimum_rows is 0"),
    (gates(slices=[Slice("parity", metric="speed")]), "gates.slices.0.metric is 'speed', which is none of"),
    (gates(golden="nowhere.json"), "gates.golden names 'nowhere.json', which is not beside the declaration"),
    (gates(golden="workload.py"), "gates.golden names 'workload.py', which is not JSON"),
    (gates(on_inconclusive="hold"), "gates.on_inconclusive is 'hold'"),
    ({"gates_by_source": {"web": Gates("right", NAN, 0.1, 10)}}, "gates_by_source.web.floor is nan"),
    ({"gates_by_source": {"web": Gates("distance", 1, 0.1, 10)}}, "gates_by_source.web.metric is 'distance'"),
    ({"parity": Parity("data:rows", -1)}, "parity.tolerance is -1"),
    ({"parity": Parity("train:reference", 1e-5)}, "parity.reference is 'train:reference', which names nothing"),
    ({"tier": "huge"}, "tier is 'huge', which is none of cpu-small"),
    ({"approval": "maybe"}, "approval is 'maybe'"),
    ({"owners": "team:mlops"}, "owners is 'team:mlops'"),
    ({"owners": ["somebody"]}, "owners.0 is 'somebody'; write team:<name> or an e-mail address"),
    ({"kinds": frozenset({"Big Data"})}, "kinds has 'Big Data'"),
    ({"retrain_after_hours": 0}, "retrain_after_hours is 0"),
    ({"replicas": 0}, "replicas is 0; it must be at least 1"),
    ({"parameters": Parameters()}, "parameters is Parameters"),
    ({"parameters": DataParameters}, "parameters is <class"),
    ({"parameters": Incomplete}, "parameters.depth has no default"),
    (data(parameters=OutOfBounds), "data.parameters.rows has the default 0"),
    (data(name="Echo-1"), "data.name is 'Echo-1'"),
    (data(fetch="fetch"), "data.fetch is 'fetch'; it must be written `module:name`"),
    (data(schema="data:nothing"), "data.schema is 'data:nothing', which names nothing: no 'nothing' in"),
    ({"train": None}, "train is None"),
    ({"train": "json:loads"}, "train is 'json:loads', which names nothing"),
    ({"plot": 1}, "plot is 1"),
]


@pytest.mark.parametrize(("changed", "message"), MISTAKES, ids=[message[:40] for _, message in MISTAKES])
def test_a_mistake_is_named_with_file_and_field(changed: dict[str, Any], message: str) -> None:
    check(echo, FILE)
    with pytest.raises(DeclarationError) as refused:
        check(replace(echo, **changed), FILE)
    assert f"{FILE}: {message}" in str(refused.value)


class Junk:
    """Of no type that a declaration may hold."""


PLACES = [
    *[(echo, field.name) for field in fields(Workload)],
    *[(echo.data, field.name) for field in fields(Data)],
    *[(echo.gates, field.name) for field in fields(Gates)],
    *[(echo.gates.slices[0], field.name) for field in fields(Slice)],
    *[(RIGHT, field.name) for field in fields(Metric)],
]


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(PLACES), value=st.sampled_from([Junk(), Junk, [Junk()], {"a": Junk()}, b"bytes", 1 + 2j]))
def test_a_wrong_type_anywhere_is_named(place: tuple[Any, str], value: object) -> None:
    of, field = place
    wrong = replace(of, **{field: value})
    changed = {
        Workload: lambda: wrong,
        Data: lambda: replace(echo, data=wrong),
        Gates: lambda: replace(echo, gates=wrong),
        Slice: lambda: replace(echo, gates=replace(echo.gates, slices=[wrong])),
        Metric: lambda: replace(echo, metrics=[wrong, *echo.metrics[1:]]),
    }[type(of)]()
    with pytest.raises(DeclarationError, match=rf"workload\.py: \S*{field}"):
        check(changed, FILE)


def test_a_folder_with_a_mistake_does_not_load(tmp_path: Path) -> None:
    """The way a person meets it: the definitions do not load, and the last line names the line of the mistake."""
    for name in ("__init__.py", "broken/__init__.py"):
        (tmp_path / "broken_models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "broken_models" / name).touch()
    file = tmp_path / "broken_models" / "broken" / "workload.py"
    file.write_text("from workloads.sdk.contract import Workload\n\nworkload = Workload(nmae='broken')\n")
    code = f"from pathlib import Path; from mlops_assets import build; build(Path({str(file.parent.parent)!r}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"{file}, line 3: TypeError" in run.stderr.splitlines()[-1]
    assert "'nmae'" in run.stderr.splitlines()[-1]


def test_two_workloads_with_one_dataset_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "twin_models"
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
        text = FILE.read_text().replace('name="echo"', f'name="{name}"').replace('golden="golden.json"', "")
        (folder / name / "workload.py").write_text(text)
        (folder / name / "__init__.py").touch()
        for module in ("data", "evaluate", "predict"):
            (folder / name / f"{module}.py").write_text((FILE.parent / f"{module}.py").read_text())
    (folder / "__init__.py").touch()
    with pytest.raises(DeclarationError, match=r"second/workload\.py: data\.name is 'echo', as that of the workload"):
        load(folder)


def test_golden_rows_are_read_when_the_declaration_is(tmp_path: Path) -> None:
    for text, why in (("{", "is not JSON"), ("[]", "no list of rows"), (json.dumps([{"request": {}}]), "row 0 is not")):
        (tmp_path / "golden.json").write_text(text)
        gates = replace(echo.gates, golden=str(tmp_path / "golden.json"))
        with pytest.raises(DeclarationError, match=f"gates.golden .*{why}"):
            check(replace(echo, gates=gates), FILE)


def test_a_package_without_a_declaration_is_no_workload() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"workload\.py"):
        workload_of("workloads.sdk.serving")
