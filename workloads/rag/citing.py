"""Marks such as [1] or [2, 3] in an answer: which passages they name, and how an answer shows them."""

import re
from collections.abc import AsyncIterator, Sequence

from workloads.rag.answers import Passage
from workloads.rag.settings import PromptSettings

MARK = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
OPEN = re.compile(r"\s*(\[[\d,;\s]*)?$")  # what may yet become a mark


def cited(text: str, passages: int) -> tuple[list[int], list[int]]:
    """The numbers of the marks in a text, each once, in the order of first mention: those of passages (from 1), and
    those that name none."""
    numbers = dict.fromkeys(int(number) for mark in MARK.findall(text) for number in re.split(r"\D+", mark))
    known = [number for number in numbers if 1 <= number <= passages]
    return known, [number for number in numbers if number not in known]


def marked(number: int, settings: PromptSettings, prose: bool = True) -> str:
    """The mark that ends a quotation, where the settings want marks; on a line of its own below what is no sentence."""
    return "" if settings.citation == "sources" else f"{' ' if prose else chr(10) * 2}[{number}]"


def sources(numbers: Sequence[int], passages: Sequence[Passage], settings: PromptSettings) -> str:
    """The list of sources for an answer's end, where the settings want one."""
    if settings.citation == "inline" or not numbers:
        return ""
    lines = [f"[{number}] {passages[number - 1].path} > {passages[number - 1].heading}" for number in numbers]
    return "\n\nSources:\n" + "\n".join(lines)


async def without_marks(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """A text in pieces, without its marks, wherever the pieces end."""
    held = ""
    async for piece in pieces:
        text = held + piece
        tail = OPEN.search(text)
        start = tail.start() if tail else len(text)
        held = text[start:]
        if plain := MARK.sub("", text[:start]):
            yield plain
    if held.strip():
        yield held
