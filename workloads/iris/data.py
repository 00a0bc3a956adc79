"""The data of iris: the columns of a table, and the one that is to be told from the others."""

from pathlib import Path
from typing import Any

from workloads.sdk.contract import Fetched
from workloads.sdk.kits.tables.tabular import Table, bundled, example, rows, targets

__all__ = ["describe", "example", "fetch", "process", "rows", "schema", "targets"]

TABLE = Table(
    target="target",
    columns={  # smallest and largest value that is taken for right; other rows fail the data's gate
        "sepal length (cm)": (0.0, 12.0),
        "sepal width (cm)": (0.0, 6.8),
        "petal length (cm)": (0.0, 13.0),
        "petal width (cm)": (0.0, 4.9),
    },
    classes=[
        "setosa",
        "versicolor",
        "virginica",
    ],
)


def fetch(parameters: Any, out: Path) -> Fetched:
    """Put the table into `out`, as one CSV file."""
    return bundled("iris", out)


process, describe, schema = TABLE.process, TABLE.describe, TABLE.schema
