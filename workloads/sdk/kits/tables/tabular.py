"""Tables: columns of any kind (`columns.py`), and what is to be told from them (the column `target`).

A `Table` declares its columns and the target, and is the pipeline of such data from one file on. Rows that a model
cannot tell apart share a split, which follows from what it sees of them alone. A split describes itself: the
declaration of its columns stands in the file.
"""

import csv
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk import findings
from workloads.sdk.contract import Fetched
from workloads.sdk.dataset import (
    ROW_ID,
    TARGET,
    about_split,
    describe_splits,
    identity,
    read_split,
    split_of,
    write_split,
)
from workloads.sdk.kits import splits
from workloads.sdk.kits.parameters import TableParameters
from workloads.sdk.kits.tables import tablefile
from workloads.sdk.kits.tables.cells import Cells
from workloads.sdk.kits.tables.column import Column, missing
from workloads.sdk.kits.tables.columns import Number, column_of
from workloads.sdk.kits.tables.rows import Columns, Rows, of_values
from workloads.sdk.kits.tables.telling import giving_away, telling
from workloads.sdk.kits.tables.understand import described

SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}
RARE = 10  # rows below which a class is reported


@dataclass(frozen=True)
class Table:
    """What a table holds, and its pipeline (`fetch` puts one file into `raw`, see `copied` and `bundled`).

    Attributes:
        target: the column that is to be told, as the file calls it; a split calls it `target`.
        columns: all others, by what they hold.
        classes: the values of the target; None where it is a number.
        number: how that number is written.
        spread: for classes of few rows, a number by which some of these fall into each split.
    """

    target: str
    columns: Columns
    classes: Sequence[str] | None = None
    number: Number = field(default_factory=Number)
    spread: Mapping[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> dict[str, Column]:
        """The columns that a split holds."""
        return {name: column for name, column in self.columns.items() if column.kept}

    def process(self, parameters: TableParameters, raw: Path, out: Path) -> None:
        """Write the splits of the table's file in `raw`. Raises ValueError naming the line that is wrong."""
        table = tablefile.read(tablefile.of(raw))
        values, targets = self.read(table)
        shares = telling(self.kept, values, targets, self.classes is not None)
        columns = [
            replace(described(table, name, column), alone=shares.get(name)).facts()
            for name, column in self.columns.items()
            if column.kept or name in table.header
        ]
        found: dict[str, Any] = {"columns": columns, "give_the_target_away": giving_away(self.columns, shares)}
        if more := [name for name in table.header if name not in self.columns and name != self.target]:
            found["columns_not_declared"] = more
        self.split(values, targets, parameters, out, found)

    def read(self, table: Cells) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Values by column and targets, of all rows; "" or NaN where a target is missing. Raises ValueError."""
        values = {name: table.values(name, column) for name, column in self.kept.items()}
        if self.classes is None:
            return values, table.values(self.target, self.number)
        told = ["" if missing(cell) and cell not in self.classes else cell for cell in table.column(self.target)]
        return values, np.asarray(told, object)

    def split(
        self,
        values: Mapping[str, np.ndarray],
        targets: np.ndarray,
        parameters: TableParameters,
        out: Path,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """Write `<split>.parquet` and `findings.json` (what was dropped, classes of few rows) into `out`.

        A row is named by what a model sees of it; rows that are alike in that, by all of their columns.

        Args:
            values: of each column that is kept, shape (rows,).
            targets: strings or float64 of shape (rows,); rows whose target is missing are dropped.
            known: more findings.
        """
        told = np.flatnonzero([target == target and target != "" for target in targets.tolist()])
        seen = looks(of_values(self.columns, values)[told])
        columns = [values[name][told].tolist() for name in self.kept]
        wholes = list(map(repr, zip(*columns, targets[told].tolist(), strict=True)))
        keep = parameters.duplicates == "keep"
        ids: dict[str, int] = {}  # the position of each row that is kept, by its identity
        fates, alike, contrary = [], 0, 0
        order = sorted(range(len(told)), key=lambda row: (seen[row], wholes[row], row))
        for look, group in groupby(order, key=seen.__getitem__):
            members = {whole: told[list(same)].tolist() for whole, same in groupby(group, key=wholes.__getitem__)}
            named = _named(look, members, keep)
            ids |= named
            fates += [self._fate(look, {targets[rows[0]] for rows in members.values()})] * len(named)
            alike += sum(len(rows) - 1 for rows in members.values())
            contrary += len({targets[rows[0]] for rows in members.values()}) > 1
        chosen = np.asarray(list(ids.values()), np.int64)
        wanted = targets[chosen] if self.classes is None else targets[chosen].astype(str)
        about = {"columns": {name: column.declared() for name, column in self.kept.items()}}
        names = [name for name, column in self.kept.items() if not column.learned]
        for split in splits.divide(list(ids), wanted, fates, parameters, self.classes):
            of = chosen[split.chosen]
            stored = {name: column.stored(values[name][of]) for name, column in self.kept.items()}
            whole_rows = {ROW_ID: split.ids, **stored, TARGET: split.targets.tolist()}
            write_split(whole_rows, out / f"{split.name}.parquet", about=about, names=names)
        counts = Counter(wanted.tolist() if self.classes is not None else ())
        found = {
            "rows_read": len(targets),
            "rows_without_target": len(targets) - len(told),
            f"duplicates_{'kept' if keep else 'dropped'}": alike,
            "alike_with_another_target": contrary,
            "classes_of_few_rows": {name: count for name, count in sorted(counts.items()) if count < RARE},
        }
        findings.keep(found | dict(known or {}), out)

    def _fate(self, look: str, told: set[Any]) -> str:
        """The split of the rows that look so, of which this is to be told."""
        salt = self.spread.get(next(iter(told))) if len(told) == 1 else None
        return split_of(look if salt is None else identity(look.encode(), str(salt).encode()), SHARES)

    def describe(self, parameters: TableParameters, processed: Path) -> dict[str, Any]:
        """Schema, splits, statistics, and what was found while processing."""
        return {**describe_splits(processed), "findings": findings.read(processed)}

    def schema(self) -> Any:
        """What every split must satisfy, a pandera `DataFrameSchema`."""
        return schema_of(self)


def _named(look: str, members: Mapping[str, Sequence[int]], keep: bool) -> dict[str, int]:
    """The rows that look so, by their identities: the look itself, or one of all columns where it is not enough.

    Args:
        members: positions of the rows that are alike in all columns, by these.
        keep: all of them, else the first.
    """
    found = {}
    for whole, rows in members.items():
        for nth, row in enumerate(rows if keep else rows[:1]):
            alone = len(members) == 1 and nth == 0
            found[look if alone else identity(look.encode(), whole.encode(), str(nth).encode())] = row
    return found


def looks(rows: Rows) -> list[str]:
    """What a model sees of each row, as an identity."""
    numbers = np.where(np.isnan(rows.numbers), np.float32(np.nan), rows.numbers)  # any NaN is the same
    if not rows.words.shape[1]:
        return [identity(row.tobytes()) for row in numbers]
    words = ["\0".join(row).encode() for row in rows.words]
    return [identity(row.tobytes(), own) for row, own in zip(numbers, words, strict=True)]


def schema_of(*tables: Table) -> Any:
    """What every split must satisfy that is of one of the tables, a pandera `DataFrameSchema`."""
    from pandera import pandas as pa

    columns = {name: column for table in tables for name, column in table.kept.items()}
    classes = [name for table in tables for name in table.classes or ()]
    target = pa.Column(str, pa.Check.isin(classes)) if classes else pa.Column("float64")
    whole = pa.Check(
        lambda frame: set(frame.columns) - {ROW_ID, TARGET} in [set(table.kept) for table in tables],
        error=f"the columns are those of {'the table' if len(tables) == 1 else 'one of the tables'}",
    )
    return pa.DataFrameSchema(
        {
            ROW_ID: pa.Column(str, pa.Check.str_length(64, 64), unique=True),
            TARGET: target,
            **{name: pa.Column(required=False, nullable=True, **_asked(column)) for name, column in columns.items()},
        },
        checks=whole,
        strict=True,
    )


def _asked(column: Column) -> dict[str, Any]:
    """What pandera looks at in a column; the others' types stand in the file."""
    from pandera import pandas as pa

    if not isinstance(column, Number):
        return {}
    return {"dtype": "float32", "checks": pa.Check.in_range(column.low, column.high)}


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


def columns_of(split: Path) -> dict[str, Column]:
    """The columns of a split, without identity and target; numbers where the file does not say what they are."""
    about = about_split(split)
    if "columns" in about:
        return {name: column_of(declared) for name, declared in about["columns"].items()}
    return {name: Number() for name in read_split(split).column_names if name not in (ROW_ID, TARGET)}


def targets(split: Path) -> np.ndarray:
    """Targets of shape (rows,): strings where they are classes, else float64."""
    return np.asarray(read_split(split, [TARGET])[TARGET].to_pylist())


def rows(split: Path) -> Rows:
    """The whole split as model inputs."""
    columns, table = columns_of(split), read_split(split).combine_chunks()
    values = {name: column.loaded(table[name].combine_chunks()) for name, column in columns.items() if column.learned}
    return of_values(columns, values)


def example(split: Path, rows: int) -> dict[str, Any]:
    """A request's body made of the first rows: `{"rows": [{"plan": "pro", ...}, ...]}`."""
    columns = [name for name, column in columns_of(split).items() if column.learned]
    first = read_split(split, columns).slice(0, rows).to_pylist()
    return {"rows": [{name: _json(value) for name, value in row.items()} for row in first]}


def _json(value: Any) -> Any:
    """A stored cell as a request says it: a date as text; a missing number as nothing."""
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value != value else value
