"""What callers of the application send, and what they get."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from workloads.sdk.limits import Limits

MAX_QUESTION = 1000  # characters


def _speakable(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if "\0" in text:
        raise ValueError("must not hold a zero character")
    return text.strip()


SPOKEN = {  # something beside white space, as Python has it, and no zero character
    "type": "string",
    "maxLength": MAX_QUESTION,
    "pattern": r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$",
}
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_QUESTION), AfterValidator(_speakable), Limits(SPOKEN)
]
Value = Annotated[str, StringConstraints(min_length=1, max_length=300)]
COLUMN = {"type": "string", "minLength": 1, "maxLength": 300, "pattern": r"^[^\u0000]*$"}
COLUMNS = ("source", "path", "heading", "document", "text_digest")  # of text, in every index
FILTERS = {
    "type": "object",
    "properties": {
        name: {"anyOf": [COLUMN, {"type": "array", "items": COLUMN, "minItems": 1, "maxItems": 50}]} for name in COLUMNS
    },
    "additionalProperties": False,
}
Filters = Annotated[
    dict[Annotated[str, StringConstraints(max_length=60)], Value | Annotated[list[Value], Field(max_length=50)]],
    Field(max_length=8, description="Column (`source`, `path`, ...) to a value, or to a list of which any will do."),
    Limits(FILTERS),
]


class Query(BaseModel):
    """A question."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"question": "What does the with statement do?"}]}
    )

    question: Text = Field(description="What is asked.")
    session_id: UUID | None = Field(None, description="Session whose turns the question belongs to.")
    stream: StrictBool = Field(
        False, description="Answer as server-sent events: passage, token, citations, done; or error."
    )
    filters: Filters = Field(default_factory=dict)


class Citation(BaseModel):
    """A passage that an answer rests on; `number` is that of its marks."""

    number: int
    id: str
    path: str
    heading: str
    source: str
    link: str = Field(description="Where it can be read, relative to the endpoint.")


class Quoted(Citation):
    """A passage that is quoted, as a whole."""

    content: str


class Answer(BaseModel):
    """An answer, and what it was made with; the server adds its own facts."""

    passage: Quoted | None = Field(description="What is quoted; none where a language model answers, or nobody does.")
    answer: str
    refused: bool
    citations: list[Citation]
    retrieved: list[str] = Field(description="Ids of all passages that were looked at, best first.")
    support: float = Field(description="Of the best sentence, 0 to 1.")
    answerer: str = Field(description="`extractive`, or the language model's name.")
    prompt_version: str
    corpus_version: str
    model: str
    session_id: UUID | None
    notes: dict[str, Any] = Field(description="What was wrong with a language model's answer.")
    prediction_id: UUID | None = None
    version: str | None = None
    release_id: int | None = None
    parts: dict[str, Any] | None = Field(None, description="Release of each part, by role.")
    timestamp: datetime | None = None
    processing_time_ms: float | None = None


class Session(BaseModel):
    """A session."""

    session_id: UUID


class SessionTurn(BaseModel):
    """A question of a session, what was replied, what that was made with, and what somebody thought of it."""

    question: str
    passage: Quoted | None = None
    answer: str
    refused: bool
    citations: list[Citation]
    answerer: str
    prompt_version: str
    corpus_version: str
    model: str
    prediction_id: UUID
    at: datetime
    thumbs: Literal["up", "down"] | None


class History(BaseModel):
    """A session's turns, oldest first."""

    session_id: UUID
    turns: list[SessionTurn]


class Lookup(BaseModel):
    """What to look up."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"question": "How is a file opened?"}]})

    question: Text
    filters: Filters = Field(default_factory=dict)


class Retrieved(BaseModel):
    """How an answer would come about: what was found with scores, what fits the budget, which sentences support it."""

    question: str
    terms: list[str] = Field(description="Words that the full-text search asked for, the rarest first.")
    embed_ms: float
    search_ms: float
    context_tokens: int = Field(description="Of the passages that fit.")
    tokenizer: str
    found: list[dict[str, Any]]
    sentences: list[dict[str, Any]]


class Feedback(BaseModel):
    """What somebody thinks of an answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"prediction_id": "01890000-0000-7000-8000-000000000000", "thumbs": "up"}]},
    )

    prediction_id: UUID
    thumbs: Literal["up", "down"]
    comment: (
        Annotated[str, StringConstraints(max_length=2000), AfterValidator(lambda text: text.replace("\0", ""))] | None
    ) = None


class Stored(BaseModel):
    """What is kept now."""

    prediction_id: UUID
    thumbs: Literal["up", "down"]


class Removed(BaseModel):
    """What is gone now."""

    removed: UUID


class ChunkText(BaseModel):
    """A chunk of the corpus."""

    id: str
    content: str
    path: str
    heading: str
    source: str
    position: int
    document: str = Field(description="SHA-256 of the document's text.")
    corpus: str = Field(description="The corpus' tag.")
