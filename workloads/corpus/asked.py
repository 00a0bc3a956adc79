"""What people ask whom a section answers, in words that it does not have: `asked.jsonl`, written by hand.

Somebody who looks for "yesterday's model was better" shares no word with a section about rollback. Each line names a
section, by its document and path of headings, and some ways of asking for it; they are embedded with the section's
chunks, and never quoted.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from workloads.corpus.documents import Document

FILE = Path(__file__).with_suffix(".jsonl")


def told(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents with what is asked of them."""
    for document in documents:
        yield document._replace(asked=known().get(document.path, {}))


@cache
def known() -> dict[str, dict[str, list[str]]]:
    """All questions, by document and path of headings."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        section = json.loads(line)
        found.setdefault(section["path"], {})[section["heading"]] = section["asked"]
    return found
