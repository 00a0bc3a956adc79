"""Parameters of the wine dataset's pipeline; they import nothing heavy, so that the declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.sdk.kits.parameters import TableParameters


class WineData(TableParameters):
    """What makes one version of the wine data differ from another."""

    source: Literal["scikit-learn", "quality"] = Field(
        "scikit-learn",
        description="scikit-learn: 178 wines of three cultivars, 13 measurements. quality: 6,497 red and white wines "
        "with 12 measurements and a score from 3 to 9, from the UCI repository.",
        json_schema_extra={"fetch": True},
    )
