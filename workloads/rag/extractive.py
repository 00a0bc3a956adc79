"""The answerer that needs no language model: it quotes the passage that supports an answer best.

A statement's support is the cosine of its vector, taken together with its heading, and the question's; less where the
question names what the whole corpus does not know. It decides what is refused, whichever answerer is in use. Which
passage is quoted, the words that it shares with the question decide too. It is deterministic: equal passages give equal
answers.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workloads.rag.answers import Passage
from workloads.rag.naming import names
from workloads.rag.settings import PromptSettings
from workloads.sdk.kits.retrieval.sentences import Statement, statements

KEPT = 20_000  # vectors that are kept in memory, 1.5 kB each
DIGITS = 3  # of a support: what differs by less is equal, on any processor
# Taken off a support where all that a question names is unknown to the corpus, and else in proportion. Of the questions
# in `questions.jsonl` 18 of 124 that can be answered name something unknown, and 41 of 48 that cannot.
UNKNOWN = 0.6
WORDS = 0.1  # that the passage with the best words is before one without any, as a support
# Words that a sentence begins with where it goes on from the one before.
POINTS_BACK = re.compile(
    r"(?:it|its|they|their|this|that|these|those|such|so|then|thus|hence|therefore|otherwise|but|however|and|or|nor|also|"
    r"instead|in that case|for example|e\.g\.|the same|both|neither|there|else)\b",
    re.IGNORECASE,
)

Encode = Callable[[Sequence[str]], Any]  # to vectors of length 1, an array of shape (texts, dimensions)


@dataclass(frozen=True)
class Quote:
    """A statement of a passage.

    Attributes:
        passage, position: of the passage among those found, of the statement in it, from 0.
        support: from 0 to 1.
        words: how well the passage's words fit, beside those of the others, from 0 to `WORDS`.
    """

    said: Statement
    passage: int
    position: int
    support: float
    words: float = 0.0


class Support:
    """Finds how well the statements of passages support an answer. Safe to use from many threads."""

    def __init__(self, encode: Encode):
        self._encode = encode
        self._known: OrderedDict[str, Any] = OrderedDict()  # vectors
        self._lock = Lock()

    def quotes(self, question: str, passages: Sequence[Passage]) -> list[Quote]:
        """All statements, best supported first; of equals the better passage's, then the earlier."""
        every = [
            (said, number, position, f"{plain(passage.heading)}: {said.text}")
            for number, passage in enumerate(passages)
            for position, said in enumerate(statements(passage.content))
        ]
        if not every:
            return []
        unknown = {word for passage in passages for word in passage.scores.get("unknown", ())}
        less = UNKNOWN * min(1.0, len(unknown) / max(1, len(names(question))))
        scores = [passage.scores.get("text_score") or 0.0 for passage in passages]
        words = [WORDS * score / max([*scores, 1e-9]) for score in scores]
        vector = self._vectors([question])[0]
        found = [
            Quote(said, number, position, max(0.0, round(float(each @ vector) - less, DIGITS)), words[number])
            for (said, number, position, _), each in zip(every, self._vectors([one[3] for one in every]), strict=True)
        ]
        return sorted(found, key=lambda quote: (-quote.support - quote.words, quote.passage, quote.position))

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


def plain(heading: str) -> str:
    """A heading without marks of code."""
    return heading.replace("`", "")


def chosen(quotes: Sequence[Quote], settings: PromptSettings) -> list[Quote]:
    """The statements of an answer, all of one passage and in its order; none where it is to be refused.

    What a colon announces comes with it, and so does the sentence that one goes on from.
    """
    if not quotes or quotes[0].support < settings.refuse_below:
        return []
    best = quotes[0]
    mine = sorted((quote for quote in quotes if quote.passage == best.passage), key=lambda quote: quote.position)
    near = [
        quote
        for quote in quotes
        if quote.passage == best.passage and quote.support >= best.support - settings.keep_within
    ]
    kept: list[Quote] = []
    for quote in near:
        together = _together(mine, mine.index(quote))
        new = [one for one in together if one not in kept]
        if kept and len(kept) + len(new) > settings.sentences:
            break
        kept += new
    return sorted(kept, key=lambda quote: quote.position)


def _together(mine: Sequence[Quote], at: int) -> list[Quote]:
    """A statement with those that it cannot be read without: what announces it, or what it announces."""
    said = mine[at].said
    block = [one for one in mine if one.said.block == said.block]
    before = mine.index(block[0]) - 1
    found = [mine[at]]
    if said.prose:
        while found[0] != block[0] and POINTS_BACK.match(found[0].said.text):
            found.insert(0, mine[mine.index(found[0]) - 1])
    elif before >= 0 and mine[before].said.text.endswith(":"):
        found.insert(0, mine[before])
    if said.text.endswith(":") and mine[at] == block[-1] and at + 1 < len(mine):
        found += [one for one in mine if one.said.block == mine[at + 1].said.block and one not in found]
    return found


def said(quotes: Sequence[Quote]) -> list[str]:
    """Pieces of Markdown that add up to an answer."""
    pieces: list[str] = []
    shown: set[str] = set()
    before: Statement | None = None
    for quote in quotes:
        one = quote.said
        if one.shown in shown:  # several sentences of one item
            continue
        shown.add(one.shown)
        if before is None:
            pieces.append(one.shown)
        elif before.block == one.block:
            pieces.append((" " if one.prose and before.prose else "\n") + one.shown)
        else:
            pieces.append("\n\n" + one.shown)
        before = one
    return pieces
