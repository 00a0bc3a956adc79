"""The answerer that needs no language model: it quotes the sentences of the passages that support an answer best.

A sentence's support is the cosine of its vector, taken together with its heading, and the question's. The same support
decides what is refused, whichever answerer is in use. It is deterministic: equal passages give equal answers.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workloads.rag.answers import Passage
from workloads.rag.sentences import sentences
from workloads.rag.settings import PromptSettings

KEPT = 2000  # chunks whose sentences' vectors are kept in memory, at most some 10 kB each
DIGITS = 3  # of a support: what differs by less is equal, on any processor

Encode = Callable[[Sequence[str]], Any]  # to vectors of length 1, an array of shape (texts, dimensions)


@dataclass(frozen=True)
class Quote:
    """A sentence of a passage; `passage` and `position` count from 0."""

    text: str
    passage: int
    position: int
    support: float


class Support:
    """Finds how well the sentences of passages support an answer. Safe to use from many threads."""

    def __init__(self, encode: Encode):
        self._encode = encode
        self._known: OrderedDict[tuple[str, str], tuple[list[str], Any]] = OrderedDict()
        self._lock = Lock()

    def quotes(self, question: str, passages: Sequence[Passage]) -> list[Quote]:
        """Every sentence, best supported first; of equals the one of the better passage, then the earlier one."""
        asked = self._encode([question])[0]
        found = [
            Quote(text, number, position, round(float(score), DIGITS))
            for number, (texts, vectors) in enumerate(self._vectors(passages))
            for position, (text, score) in enumerate(zip(texts, vectors @ asked if texts else [], strict=True))
        ]
        return sorted(found, key=lambda quote: (-quote.support, quote.passage, quote.position))

    def likeness(self, one: str, other: str) -> float:
        """The cosine of two texts."""
        first, second = self._encode([one, other])
        return float(first @ second)

    def _vectors(self, passages: Sequence[Passage]) -> list[tuple[list[str], Any]]:
        keys = [(passage.id, passage.content) for passage in passages]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: passage for key, passage in zip(keys, passages, strict=True) if key not in found}
        texts = {key: sentences(passage.content) for key, passage in missing.items()}
        flat = [f"{missing[key].heading}: {text}" for key, several in texts.items() for text in several]
        vectors = self._encode(flat) if flat else []
        start = 0
        for key, several in texts.items():
            found[key] = (several, vectors[start : start + len(several)])
            start += len(several)
        with self._lock:
            self._known |= found
            for key in keys:
                self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return [found[key] for key in keys]


def chosen(quotes: Sequence[Quote], settings: PromptSettings) -> list[Quote]:
    """The sentences of an answer, in the order in which they are said; none where it is to be refused."""
    if not quotes or quotes[0].support < settings.refuse_below:
        return []
    kept: list[Quote] = []
    said: set[str] = set()
    for quote in quotes:
        if len(kept) == settings.sentences or quote.support < quotes[0].support - settings.keep_within:
            break
        if (plain := quote.text.casefold()) not in said:
            said.add(plain)
            kept.append(quote)
    first = {quote.passage: place for place, quote in reversed(list(enumerate(kept)))}
    return sorted(kept, key=lambda quote: (first[quote.passage], quote.position))
