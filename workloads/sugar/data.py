"""The data of sugar: the columns of a table, and the one that is to be told from the others."""

from pathlib import Path
from typing import Any

from workloads.contract import Fetched
from workloads.kits.tabular import Table, copied, example, rows, targets

__all__ = ["describe", "example", "fetch", "process", "rows", "schema", "targets"]

TABLE = Table(
    target="target",
    columns={  # smallest and largest value that is taken for right; other rows fail the data's gate
        "age": (0.0, 140.0),
        "sex": (0.0, 3.0),
        "bmi": (0.0, 67.0),
        "bp": (0.0, 210.0),
        "s1": (0.0, 510.0),
        "s2": (0.0, 450.0),
        "s3": (0.0, 180.0),
        "s4": (0.0, 17.0),
        "s5": (0.0, 9.0),
        "s6": (0.0, 190.0),
    },
)


def fetch(parameters: Any, out: Path) -> Fetched:
    """Put the table into `out`, as one CSV file."""
    return copied(parameters.csv, out)


process, describe, schema = TABLE.process, TABLE.describe, TABLE.schema
