"""A document, cut into chunks that can be embedded and cited: by its headings, and then by size.

A chunk begins and ends with a paragraph, an item of a list, a row of a table, a line of code or a sentence. Its id is a
hash of its place and content, so the same chunk has the same id in the next version of the corpus, and a paragraph put
in before it changes no id but its own.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

from workloads.sdk.kits.retrieval.markdown import divided, packed, sections, text_of
from workloads.sdk.kits.retrieval.sentences import split

MARKDOWN = (".md", ".markdown")
BETWEEN = " > "  # of the headings of a path
# What PostgreSQL's text cannot hold, or nobody can see: control characters but tab and line feed.
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
LINES = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")


@dataclass(frozen=True)
class Chunk:
    """A piece of a document.

    Attributes:
        id: hash of path, heading, content, and how many equal ones stand before it there.
        content: its text, as it is shown and cited.
        heading: the headings that it stands under, outermost first; the document's title where there is none.
        position: number within the document, from 0.
        source: of the document.
        path: of the document; one document of a corpus has it.
        document: SHA-256 of the document's cleaned text.
        asked: questions that its section answers, in the words of those who ask.
    """

    id: UUID
    content: str
    heading: str
    position: int
    source: str
    path: str
    document: str
    asked: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is embedded: a paragraph alone often does not say what it is about, nor as people would ask for it.

        Questions that a passage answers make it easier to find, by meaning as by words: Nogueira et al., "Document
        expansion by query prediction", 2019. They stand last, since what is longer than an encoder reads is cut.
        """
        return "\n".join(part for part in (self.heading, self.content, *self.asked) if part)

    @property
    def text_digest(self) -> str:
        """SHA-256 of what is embedded."""
        return sha256(self.text)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def cleaned(text: str) -> str:
    """One spelling (NFC), one kind of line end, nothing unseen, no blanks at a line's end, one empty line at most."""
    text = UNSEEN.sub("", LINES.sub("\n", unicodedata.normalize("NFC", text)))
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def chunks_of(
    document: Mapping[str, Any], size: int, asked: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[Chunk]:
    """A document's chunks, in its order.

    Args:
        document: `path`, `source`, `title`, `text`. It has headings if its path ends as those of Markdown do.
        size: most characters of a chunk's content.
        asked: questions by the path of headings of the section that answers them.
    """
    text = cleaned(document["text"])
    whole, title = sha256(text), " ".join(cleaned(document["title"]).split())
    markdown = document["path"].lower().endswith(MARKDOWN)
    met: Counter[tuple[str, str]] = Counter()
    found: list[Chunk] = []
    for headings, blocks in sections(text_of(text)) if markdown else [((), text.split("\n\n"))]:
        heading = BETWEEN.join(headings) or title
        for content in _contents(blocks, size):
            if not any(map(str.isalnum, content)):
                continue
            place = (heading, content)
            identity = json.dumps([document["path"], heading, content, met[place]])
            met[place] += 1
            found.append(
                Chunk(
                    id=UUID(bytes=hashlib.sha256(identity.encode()).digest()[:16], version=5),
                    content=content,
                    heading=heading,
                    position=len(found),
                    source=document["source"],
                    path=document["path"],
                    document=whole,
                    asked=tuple(asked.get(heading, ())),
                )
            )
    return found


def _contents(blocks: Sequence[str], size: int) -> list[str]:
    """A section's blocks, as many together as fit; what is larger than that is divided.

    What begins with bold words is about something else than what stands before it; what a colon announces belongs to
    that. A sentence is cut only where it is longer than a chunk.
    """
    found: list[str] = []
    held: list[str] = []
    for block in _announced(blocks, size):
        if len(block) > size or block.startswith("**"):
            found += packed(held, size, "\n\n")
            held = []
        if len(block) <= size:
            held.append(block)
        else:
            found += [
                part for whole in divided(block, size) for part in (_cut(whole, size) if len(whole) > size else [whole])
            ]
    return found + packed(held, size, "\n\n")


def _announced(blocks: Sequence[str], size: int) -> list[str]:
    """The blocks, those that end in a colon together with the one that follows, where both fit."""
    found: list[str] = []
    for block in blocks:
        if found and found[-1].rstrip().endswith(":") and len(found[-1]) + len(block) + 2 <= size:
            found[-1] = f"{found[-1]}\n\n{block}"
        else:
            found.append(block)
    return found


def _cut(text: str, size: int) -> list[str]:
    """A text in parts of whole sentences; a longer sentence is cut at its words."""
    parts = [
        piece
        for sentence in split(text)
        for piece in (_splitter(size).split_text(sentence) if len(sentence) > size else [sentence])
    ]
    return [part.strip() for part in packed(parts, size, " ")]


@cache
def _splitter(size: int) -> Any:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(["\n", " ", ""], keep_separator="end", chunk_size=size, chunk_overlap=0)
