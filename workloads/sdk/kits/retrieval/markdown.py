"""Markdown as a parser of CommonMark reads it: its sections, and the blocks of each, which can be divided.

Headings are those of the parser, underlined ones included; what stands in code, however it is fenced, is none. Metadata
at a document's beginning, comments, and pictures that stand in the text itself are no text.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Of YAML (---) or TOML (+++). A rule may begin a document too: each line must be one of YAML, the first a name's.
NAME = r"[\w.\"'-]+[ \t]*:(?:[ \t].*)?\n"
YAML = rf"(?:#.*\n)*{NAME}(?:{NAME}|[ \t]*\n|[ \t]+\S.*\n|(?:#|-[ \t]|[\]}}]).*\n)*?"
METADATA = re.compile(rf"\A(?:---[ \t]*\n({YAML})(?:---|\.\.\.)|\+\+\+[ \t]*\n((?:.*\n)*?)\+\+\+)[ \t]*(?:\n|\Z)")
TITLE = re.compile(r"^title[ \t]*[:=][ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
DATA = r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,[A-Za-z0-9+/=%]*"
PICTURE = re.compile(rf"!\[([^\]]*)\]\(\s*<?{DATA}>?(?:\s+\"[^\"]*\")?\s*\)")
PICTURES = re.compile(
    rf"^[ ]{{0,3}}\[[^\]]+\]:[ \t]*<?{DATA}>?.*$|<img\b[^>]*\bsrc=[\"']{DATA}[^>]*>", re.MULTILINE | re.IGNORECASE
)
CONTAINERS = {"bullet_list_open", "ordered_list_open"}


def text_of(document: str) -> str:
    """A document without what is no text of it."""
    text = METADATA.sub("", document, count=1)
    return PICTURES.sub("", PICTURE.sub(r"\1", text)) if ";base64," in text else text


def title_of(document: str) -> str:
    """A document's title: that of its metadata, or else its first heading of the first level; "" where it has none."""
    if (found := METADATA.match(document)) and (named := TITLE.search(found[1] or found[2] or "")):
        return named[1].strip()
    return next((name for level, name in _headings(parsed(text_of(document))) if level == 1 and name), "")


def sections(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The headings that each section stands under, outermost first, and its blocks: paragraphs, lists, tables, code."""
    lines, tokens = text.split("\n"), parsed(text)
    under: dict[int, str] = {}
    blocks: list[str] = []
    for at, token in enumerate(tokens):
        if token.level or not token.map:
            continue
        if token.type == "heading_open":
            if blocks:
                yield tuple(under.values()), blocks
            level, name = int(token.tag[1:]), _plain(tokens[at + 1])
            under = {above: each for above, each in under.items() if above < level} | ({level: name} if name else {})
            blocks = []
        elif (
            token.type != "hr"
            and (block := _lines(lines, token))
            and not (token.type == "html_block" and not COMMENT.sub("", block).strip())
        ):
            blocks.append(block)
    if blocks:
        yield tuple(under.values()), blocks


def divided(block: str, size: int) -> list[str]:
    """A block in parts of at most `size` characters where that can be: a list by its items, a table by its rows under
    its head, code by its lines in its fence, anything else not at all."""
    lines, tokens = block.split("\n"), parsed(block)
    first = tokens[0] if tokens else None
    if first is not None and first.type == "fence":
        closed = len(lines) > 1 and lines[-1].strip() and not lines[-1].strip().strip(first.markup[0])
        end = [lines[-1]] if closed else [first.markup]
        return packed(lines[1:-1] if closed else lines[1:], size, "\n", lines[:1], end)
    if first is not None and first.type == "table_open":
        return packed(lines[2:], size, "\n", lines[:2])
    if first is not None and first.type in CONTAINERS:
        return packed([_lines(lines, token) for token in tokens if token.level == 1 and token.map], size, "\n")
    return [block]


def packed(
    units: Sequence[str], size: int, between: str, head: Sequence[str] = (), end: Sequence[str] = ()
) -> list[str]:
    """Units in their order, as many together as fit into `size` characters with what stands before and after each."""
    found: list[str] = []
    held: list[str] = []

    def text() -> str:
        return between.join([*head, *held, *end])

    for unit in units:
        held.append(unit)
        if len(text()) > size and len(held) > 1:
            held.pop()
            found.append(text())
            held = [unit]
    return [*found, text()] if held else found


def parsed(text: str) -> "list[Token]":
    """A text's tokens, as markdown-it has them."""
    return _parser().parse(text)


def _headings(tokens: "Sequence[Token]") -> Iterator[tuple[int, str]]:
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            yield int(token.tag[1:]), _plain(tokens[at + 1])


def _plain(inline: "Token") -> str:
    """A heading as it is written, on one line; a picture is its description."""
    return " ".join(re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", inline.content).split())


def _lines(lines: Sequence[str], token: "Token") -> str:
    assert token.map is not None
    return "\n".join(lines[slice(*token.map)]).strip("\n")


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # Quotations stay as they are written: `>>>` begins an example in Python, and no quotation within two others.
    return MarkdownIt("commonmark").disable("blockquote").enable("table")
