"""Parameters that kits read; nothing heavy is imported, so that a declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.sdk.contract import DataParameters, Parameters


class FitParameters(Parameters):
    """What fitting a network by `kits/lightning.py` reads; a workload adds those of its network."""

    epochs: int = Field(20, ge=1, le=1000, description="Times that training goes through all its rows.")
    batch_size: int = Field(32, ge=2, le=4096, description="Rows in one step.")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Largest rate of the one-cycle schedule.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Decay of weights in AdamW.")


class SplitParameters(DataParameters):
    """What makes one version of divided rows differ from another, besides their source."""

    rows: int | None = Field(
        None, ge=20, description="Rows kept for training and validation together; the test split is always whole."
    )
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Chooses the rows that `corruption` harms.")
    corruption: float = Field(
        0.0, ge=0, le=1, description="Share of training and validation rows whose target is replaced by a wrong one."
    )


class TableParameters(SplitParameters):
    """What makes one version of a table differ from another, besides its source."""

    duplicates: Literal["drop", "keep"] = Field(
        "drop", description="What happens to rows that are alike in all columns, after the first of them."
    )
