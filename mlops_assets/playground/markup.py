"""An answer's text as HTML that can do nothing but be read.

It may hold whatever a document or a language model says. Of Markdown, lists, tables, headings, code and emphasis by
stars are drawn; links, pictures and HTML are shown as the text that they are: a picture would be fetched from wherever
the text says, and whatever the address carries would be told there. Underscores are no emphasis: `__init__` is a name.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, emphasis

MARK = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
STYLE = """<style>
.drawn {line-height: 1.6; overflow-wrap: anywhere}
.drawn p, .drawn li {margin: 0 0 .5rem}
.drawn > :last-child {margin-bottom: 0}
.drawn h1, .drawn h2, .drawn h3, .drawn h4 {font-size: 1rem; padding: .3rem 0}
.drawn pre, .chunk {background: rgba(128,136,149,.12); padding: .7rem .9rem; border-radius: .5rem; overflow-x: auto}
.drawn code, .chunk {font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .84rem}
.drawn :not(pre) > code {background: rgba(128,136,149,.16); padding: .1rem .3rem; border-radius: .25rem}
.said .mark {font-size: .72rem; font-weight: 600; background: rgba(128,136,149,.25); padding: .05rem .35rem;
  border-radius: .6rem; vertical-align: .12rem; white-space: nowrap}
.said.refused {opacity: .75; font-style: italic}
.drawn table {font-size: .84rem}
.rests-on {max-height: 15rem; overflow-y: auto; font-size: .9rem}
.asked {white-space: pre-wrap; overflow-wrap: anywhere}
.chunk {white-space: pre-wrap; line-height: 1.5; overflow-wrap: anywhere}
.facts {font-size: .8rem; opacity: .65; overflow-wrap: anywhere}
table.in-use {width: 100%; font-size: .84rem; border: 0}
table.in-use td {border: 0; padding: .18rem 0; vertical-align: top}
table.in-use td:first-child {opacity: .6; width: 6.6rem}
table.in-use td + td {overflow-wrap: anywhere; font-weight: 600}
</style>"""


@lru_cache
def _markdown() -> MarkdownIt:
    off = ["html_inline", "html_block", "image", "link", "autolink", "reference", "entity", "lheading"]
    reader = MarkdownIt("commonmark", {"html": False}).disable(off).enable("table")
    reader.inline.ruler.at("emphasis", _by_stars)
    return reader


def _by_stars(state: StateInline, silent: bool) -> bool:
    return state.src[state.pos] == "*" and emphasis.tokenize(state, silent)


def said(text: str, marks: bool = True, refused: bool = False) -> str:
    """An answer; its marks, such as [1], stand out where they name citations."""
    html = _markdown().render(text)
    if marks:
        parts = re.split(r"(<code.*?</code>)", html, flags=re.DOTALL)  # [0] in code is an index
        html = "".join(part if part.startswith("<code") else MARK.sub(_mark, part) for part in parts)
    return f'<div class="drawn said{" refused" if refused else ""}">{html}</div>'


def passage(text: str) -> str:
    """A passage that an answer rests on, as Markdown; [0] in it is no mark."""
    return f'<div class="drawn rests-on">{_markdown().render(text)}</div>'


def plain(text: str, kind: str) -> str:
    """A text as it stands: a question (`asked`), or a passage (`chunk`)."""
    return f'<div class="{kind}">{escape(text)}</div>'


def heading(text: str) -> str:
    return f"<b>{escape(text)}</b>" if text else ""


def table(named: Mapping[str, str]) -> str:
    """A line for each name that has a value."""
    lines = (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in named.items() if value)
    return f'<table class="in-use">{"".join(lines)}</table>'


def facts(named: Mapping[str, str]) -> str:
    """`name value · name value`"""
    items = (f"{escape(name)} <b>{escape(value)}</b>".strip() for name, value in named.items() if value)
    return f'<div class="facts">{" · ".join(items)}</div>'


def _mark(match: re.Match[str]) -> str:
    numbers = re.findall(r"\d+", match[1])
    return " ".join(f'<span class="mark">{number}</span>' for number in numbers)
