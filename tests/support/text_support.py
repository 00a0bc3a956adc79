"""Small real texts to train on: docstrings of the ten libraries, fewer than the workload takes."""

from pathlib import Path

import pytest

from workloads.sdk.contract.loading import workload_of
from workloads.text import libraries

TEXT = workload_of("workloads.text")


def made(folder: Path, each: int = 120, **parameters) -> Path:
    """The folder with the splits of `each` texts of a library, made by the workload's own pipeline."""
    given = TEXT.data.parameters(**parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libraries, "EACH", each)
        for step in ("raw", "processed"):
            (folder / step).mkdir()
        TEXT.resolve(TEXT.data.fetch)(given, folder / "raw")
        TEXT.resolve(TEXT.data.process)(given, folder / "raw", folder / "processed")
    return folder / "processed"
