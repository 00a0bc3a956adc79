"""What a table's endpoint reads: rows of numbers in the field `features`."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from workloads.sdk.contract import InvalidInput


def rows_of(request: BaseModel, columns: Sequence[str]) -> np.ndarray:
    """The request's rows, float32 (rows, columns). Raises InvalidInput where they are not as wide as the model's."""
    rows: np.ndarray = request.features  # type: ignore[attr-defined]
    if rows.shape[1] != len(columns):
        names = ", ".join(columns)
        raise InvalidInput("features", f"rows have {rows.shape[1]} numbers; {len(columns)} are needed: {names}")
    return rows
