"""What the tests of training and of the workloads share: splits to train on, specs, and the program itself."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from workloads.sdk.artifacts import sha256
from workloads.sdk.contract import TEST, TRAIN, VALIDATION
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.spec import InputFile, Spec

REPOSITORY = Path(__file__).parents[2]


def splits_of_wine(folder: Path) -> Path:
    """The folder with wine's splits, made by its own pipeline."""
    wine = workload_of("workloads.wine")
    parameters = wine.data.parameters()
    for step in ("raw", "processed"):
        (folder / step).mkdir()
    wine.resolve(wine.data.fetch)(parameters, folder / "raw")
    wine.resolve(wine.data.process)(parameters, folder / "raw", folder / "processed")
    return folder / "processed"


def spec_of(splits: Path, package: str = "workloads.wine", **changed) -> Spec:
    """A spec for the files of a folder; five trees unless changed."""
    data = {
        split: InputFile(path=splits / f"{split}.parquet", sha256=sha256(splits / f"{split}.parquet"))
        for split in (TRAIN, VALIDATION, TEST)
    }
    return Spec(**{"package": package, "data": data, "parameters": {"trees": 5}, **changed})


def program(
    *arguments: str | Path, module: str = "workloads.wine.train", folder: Path = REPOSITORY, **environment: str
) -> subprocess.Popen:
    """`python -m <module> <arguments>` in a folder, running."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{REPOSITORY}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_named(text: str) -> list[psutil.Process]:
    """The processes below this one whose command line holds a text."""

    def command(process: psutil.Process) -> str:
        try:
            return " ".join(process.cmdline())
        except psutil.Error:  # it ends just now
            return ""

    return [process for process in psutil.Process().children(recursive=True) if text in command(process)]
