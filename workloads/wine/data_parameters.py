"""Parameters of the wine dataset's pipeline; they import nothing heavy, so that the declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.contract import DataParameters


class WineData(DataParameters):
    """What makes one version of the wine data differ from another."""

    source: Literal["scikit-learn", "quality"] = Field(
        "scikit-learn",
        description="scikit-learn: 178 wines of three cultivars, 13 measurements. quality: 6,497 red and white wines "
        "with 12 measurements and a score from 3 to 9, from the UCI repository.",
        json_schema_extra={"fetch": True},
    )
    rows: int | None = Field(
        None, ge=20, description="Rows kept for training and validation together; the test split is always whole."
    )
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Chooses the rows that `corruption` harms.")
    corruption: float = Field(
        0.0, ge=0, le=1, description="Share of training and validation rows whose target is replaced by a wrong one."
    )
