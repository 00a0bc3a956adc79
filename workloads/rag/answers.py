"""What an answer is: its text, the passages it rests on, and what it was made with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Passage:
    """A retrieved chunk.

    Attributes:
        id: the chunk's id.
        path: file of the corpus that it stands in.
        heading: path of headings to it.
        source: part of the corpus, for example `python`.
        scores: what retrieval says of it: `score` (fused), and of each search its rank and score where it found it.
        asked: questions that it is said to answer, which are never quoted.
    """

    id: str
    path: str
    heading: str
    source: str
    content: str
    scores: Mapping[str, Any] = field(default_factory=dict)
    asked: Sequence[str] = ()


@dataclass(frozen=True)
class Turn:
    """A question of a session, and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True)
class Answered:
    """What `App.answer` returns.

    Attributes:
        text: the answer; the refusal's text where `refused`.
        citations: ids of the cited chunks, each of them one of `passages`, in the order of their first mention.
        passages: everything that was retrieved and fitted into the budget, best first.
        support: of the best sentence, from 0 to 1: what the refusal is decided by.
        facts: `answerer` (`extractive`, or the language model's name), `prompt`, `corpus` and so on.
    """

    text: str
    refused: bool
    citations: Sequence[str]
    passages: Sequence[Passage]
    support: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
