"""The rooms stand on each other, and an import only goes down; loading the graph imports no heavy library."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resources.settings import REPOSITORY

HEAVY = (
    "torch",
    "ray",
    "transformers",
    "lightning",
    "langchain",
    "sklearn",
    "mlflow",
    "pandas",
    "pyarrow",
    "onnxruntime",
    "streamlit",
)
ROOMS = ("workloads", "resources", "mlops_assets", "jobs", "sensors", "faces")
FACES = (
    "mlops_assets/assembly.py",
    "mlops_assets/definitions.py",
    "mlops_assets/cli.py",
    "mlops_assets/commands/",
    "mlops_assets/playground/",
)
OF_CLASSIFIERS = ("accuracy", "image", "label", "classifier")


def modules() -> list[Path]:
    return [file for room in ROOMS[:-1] for file in sorted((REPOSITORY / room).rglob("*.py"))]


def floor_of(file: Path) -> int:
    path = file.relative_to(REPOSITORY).as_posix()
    return ROOMS.index("faces") if path.startswith(FACES) else ROOMS.index(path.split("/")[0])


def imports(file: Path) -> set[str]:
    """Modules of this project that a file imports anywhere, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ROOMS}


def target(name: str) -> Path | None:
    path = REPOSITORY.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(REPOSITORY).as_posix())
def test_imports_only_go_down(file: Path) -> None:
    if file == REPOSITORY / "mlops_assets/__init__.py":
        return  # the package's front resource: hands on to the assembly when it is called
    for name in imports(file):
        imported = target(name)
        if imported:
            assert floor_of(imported) <= floor_of(file), f"{file} imports {name}, which stands on a higher floor"


def test_only_the_settings_read_the_environment() -> None:
    told = {"PATH", "DAGSTER_IS_DEV_CLI", "RAY_ADDRESS"}  # what the system, Dagster and Ray say; no settings of ours
    read = re.compile(r"""(?:environ\.get\(|environ\[|getenv\()\s*["'](\w+)["']""")
    for file in modules():
        path = file.relative_to(REPOSITORY).as_posix()
        if path != "resources/settings.py":
            assert set(read.findall(file.read_text())) <= told, f"{path} reads the environment"


def test_nothing_outside_of_workloads_knows_what_a_model_does() -> None:
    for file in modules():
        path = file.relative_to(REPOSITORY).as_posix()
        if path.startswith("mlops_assets/playground/"):
            continue  # where what is put in is a picture, people draw one
        if path.startswith("workloads/") and not path.startswith(("workloads/sdk/contract/", "workloads/sdk/serving/")):
            continue
        names = {
            node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else str(node.value)
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Name | ast.Attribute | ast.Constant)
        }
        words = {word for name in names if len(name) < 40 for word in name.lower().replace("_", " ").split()}
        assert not words & set(OF_CLASSIFIERS), f"{path} mentions {words & set(OF_CLASSIFIERS)}"


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = "import json, sys, mlops_assets.definitions; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout.splitlines()[-1]))
    assert "mlops_assets.assets.models" in loaded
    assert not loaded & set(HEAVY)


def test_the_command_line_imports_no_dagster_before_it_needs_it() -> None:
    code = "import json, sys, mlops_assets.cli; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert not set(json.loads(run.stdout.splitlines()[-1])) & {"dagster", *HEAVY}
