"""The wine data: measurements of a wine (float32 columns), and what is to be told from them (the column `target`).

Two sources with different columns and targets, so a split describes itself: its features are all columns except
`row_id` and `target`. A wine's split follows from its measurements alone.
"""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from workloads.contract import TEST, Fetched
from workloads.data import (
    ROW_ID,
    SPLITS,
    TARGET,
    describe_splits,
    download,
    first_rows,
    harmed,
    identity,
    read_split,
    split_of,
    write_split,
)
from workloads.wine.data_parameters import WineData

SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}
QUALITY_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality"
QUALITY_FILES = {  # rows and sha256 of each file as published
    "winequality-red.csv": (1599, "4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e"),
    "winequality-white.csv": (4898, "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836"),
}
LABELS = {"scikit-learn": ("class_0", "class_1", "class_2"), "quality": tuple("3456789")}

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
    import sklearn
    from sklearn.datasets import load_wine

    wine = load_wine()
    with (out / "wine.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*wine.feature_names, TARGET])
        for values, target in zip(wine.data.tolist(), wine.target, strict=True):
            writer.writerow([*map(repr, values), wine.target_names[target]])
    return Fetched(source="scikit-learn", uri=f"sklearn.datasets.load_wine (scikit-learn {sklearn.__version__})")


def process(parameters: WineData, raw: Path, out: Path) -> None:
    """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`."""
    names, values, targets = _read_raw(parameters, raw)
    # Wines alike in all measurements are one wine; where their targets differ, the first in order is kept.
    rows = sorted(
        zip((identity(row.tobytes()) for row in values.astype(np.float32)), targets, range(len(targets)), strict=True)
    )
    first: dict[str, int] = {}
    for row, _, position in rows:
        first.setdefault(row, position)
    ids, order = list(first), list(first.values())
    features, labels = values[order].astype(np.float32), np.asarray(targets)[order]
    splits = np.asarray([split_of(row, SHARES) for row in ids])
    learned = np.flatnonzero(splits != TEST)
    kept = learned[first_rows([ids[i] for i in learned], parameters.rows)]
    for split in SPLITS:
        chosen = np.flatnonzero(splits == TEST) if split == TEST else kept[splits[kept] == split]
        row_ids, target = [ids[i] for i in chosen], labels[chosen]
        if split != TEST and parameters.corruption:
            target = harmed(row_ids, target, parameters.corruption, parameters.seed, LABELS[parameters.source])
        columns = {name: features[chosen, column] for column, name in enumerate(names)}
        write_split({ROW_ID: row_ids, **columns, TARGET: target.tolist()}, out / f"{split}.parquet")
    findings = {
        "rows_read": len(rows),
        "duplicates_dropped": len(rows) - len(ids),
        "of_these_with_another_target": len({(row, target) for row, target, _ in rows}) - len(ids),
    }
    (out / "findings.json").write_text(json.dumps(findings))


def _read_raw(parameters: WineData, raw: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Feature names, values of shape (rows, features) float64, and targets."""
    if parameters.source == "scikit-learn":
        header, lines = _read_csv((raw / "wine.csv").read_text(), ",")
        return header[:-1], np.asarray([line[:-1] for line in lines], dtype=np.float64), [line[-1] for line in lines]
    names, values, targets = list(QUALITY_RANGES), [], []
    for kind, (file, (expected, _)) in enumerate(QUALITY_FILES.items()):  # 0: red, 1: white
        header, lines = _read_csv((raw / file).read_text(), ";")
        if [*(name.replace(" ", "_") for name in header[:-1]), "wine_type"] != names or header[-1] != "quality":
            raise ValueError(f"{file} has columns {header}; expected the published ones")
        if len(lines) != expected:
            raise ValueError(f"{file} has {len(lines)} rows, expected {expected}")
        values += [[*map(float, line[:-1]), kind] for line in lines]
        targets += [line[-1] for line in lines]
    return names, np.asarray(values, dtype=np.float64), targets


def _read_csv(text: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    header, *lines = csv.reader(io.StringIO(text), delimiter=delimiter)
    return header, [line for line in lines if line]


def describe(parameters: WineData, processed: Path) -> dict[str, Any]:
    """Schema, splits, statistics, and what was found while processing."""
    return {**describe_splits(processed), "findings": json.loads((processed / "findings.json").read_text())}


def schema() -> Any:
    """What every split must satisfy (a pandera `DataFrameSchema`), whichever source it came from."""
    from pandera import pandas as pa

    ranges = {**CULTIVAR_RANGES, **QUALITY_RANGES}
    whole = pa.Check(
        lambda frame: set(frame.columns) - {ROW_ID, TARGET} in (set(CULTIVAR_RANGES), set(QUALITY_RANGES)),
        error="the measurements are those of one of the two sources",
    )
    labels = [label for source in LABELS.values() for label in source]
    return pa.DataFrameSchema(
        {
            ROW_ID: pa.Column(str, pa.Check.str_length(64, 64), unique=True),
            TARGET: pa.Column(str, pa.Check.isin(labels)),
            **{name: pa.Column("float32", pa.Check.in_range(*r), required=False) for name, r in ranges.items()},
        },
        checks=whole,
        strict=True,
    )


# --- reading --------------------------------------------------------------------------------------------------------


def table(split: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features float32 of shape (rows, k), targets (strings) of shape (rows,), and the k feature names."""
    values, names = features(split)
    return values, targets(split), names


def features(split: Path) -> tuple[np.ndarray, list[str]]:
    """Features float32 of shape (rows, k), and their k names."""
    columns = read_split(split)
    names = [name for name in columns.column_names if name not in (ROW_ID, TARGET)]
    return np.column_stack([columns[name].to_numpy() for name in names]).astype(np.float32, copy=False), names


def targets(split: Path) -> np.ndarray:
    """Targets of shape (rows,), strings: `class_0` to `class_2`, or a quality from `3` to `9`."""
    return np.asarray(read_split(split, [TARGET])[TARGET].to_pylist())


def rows(split: Path) -> np.ndarray:
    """The whole split as model inputs, float32 of shape (rows, k)."""
    return features(split)[0]


def example(split: Path, rows: int) -> dict[str, Any]:
    """A request's body made of the first rows: `{"features": [[...], ...]}`."""
    return {"features": features(split)[0][:rows].tolist()}
