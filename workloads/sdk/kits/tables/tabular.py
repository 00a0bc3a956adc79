"""Tables: rows of numbers (float32 columns), and what is to be told from them (the column `target`).

A `Table` declares columns, their ranges and the target, and is the pipeline of such data from one CSV file on. A row's
identity is its numbers, so its split follows from them alone, and rows alike in all of them are one row. A split
describes itself: its features are all columns except `row_id` and `target`.
"""

import csv
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk.contract import Fetched
from workloads.sdk.dataset import ROW_ID, TARGET, describe_splits, identity, read_split, split_of, write_split
from workloads.sdk.kits import splits
from workloads.sdk.kits.parameters import TableParameters
from workloads.sdk.kits.tables import tablefile

SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Table:
    """What a table holds, and its pipeline (`fetch` puts one CSV file into `raw`, see `copied` and `bundled`).

    Attributes:
        target: the column that is to be told, as the CSV file calls it; a split calls it `target`.
        columns: the features, each with the smallest and the largest value that it can have.
        classes: the values of the target; None where it is a number.
    """

    target: str
    columns: Mapping[str, tuple[float, float]]
    classes: Sequence[str] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return list(self.columns)

    def process(self, parameters: TableParameters, raw: Path, out: Path) -> None:
        """Write the splits of the table's file in `raw`. Raises ValueError naming the line that is wrong."""
        table = tablefile.read(tablefile.of(raw))
        values = np.column_stack([table.numbers(name) for name in self.columns])
        targets = table.numbers(self.target) if self.classes is None else table.texts(self.target)
        self.split(values, targets, parameters, out)

    def split(self, values: np.ndarray, targets: Sequence[Any], parameters: TableParameters, out: Path) -> None:
        """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`.

        Args:
            values: float64 of shape (rows, features), in the order of `columns`.
            targets: a string or number for each row.
        """
        # Rows alike in all features are one row; where their targets differ, the first in order is kept.
        numbers = values.astype(np.float32)
        rows = sorted(zip((identity(row.tobytes()) for row in numbers), targets, range(len(targets)), strict=True))
        first: dict[str, int] = {}
        for row, _, position in rows:
            first.setdefault(row, position)
        ids, order = list(first), list(first.values())
        features, wanted = numbers[order], np.asarray(targets)[order]
        for split in splits.divide(ids, wanted, [split_of(row, SHARES) for row in ids], parameters, self.classes):
            columns = {column: features[split.chosen, at] for at, column in enumerate(self.columns)}
            write_split({ROW_ID: split.ids, **columns, TARGET: split.targets.tolist()}, out / f"{split.name}.parquet")
        found = {
            "rows_read": len(rows),
            "duplicates_dropped": len(rows) - len(ids),
            "of_these_with_another_target": len({(row, target) for row, target, _ in rows}) - len(ids),
        }
        splits.keep_findings(found, out)

    def describe(self, parameters: TableParameters, processed: Path) -> dict[str, Any]:
        """Schema, splits, statistics, and what was found while processing."""
        return {**describe_splits(processed), **splits.findings(processed)}

    def schema(self) -> Any:
        """What every split must satisfy, a pandera `DataFrameSchema`."""
        return schema_of(self)


def schema_of(*tables: Table) -> Any:
    """What every split must satisfy that is of one of the tables, a pandera `DataFrameSchema`."""
    from pandera import pandas as pa

    ranges = {name: bounds for table in tables for name, bounds in table.columns.items()}
    classes = [name for table in tables for name in table.classes or ()]
    target = pa.Column(str, pa.Check.isin(classes)) if classes else pa.Column("float64")
    whole = pa.Check(
        lambda frame: set(frame.columns) - {ROW_ID, TARGET} in [set(table.columns) for table in tables],
        error=f"the columns are those of {'the table' if len(tables) == 1 else 'one of the tables'}",
    )
    return pa.DataFrameSchema(
        {
            ROW_ID: pa.Column(str, pa.Check.str_length(64, 64), unique=True),
            TARGET: target,
            **{name: pa.Column("float32", pa.Check.in_range(*r), required=False) for name, r in ranges.items()},
        },
        checks=whole,
        strict=True,
    )


# --- where rows come from -------------------------------------------------------------------------------------------


def copied(file: Path, out: Path) -> Fetched:
    """Put a copy of a table's file into `out`. Raises ValueError where it cannot be read."""
    try:
        shutil.copyfile(file, out / file.name)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}; name another file") from None
    return Fetched(source="csv", uri=file.resolve().as_uri())


def bundled(name: str, out: Path) -> Fetched:
    """Put one of the small real datasets that scikit-learn carries (`iris`, `diabetes`) into `out`, as `<name>.csv`."""
    import sklearn
    from sklearn import datasets

    given = {"scaled": False} if name == "diabetes" else {}  # in the units that were measured
    data = getattr(datasets, f"load_{name}")(**given)
    classes = getattr(data, "target_names", None)
    with (out / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*data.feature_names, TARGET])
        for values, target in zip(data.data.tolist(), data.target.tolist(), strict=True):
            writer.writerow([*map(repr, values), repr(target) if classes is None else classes[target]])
    uri = f"sklearn.datasets.load_{name} (scikit-learn {sklearn.__version__})"
    return Fetched(source="scikit-learn", uri=uri)


# --- reading a split ------------------------------------------------------------------------------------------------


def features(split: Path) -> tuple[np.ndarray, list[str]]:
    """Features float32 of shape (rows, k), and their k names."""
    columns = read_split(split)
    names = [name for name in columns.column_names if name not in (ROW_ID, TARGET)]
    return np.column_stack([columns[name].to_numpy() for name in names]).astype(np.float32, copy=False), names


def targets(split: Path) -> np.ndarray:
    """Targets of shape (rows,): strings where they are classes, else float64."""
    return np.asarray(read_split(split, [TARGET])[TARGET].to_pylist())


def rows(split: Path) -> np.ndarray:
    """The whole split as model inputs, float32 of shape (rows, k)."""
    return features(split)[0]


def example(split: Path, rows: int) -> dict[str, Any]:
    """A request's body made of the first rows: `{"features": [[...], ...]}`."""
    return {"features": features(split)[0][:rows].tolist()}
