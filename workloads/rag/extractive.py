"""The answerer that needs no language model: it quotes the sentences of the passages that support an answer best.

A sentence's support is the cosine of its vector, taken together with its heading, and the question's. The same support
decides what is refused, whichever answerer is in use. It is deterministic: equal passages give equal answers.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workloads.rag.answers import Passage
from workloads.rag.sentences import sentences
from workloads.rag.settings import PromptSettings

# Sentences that are embedded for a question: those that share most words with it. Of some 40 in ten passages, 24 lead
# to answers of the same quality (0.793 against 0.793, 40 questions) in 0.6 of the time.
LOOKED_AT = 24
KEPT = 20_000  # vectors that are kept in memory, 1.5 kB each
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
        self._known: OrderedDict[str, Any] = OrderedDict()  # vectors
        self._lock = Lock()

    def quotes(self, question: str, passages: Sequence[Passage]) -> list[Quote]:
        """The sentences that are looked at, best supported first; of equals the better passage's, then the earlier."""
        asked = _stems(question)
        every = [
            (text, number, position, f"{passage.heading}: {text}")
            for number, passage in enumerate(passages)
            for position, text in enumerate(sentences(passage.content))
        ]
        looked = sorted(every, key=lambda one: (-len(asked & _stems(one[3])), one[1], one[2]))[:LOOKED_AT]
        if not looked:
            return []
        vector = self._vectors([question])[0]
        found = [
            Quote(text, number, position, round(float(each @ vector), DIGITS))
            for (text, number, position, _), each in zip(looked, self._vectors([one[3] for one in looked]), strict=True)
        ]
        return sorted(found, key=lambda quote: (-quote.support, quote.passage, quote.position))

    def likeness(self, one: str, other: str) -> float:
        """The cosine of two texts."""
        first, second = self._vectors([one, other])
        return float(first @ second)

    def _vectors(self, texts: Sequence[str]) -> list[Any]:
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found |= zip(missing, self._encode(missing), strict=True)
        with self._lock:
            for text in texts:
                self._known[text] = found[text]
                self._known.move_to_end(text)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return [found[text] for text in texts]


def _stems(text: str) -> set[str]:
    """A text's longer words, cut: enough to tell which sentences are worth a closer look."""
    return {word[:5] for word in re.findall(r"[^\W_]{3,}", text.lower())}


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
