"""The wine data: measurements of a wine (float32 columns), and what is to be told from them (the column `target`).

Two sources with different columns and targets, each a table; a split's columns say which it is of.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk.contract import Fetched
from workloads.sdk.dataset import download
from workloads.sdk.kits.tables import tablefile
from workloads.sdk.kits.tables.column import Column
from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.kits.tables.rows import Rows
from workloads.sdk.kits.tables.tabular import Table, bundled, example, rows, schema_of, targets
from workloads.wine.data_parameters import WineData

__all__ = ["classes_of", "describe", "example", "fetch", "process", "rows", "schema", "targets"]

QUALITY_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality"
QUALITY_FILES = {  # rows and sha256 of each file as published
    "winequality-red.csv": (1599, "4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e"),
    "winequality-white.csv": (4898, "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836"),
}

# Smallest and largest value that a measurement can have, with room around what was seen.
CULTIVAR_RANGES = {
    "alcohol": (5, 20), "malic_acid": (0, 15), "ash": (0, 10), "alcalinity_of_ash": (0, 60), "magnesium": (0, 400),
    "total_phenols": (0, 10), "flavanoids": (0, 15), "nonflavanoid_phenols": (0, 5), "proanthocyanins": (0, 10),
    "color_intensity": (0, 40), "hue": (0, 5), "od280/od315_of_diluted_wines": (0, 10), "proline": (0, 4000),
}  # fmt: skip
QUALITY_RANGES = {
    "fixed_acidity": (0, 40), "volatile_acidity": (0, 5), "citric_acid": (0, 5), "residual_sugar": (0, 200),
    "chlorides": (0, 2), "free_sulfur_dioxide": (0, 600), "total_sulfur_dioxide": (0, 1000), "density": (0.9, 1.2),
    "pH": (1, 7), "sulphates": (0, 5), "alcohol": (5, 20), "wine_type": (0, 1),
}  # fmt: skip


def _numbers(ranges: Mapping[str, tuple[float, float]]) -> dict[str, Column]:
    return {name: Number(low, high) for name, (low, high) in ranges.items()}


TABLES = {
    "scikit-learn": Table("target", _numbers(CULTIVAR_RANGES), ("class_0", "class_1", "class_2")),
    "quality": Table("quality", _numbers(QUALITY_RANGES), tuple("3456789")),
}


# --- the pipeline ---------------------------------------------------------------------------------------------------


def fetch(parameters: WineData, out: Path) -> Fetched:
    """Put the raw files of the chosen source into `out`.

    Raises:
        ConnectionError: the host of the wine-quality set is away; the other source never takes its place.
        ValueError: what was downloaded is not what was published.
    """
    if parameters.source == "quality":
        for name, (_, sha256) in QUALITY_FILES.items():
            try:
                content = download(f"{QUALITY_URL}/{name}")
            except ConnectionError as error:
                raise ConnectionError(f"{error}; try again later, or ask for the other source, scikit-learn") from error
            if (actual := hashlib.sha256(content).hexdigest()) != sha256:
                raise ValueError(f"{QUALITY_URL}/{name} has sha256 {actual}, expected {sha256}; it was not used")
            (out / name).write_bytes(content)
        return Fetched(source="quality", uri=QUALITY_URL)
    return bundled("wine", out)


def process(parameters: WineData, raw: Path, out: Path) -> None:
    """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`."""
    table = TABLES[parameters.source]
    if parameters.source == "scikit-learn":
        table.process(parameters, raw, out)
    else:
        table.split(*_read_quality(raw), parameters, out)


def _read_quality(raw: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Values by column, and targets."""
    columns, values, targets = TABLES["quality"].columns, [], []
    for kind, (name, (expected, _)) in enumerate(QUALITY_FILES.items()):  # 0: red, 1: white
        file = tablefile.read(raw / name)
        if [*(column.replace(" ", "_") for column in file.header[:-1]), "wine_type"] != list(columns):
            raise ValueError(f"{name} has columns {file.header}; expected the published ones")
        if len(file.rows) != expected:
            raise ValueError(f"{name} has {len(file.rows)} rows, expected {expected}")
        numbers = [file.numbers(column) for column in file.header[:-1]]
        values.append(np.column_stack([*numbers, np.full(expected, kind)]))
        targets += file.texts("quality")
    return dict(zip(columns, np.concatenate(values).T, strict=True)), np.asarray(targets, object)


def describe(parameters: WineData, processed: Path) -> dict[str, Any]:
    """Schema, splits, statistics, and what was found while processing."""
    return TABLES[parameters.source].describe(parameters, processed)


def schema() -> Any:
    """What every split must satisfy (a pandera `DataFrameSchema`), whichever source it came from."""
    return schema_of(*TABLES.values())


def classes_of(inputs: Rows) -> Sequence[str]:
    """All classes of the source that rows are of; column k of the outputs is class k."""
    return next(table.classes or () for table in TABLES.values() if len(table.columns) == inputs.numbers.shape[1])
