"""Parameters of the data pipelines of tables; nothing heavy is imported, so that a declaration may name them."""

from pydantic import Field

from workloads.contract import DataParameters


class TableParameters(DataParameters):
    """What makes one version of a table differ from another, besides its source."""

    rows: int | None = Field(
        None, ge=20, description="Rows kept for training and validation together; the test split is always whole."
    )
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Chooses the rows that `corruption` harms.")
    corruption: float = Field(
        0.0, ge=0, le=1, description="Share of training and validation rows whose target is replaced by a wrong one."
    )
