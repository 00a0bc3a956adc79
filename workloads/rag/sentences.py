"""A passage's sentences, as they can be quoted: of prose, lists, tables and code, in Markdown or plain text."""

import re
from collections.abc import Iterator

LONGEST = 500  # characters of a sentence; the end of a longer one is left out
FEWEST_WORDS = 3

HEADING = re.compile(r"\s*(#{1,6}\s|[=\-~^*\"]{3,}\s*$)")  # or its underline
ITEM = re.compile(r"\s*([-*+•]|\d{1,3}[.)])\s+")
ROW = re.compile(r"\s*\|.*\|\s*$")
RULE = re.compile(r"[\s|:+-]+$")  # of a table
FENCE = re.compile(r"\s*(```|~~~)")
CODE = re.compile(r"\s*>>> ")
END = re.compile(r"(?<=[.!?:])[\"'”)\]`*]*\s+(?=[\"'“(\[`*_<]*[A-Z0-9])")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|Fig|No|al|St|Dr|Mr|Mrs)\.|\b[A-Z]\.)$")


def sentences(text: str) -> list[str]:
    """The sentences of a text, in its order; headings and rules are none, and neither are two words."""
    found = [" ".join(sentence.split())[:LONGEST] for block in _blocks(text) for sentence in _of_block(block)]
    return [sentence for sentence in found if len(re.findall(r"\w+", sentence)) >= FEWEST_WORDS]


def _blocks(text: str) -> Iterator[list[str]]:
    """Lines that belong together: a paragraph, an item of a list, a row of a table, a piece of code."""
    block: list[str] = []
    fenced = False
    for line in text.splitlines():
        if FENCE.match(line):
            yield block
            block, fenced = [], not fenced
        elif fenced:
            block.append(line)
        elif not line.strip() or HEADING.match(line):
            yield block
            block = []
        elif ROW.match(line):
            yield block
            if not RULE.match(line):
                yield [line.strip().strip("|")]
            block = []
        elif ITEM.match(line) or (CODE.match(line) and not (block and CODE.match(block[0]))):
            yield block
            block = [line]
        else:
            block.append(line)
    yield block


def _of_block(lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    if CODE.match(lines[0]):
        yield " ".join(lines)
        return
    text = " ".join(lines)
    if item := ITEM.match(text):
        text = text[item.end() :]
    start = 0
    for end in END.finditer(text):
        if not ABBREVIATION.search(text[: end.start()]) and text[end.start() - 1] != ":":
            yield text[start : end.end()]
            start = end.end()
    yield text[start:]
