"""Parameters of the Fashion-MNIST pipeline; they import nothing heavy, so that the declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.contract import DataParameters


class FashionData(DataParameters):
    """What makes one version of the Fashion-MNIST data differ from another."""

    source: Literal["auto", "official", "debian"] = Field(
        "auto",
        description="official: the publisher's host. debian: the package dataset-fashion-mnist. auto: the first of "
        "these that answers. The content is the same, and verified.",
        json_schema_extra={"fetch": True},
    )
    rows: int | None = Field(
        None, ge=100, description="Images kept for training and validation together; the test split is always whole."
    )
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Chooses the images that `corruption` harms.")
    corruption: float = Field(
        0.0, ge=0, le=1, description="Share of training and validation images whose label is replaced by a wrong one."
    )
