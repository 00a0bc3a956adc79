"""Parameters of the Fashion-MNIST pipeline; they import nothing heavy, so that the declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.sdk.kits.parameters import SplitParameters


class FashionData(SplitParameters):
    """What makes one version of the Fashion-MNIST data differ from another."""

    source: Literal["auto", "official", "debian"] = Field(
        "auto",
        description="official: the publisher's host. debian: the package dataset-fashion-mnist. auto: the first of "
        "these that answers. The content is the same, and verified.",
        json_schema_extra={"fetch": True},
    )
