"""The data of iris: the columns of a table, and the one that is to be told from the others."""

from pathlib import Path
from typing import Any

from workloads.sdk.contract import Fetched
from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.kits.tables.tabular import Table, bundled, example, rows, targets

__all__ = ["describe", "example", "fetch", "process", "rows", "schema", "targets"]

TABLE = Table(
    target="target",
    columns={  # of numbers the smallest and the largest that is taken for right; other rows fail the data's gate
        "sepal length (cm)": Number(0.0, 12.0, why="numbers"),
        "sepal width (cm)": Number(0.0, 6.8, why="numbers"),
        "petal length (cm)": Number(0.0, 13.0, why="numbers"),
        "petal width (cm)": Number(0.0, 4.9, why="numbers"),
    },
    classes=[
        "setosa",
        "versicolor",
        "virginica",
    ],
)


def fetch(parameters: Any, out: Path) -> Fetched:
    """Put the table's file into `out`."""
    return bundled("iris", out)


process, describe, schema = TABLE.process, TABLE.describe, TABLE.schema
