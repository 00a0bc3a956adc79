"""What belongs to a prompt: its template's placeholders and the settings that are released together with it.

from workloads.rag.settings import PromptSettings, check_template
check_template(text)                                # raises BrokenPrompt, saying what to do
PromptSettings.model_validate({"sentences": 2})     # raises pydantic's ValidationError, naming the field
"""

from string import Formatter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

REQUIRED = ("context", "question")
OPTIONAL = ("history", "refusal", "sentences")  # what a template may use besides
MAX_TEMPLATE = 20_000  # characters


class BrokenPrompt(ValueError):
    """A template cannot be used; the message says why and what to do."""


class PromptSettings(BaseModel):
    """How the application retrieves, answers, cites and refuses while this prompt is in use."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sentences: int = Field(5, ge=1, le=10, description="Most sentences, items or rows of an answer.")
    refuse_below: float = Field(
        0.52, ge=0, le=1, description="Least support that is answered at all: how well the best passage fits."
    )
    keep_within: float = Field(
        0.2, ge=0, le=1, description="How far below the best sentence's support another may be to be in the answer."
    )
    citation: Literal["inline", "sources", "both"] = Field(
        "inline", description="`inline`: [1] after each sentence; `sources`: a list at the end; or both."
    )
    top_k: int = Field(12, ge=1, le=50, description="Passages that are retrieved.")
    vector_weight: float = Field(1.0, ge=0, le=10, description="Weight of the vector search in the fusion.")
    text_weight: float = Field(1.0, ge=0, le=10, description="Weight of the full-text search in the fusion.")
    fusion_k: int = Field(60, ge=1, le=1000, description="Constant k of reciprocal rank fusion.")
    context_tokens: int = Field(
        3000, ge=64, le=100_000, description="Most tokens of passages that are used, by the embedder's tokenizer."
    )
    history_turns: int = Field(4, ge=0, le=20, description="Most turns of a session that are used.")
    history_tokens: int = Field(
        500, ge=0, le=100_000, description="Most tokens of a session's turns that are used, by the same tokenizer."
    )
    refusal: str = Field(
        "I found nothing in the corpus that answers this.",
        min_length=1,
        max_length=500,
        description="What is answered where nothing supports an answer.",
    )


def check_template(template: str) -> None:
    """See that a template can be filled: the required placeholders once or more, and no unknown ones.

    Raises:
        BrokenPrompt: it cannot.
    """
    if len(template) > MAX_TEMPLATE:
        raise BrokenPrompt(f"the prompt has {len(template)} characters; at most {MAX_TEMPLATE} are taken")
    try:
        fields = [(name, form, conversion) for _, name, form, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise BrokenPrompt(
            f"the prompt's braces do not pair ({error}); write {{{{ and }}}} for braces in text"
        ) from None
    names = {name for name, _, _ in fields if name is not None}
    if unknown := sorted(names - {*REQUIRED, *OPTIONAL}):
        known = ", ".join(f"{{{name}}}" for name in (*REQUIRED, *OPTIONAL))
        raise BrokenPrompt(
            f"the prompt has the placeholder {{{unknown[0]}}}, which nothing fills; known are {known}. "
            "Write {{ and }} for braces in text"
        )
    if any(form or conversion for _, form, conversion in fields):
        raise BrokenPrompt(
            "the prompt's placeholders must be plain, such as {question}, without a format or conversion"
        )
    if missing := [name for name in REQUIRED if name not in names]:
        wanted = " and ".join(f"{{{name}}}" for name in missing)
        raise BrokenPrompt(f"the prompt lacks {wanted}: put it where the text is to stand")
