"""A passage's statements, as they can be quoted: its sentences, items of lists, rows of tables, pieces of code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workloads.sdk.kits.retrieval.markdown import parsed

if TYPE_CHECKING:
    from markdown_it.token import Token

FEWEST_WORDS = 3
# Bold words at the beginning belong to what follows, as a heading would.
END = re.compile(r"(?<=[.!?])[\"'”)\]`]*\s+(?=[\"'“(\[`*_<]*[^\W_a-z])|(?<=[。！？])")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|Fig|No|al|St|Dr|Mr|Mrs)\.|\b[A-Z]\.)$")
EXAMPLE = re.compile(r"\s*>>> ")
FENCE = "```"


@dataclass(frozen=True)
class Statement:
    """What can be quoted by itself.

    Attributes:
        text: what it says.
        shown: the same in Markdown, with all that it needs to be read: a sentence, or the item, row or code it is of.
        block: number of the paragraph, list, table or code that it stands in, from 0.
        prose: whether it is a sentence of a paragraph.
    """

    text: str
    shown: str
    block: int
    prose: bool = True


def statements(passage: str) -> list[Statement]:
    """The statements of a passage, in its order; headings are none, and neither are two words."""
    return [
        one
        for one in _statements(passage)
        if one.text.endswith(":") or len(re.findall(r"\w+", one.text)) >= FEWEST_WORDS or _unspaced(one.text)
    ]


def split(text: str) -> list[str]:
    """The sentences of a paragraph, each as it is written."""
    found, start = [], 0
    for end in END.finditer(text):
        if not ABBREVIATION.search(text[: end.start()]):
            found.append(text[start : end.end()].strip())
            start = end.end()
    return [each for each in [*found, text[start:].strip()] if each]


def _statements(passage: str) -> Iterator[Statement]:
    tokens = parsed(passage)
    block, depth = -1, 0
    head: list[str] = []
    for at, token in enumerate(tokens):
        if token.level == 0 and token.nesting >= 0:
            block += 1
        depth += token.nesting if token.type.startswith("list_item") else 0
        if token.type in ("fence", "code_block"):
            text = " ".join(token.content.split())
            yield Statement(text, f"{FENCE}\n{token.content.rstrip()}\n{FENCE}", block, prose=False)
        elif token.type == "tr_open":
            cells = [each.content for each in _row(tokens, at)]
            if tokens[at - 1].type == "thead_open":
                head = cells
            else:
                text = "; ".join(
                    f"{name}: {cell}" if name else cell for name, cell in zip(head, cells, strict=False) if cell
                )
                yield Statement(text, text, block, prose=False)
        elif token.type == "html_block":
            text = " ".join(token.content.split())
            yield Statement(text, text, block)
        elif token.type == "paragraph_open":
            yield from _of_paragraph(tokens[at + 1].content, block, item=depth > 0)


def _of_paragraph(text: str, block: int, item: bool) -> Iterator[Statement]:
    if EXAMPLE.match(text):
        yield Statement(" ".join(text.split()), f"{FENCE}\n{text}\n{FENCE}", block, prose=False)
        return
    shown = " ".join(text.split())
    for sentence in split(text):
        said = " ".join(sentence.split())
        yield Statement(said, f"- {shown}" if item else said, block, prose=not item)


def _row(tokens: "list[Token]", start: int) -> "Iterator[Token]":
    for token in tokens[start:]:
        if token.type == "tr_close":
            return
        if token.type == "inline":
            yield token


def _unspaced(text: str) -> bool:
    """Whether a text is of a script that puts no blanks between words."""
    return len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]", text)) >= 2 * FEWEST_WORDS
