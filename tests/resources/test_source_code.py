"""Files that code consists of: as Python's own parser sees the imports, and everything that really is imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from resources.settings import REPOSITORY
from resources.source_code import closure, imports

FILES = [
    file for room in ("workloads", "resources", "mlops_assets") for file in sorted((REPOSITORY / room).rglob("*.py"))
]


def parsed(file: Path) -> set[str]:
    """Names that a file imports, by Python's parser; of `from a import b` both `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_no_import_of_this_project_is_overlooked() -> None:
    for file in FILES:
        assert parsed(file) <= set(imports(file, 0, "none")), file


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import a.b, c as d", {"a.b", "c"}),
        ("from a import (\n    b,  # why\n    c as d,\n)\n", {"a", "a.b", "a.c"}),
        ("def f():\n    from .near import x", {"pack.age.near", "pack.age.near.x"}),
        ("from .. import y", {"pack", "pack.y"}),
        ("from ..z import y as w", {"pack.z", "pack.z.y"}),
    ],
)
def test_every_form_of_an_import(tmp_path: Path, text: str, names: set[str]) -> None:
    file = tmp_path / "module.py"
    file.write_text(text)
    assert names <= set(imports(file, 0, "pack.age"))


def test_what_a_module_loads_is_among_its_files() -> None:
    code = "import sys, workloads.sdk.serving.replica, workloads.wine.data; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = {name for name in run.stdout.split() if name.partition(".")[0] == "workloads"}
    found = closure(["workloads.sdk.serving.replica", "workloads.wine.data"])
    paths = {path.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".") for path in found}
    assert loaded <= paths
    assert "workloads.sdk.kits.texts.transformers" not in paths
