"""Parameters of the digits' pipeline; they import nothing heavy, so that the declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.sdk.kits.parameters import SplitParameters


class DigitsData(SplitParameters):
    """What makes one version of the data differ from another."""

    source: Literal["scikit-learn", "mnist"] = Field(
        "scikit-learn",
        description="scikit-learn: 1,797 pictures of 8 x 8, which need no network. mnist: 70,000 of 28 x 28, fetched. "
        "Neither is ever taken for the other.",
        json_schema_extra={"fetch": True},
    )
