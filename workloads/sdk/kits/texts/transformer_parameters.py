"""Parameters of a small transformer for texts; nothing heavy is imported, so that a declaration may name them."""

from pydantic import Field

from workloads.sdk.contract import Parameters

PER_HEAD = 32  # of a network's width


class TransformerParameters(Parameters):
    """How a DistilBERT with fresh weights is made and trained. `search` marks what a search may try."""

    epochs: int = Field(4, ge=1, le=200, description="Times that training goes through all its rows.")
    batch_size: int = Field(
        32, ge=4, le=1024, description="Texts in one step.", json_schema_extra={"search": [16, 32, 64]}
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        le=1,
        description="Largest rate of the schedule, which rises for a tenth of all steps and then falls.",
        json_schema_extra={"search": {"from": 3e-4, "to": 3e-3, "log": True}},
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="Decay of weights in AdamW.")
    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of activations left out in training.",
        json_schema_extra={"search": {"from": 0.0, "to": 0.3}},
    )
    width: int = Field(
        128,
        ge=PER_HEAD,
        le=1024,
        multiple_of=PER_HEAD,
        description="Numbers that stand for a token; a head for every 32.",
        json_schema_extra={"search": [64, 96, 128]},
    )
    layers: int = Field(2, ge=1, le=12, description="Layers of attention.", json_schema_extra={"search": [1, 2]})
    length: int = Field(64, ge=8, le=512, description="Tokens of a text that are read.")
    vocabulary: int = Field(6000, ge=200, le=50_000, description="Tokens that the tokenizer learns at most.")
