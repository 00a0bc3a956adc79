"""What a digest of code covers: all that a thing is made or served by, and nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resources.settings import REPOSITORY

PRINT = """
import json, sys
from mlops_assets.lineage import code
from workloads.sdk.contract.loading import load
kinds = ("own_code", "training_code", "serving_code", "batch_code", "embedding_code")
declared = load(__import__("pathlib").Path("workloads").resolve())
print(json.dumps({one.name: {kind: getattr(code, kind)(one) for kind in kinds} for one in declared}))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to change."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("workloads", "resources", "mlops_assets"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def digests(tree: Path) -> dict[str, dict[str, str]]:
    run = subprocess.run([sys.executable, "-c", PRINT], cwd=tree, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


ALL = {"own_code", "training_code", "serving_code", "batch_code", "embedding_code"}
CHANGES = [
    ("workloads/sdk/artifacts.py", "wine", ALL - {"own_code"}, {"own_code"}),
    ("workloads/sdk/serving/replica.py", "wine", {"serving_code", "batch_code"}, {"own_code", "training_code"}),
    ("workloads/sdk/serving/http/docs.html", "wine", {"serving_code"}, {"training_code"}),
    ("workloads/sdk/programs/training/run.py", "wine", {"training_code"}, {"own_code", "serving_code"}),
    ("workloads/sdk/programs/batch/columns.py", "wine", {"batch_code"}, {"serving_code", "training_code"}),
    ("workloads/sdk/kits/texts/texts.py", "text", ALL, set()),
    ("workloads/sdk/kits/texts/texts.py", "wine", set(), ALL - {"embedding_code"}),
    ("workloads/wine/golden.json", "wine", ALL, set()),
    ("workloads/wine/golden.json", "iris", set(), ALL),
    ("workloads/rag/prompt.md", "rag", {"own_code", "serving_code"}, set()),
    ("workloads/wine/deeper/still/rules.py", "wine", ALL, set()),
    ("workloads/wine/__pycache__/train.cpython-311.pyc", "wine", set(), ALL),
]


@pytest.mark.parametrize(("path", "workload", "changes", "stays"), CHANGES, ids=[one[0] for one in CHANGES])
def test_a_change_shows_where_it_counts(
    tree: Path, path: str, workload: str, changes: set[str], stays: set[str]
) -> None:
    before, file = digests(tree)[workload], tree / path
    there, old = file.exists(), file.read_bytes() if file.exists() else b""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.write_bytes(old + b"\n")
        after = digests(tree)[workload]
    finally:
        file.write_bytes(old) if there else file.unlink()
    assert {kind for kind in changes if before[kind] == after[kind]} == set()
    assert {kind for kind in stays if before[kind] != after[kind]} == set()
