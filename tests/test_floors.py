"""What the floors may not know of each other; loading the graph imports no heavy library."""

import ast
import json
import re
import subprocess
import sys

from import_graph import files, path_of

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
OF_CLASSIFIERS = ("accuracy", "image", "label", "classifier")


def test_only_the_settings_read_the_environment() -> None:
    told = {"PATH", "DAGSTER_IS_DEV_CLI", "RAY_ADDRESS"}  # what the system, Dagster and Ray say; no settings of ours
    read = re.compile(r"""(?:environ\.get\(|environ\[|getenv\()\s*["'](\w+)["']""")
    for file in files():
        path = path_of(file)
        if path != "resources/settings.py":
            assert set(read.findall(file.read_text())) <= told, f"{path} reads the environment"


def test_nothing_outside_of_workloads_knows_what_a_model_does() -> None:
    for file in files():
        path = path_of(file)
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
