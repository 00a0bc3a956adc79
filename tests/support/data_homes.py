"""A data registry of real Git and DVC with two versions of wine, made once a session, and copies to do harm to."""

import os
import shutil
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from resources.registry import DataRegistry
from resources.settings import Settings
from workloads.sdk.contract import Workload
from workloads.sdk.contract.loading import workload_of


@pytest.fixture(scope="session")
def wine() -> Workload:
    return workload_of("workloads.wine")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, wine: Workload) -> DataRegistry:
    """wine 1.0.0, and 1.1.0 with corrupted training rows."""
    registry = DataRegistry(Settings(home=tmp_path_factory.mktemp("data") / "home"))
    registry.release(wine)
    registry.release(wine, bump="minor", parameters={"corruption": 0.6})
    return registry


@pytest.fixture
def spare(released: DataRegistry, tmp_path: Path) -> DataRegistry:
    """A copy of the registry in a home of its own, to do anything with."""
    shutil.copytree(released.settings.home, tmp_path / "home", symlinks=True)
    return DataRegistry(Settings(home=tmp_path / "home"))


@pytest.fixture
def git_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each process of Git that is started from here."""
    calls, git = tmp_path / "calls.txt", shutil.which("git")
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {git} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    return calls


def own_workload(folder: Path, name: str, fetch: str) -> Workload:
    """A workload of another repository, with three rows and a `fetch` of the given body."""
    package = folder / "theirs" / name
    package.mkdir(parents=True)
    modules = {
        "../__init__": "",
        "__init__": "",
        "rows": "ROWS = {'train': 'a', 'validation': 'b', 'test': 'c'}",
        "train": "def train(job): ...",
        "predict": "class Predictor: ...",
        "evaluate": "def evaluate(outputs, split): ...",
        "workload": f"""
            from workloads.sdk.contract import Data, Gates, Metric, Parameters, Workload
            workload = Workload(
                name={name!r}, description="Rows.", data=Data({name!r}, "Three rows."), parameters=Parameters,
                metrics=[Metric("m", "")], gates=Gates("m", 0, 1, 1), plot=None,
            )
        """,
        "data": f"""
            from theirs.{name}.rows import ROWS
            from workloads.sdk.contract import Fetched
            from workloads.sdk.dataset import describe_splits, write_split
            def fetch(parameters, out):
                {fetch}
                return Fetched("made", "here")
            def process(parameters, raw, out):
                for split, row in ROWS.items():
                    write_split({{"row_id": [row], "target": [1.5]}}, out / f"{{split}}.parquet")
            def describe(parameters, processed):
                return describe_splits(processed)
            def schema(): ...
            def rows(split): ...
            def example(split, rows): ...
        """,
    }
    for module, text in modules.items():
        (package / f"{module}.py").write_text(dedent(text))
    for module in [module for module in sys.modules if module.partition(".")[0] == "theirs"]:
        del sys.modules[module]
    sys.path.insert(0, str(folder))
    try:
        return workload_of(f"theirs.{name}")
    finally:
        sys.path.remove(str(folder))
