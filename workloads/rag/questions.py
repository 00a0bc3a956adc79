"""The questions that an application is judged by, and where in the corpus each is answered.

A passage is named by the file that it stands in and a heading that it stands under, so that cutting the corpus into
other chunks breaks no question. What answers one question may take several passages; one passage may stand in several
places, of which each is as good as the others.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workloads.sdk.kits import jsonlines

BETWEEN = " > "  # of the headings of a path, as `kits/chunking.py` joins them


class Place(BaseModel):
    """A section of a document: all that stands under a heading, or under several from outer to inner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    heading: str = Field(min_length=1)

    def holds(self, path: str, heading: str) -> bool:
        """Whether a chunk of this path and path of headings stands here."""
        return path == self.path and f"{BETWEEN}{self.heading}{BETWEEN}" in f"{BETWEEN}{heading}{BETWEEN}"


class Gold(Place):
    """A passage that is needed; `also` are other places that hold the same text."""

    also: tuple[Place, ...] = ()

    def found(self, path: str, heading: str) -> bool:
        """Whether a chunk of this path and path of headings stands in one of the places."""
        return any(place.holds(path, heading) for place in (self, *self.also))


class Question(BaseModel):
    """A question, and what an answer to it must show.

    Attributes:
        key_concepts: words that a right answer holds, as the passages spell them.
        category: the part of the corpus that it is about.
        answerable: whether the corpus answers it; where it does not, there is neither answer nor gold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=1000)
    expected_answer: str = Field("", max_length=2000)
    key_concepts: tuple[str, ...] = ()
    category: str = Field(min_length=1)
    answerable: bool
    gold: tuple[Gold, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> "Question":
        given = {"expected_answer": self.expected_answer, "key_concepts": self.key_concepts, "gold": self.gold}
        if wrong := [name for name, value in given.items() if bool(value) != self.answerable]:
            raise ValueError(
                f"{', '.join(wrong)} must {'be given' if self.answerable else 'be empty'}: the question is said to be "
                f"{'answerable' if self.answerable else 'one that the corpus does not answer'}"
            )
        return self


def parse(file: Path) -> list[Question]:
    """The questions of a JSON-lines file, in its order.

    Raises:
        ValueError: names the line that is wrong, or that stands there twice.
    """
    questions: list[Question] = []
    seen: dict[str, str] = {}
    for place, question in jsonlines.read(file, Question):
        if (before := seen.setdefault(question.question, place)) != place:
            raise ValueError(f"{place}: the question stands in {before} already")
        questions.append(question)
    if not questions:
        raise ValueError(f"{file.name} holds no question")
    return questions


def read(split: Path) -> list[Question]:
    """The questions of a version of the data, in the order of its rows."""
    from workloads.sdk.dataset import read_split

    return [
        Question.model_validate(row | {name: json.loads(row[name]) for name in ("key_concepts", "gold")})
        for row in read_split(split, list(Question.model_fields)).to_pylist()
    ]


def columns(questions: Sequence[Question]) -> dict[str, list[object]]:
    """The questions as columns of texts and truth values: concepts and gold passages as JSON."""
    rows = [question.model_dump(mode="json") for question in questions]
    texts = ("key_concepts", "gold")
    return {
        name: [json.dumps(row[name]) if name in texts else row[name] for row in rows] for name in Question.model_fields
    }
