"""Parameters of the pipeline of the texts; they import nothing heavy, so that the declaration may name them."""

from typing import Literal

from pydantic import Field

from workloads.sdk.kits.parameters import SplitParameters


class TextData(SplitParameters):
    """What makes one version of the texts differ from another."""

    source: Literal["docstrings", "emotion"] = Field(
        "docstrings",
        description="docstrings: of ten installed libraries, told by library; needs no network. emotion: 20,000 "
        "messages told by emotion, from the Hugging Face hub.",
        json_schema_extra={"fetch": True},
    )
