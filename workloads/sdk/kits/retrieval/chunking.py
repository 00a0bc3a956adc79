"""A document, cut into chunks that can be embedded and cited: by its headings, and then by size.

LangChain's splitters do the cutting. A chunk's id is a hash of its place and content, so the same chunk has the same id
in the next version of the corpus, and a paragraph put in before it changes no id but its own.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

MARKDOWN = (".md", ".markdown")
LEVELS = 6
BETWEEN = " > "  # of the headings of a path
SEPARATORS = ["\n\n", "\n", ". ", " ", ""]  # where a section is cut, best first
FENCE = re.compile(r"^(?:```|~~~)", re.MULTILINE)
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
    """

    id: UUID
    content: str
    heading: str
    position: int
    source: str
    path: str
    document: str

    @property
    def text(self) -> str:
        """What is embedded: a paragraph alone often does not say what it is about."""
        return f"{self.heading}\n{self.content}" if self.heading else self.content

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


def chunks_of(document: Mapping[str, Any], size: int, overlap: int) -> list[Chunk]:
    """A document's chunks, in its order.

    Args:
        document: `path`, `source`, `title`, `text`. It has headings if its path ends as those of Markdown do.
        size: most characters of a chunk's content.
        overlap: how many of them it may share with the one before, where a section is cut.
    """
    text = cleaned(document["text"])
    whole, title = sha256(text), " ".join(cleaned(document["title"]).split())
    markdown = document["path"].lower().endswith(MARKDOWN)
    met: Counter[tuple[str, str]] = Counter()
    found: list[Chunk] = []
    for headings, section in _sections(text) if markdown else [((), text)]:
        heading = BETWEEN.join(headings) or title
        for content in _splitter(size, overlap).split_text(section):
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
                )
            )
    return found


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """A Markdown text's sections with the headings that each stands under; code in fences stays in its section."""
    if len(FENCE.findall(text)) % 2:
        text += "\n```"  # the splitter drops what follows a fence that is never closed
    parts = _headings().split_text(f"{text}\n")
    before: tuple[str, ...] | None = None
    gathered = ""
    for part in parts:
        headings = tuple(value.strip() for key, value in part.metadata.items() if key.isdigit() and value.strip())
        if before is not None and headings != before:
            yield before, gathered
            gathered = ""
        before, gathered = headings, gathered + part.page_content
    if before is not None:
        yield before, gathered


def _headings() -> Any:
    # Its older sibling takes every indented `# comment` for a heading, and strips the indentation of code.
    from langchain_text_splitters import ExperimentalMarkdownSyntaxTextSplitter

    return ExperimentalMarkdownSyntaxTextSplitter([("#" * level, str(level)) for level in range(1, LEVELS + 1)])


@cache
def _splitter(size: int, overlap: int) -> Any:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(SEPARATORS, keep_separator="end", chunk_size=size, chunk_overlap=overlap)
