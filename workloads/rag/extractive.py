"""The answerer that needs no language model: it quotes the passage that supports an answer best.

A statement's support is the cosine of its vector, taken together with its heading, and the question's. A passage is
backed by the best of its statements, or of the questions that it is said to answer, and by what it holds of the things
that the question names; less where the question names what the whole corpus does not know. That decides what is
refused, whichever answerer is in use. Which passage is quoted, its own vector, its heading and the words that it shares
with the question decide too. It is deterministic: equal passages give equal answers.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workloads.rag.answers import Passage
from workloads.rag.naming import held, names
from workloads.rag.settings import PromptSettings
from workloads.sdk.kits.retrieval.chunking import BETWEEN
from workloads.sdk.kits.retrieval.sentences import Statement, statements

KEPT = 30_000  # vectors that are kept in memory, 1.5 kB each: all that the default corpus has to say
DIGITS = 3  # of a support: what differs by less is equal, on any processor
# Beside the best cosine, which has 1: what a passage holds of the things that a question names, and what is taken off
# where all of them are unknown to the corpus, else in proportion.
NAMED, UNKNOWN = 0.3, 0.3
# And which passage is quoted: its own cosine, that of its last heading, and its words, of which the best have 1. All
# five were chosen by `questions.jsonl`, coarsely: figures are flat around them.
WHOLE, HEADING, WORDS = 0.5, 0.5, 0.3
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
        support: of the statement, from 0 to 1.
        backed: how well the whole passage does, from 0 to 1: what is refused is decided by it.
    """

    said: Statement
    passage: int
    position: int
    support: float
    backed: float = 0.0


class Support:
    """Finds how well the statements of passages support an answer. Safe to use from many threads."""

    def __init__(self, encode: Encode):
        self._encode = encode
        self._known: OrderedDict[str, Any] = OrderedDict()  # vectors
        self._lock = Lock()

    def quotes(self, question: str, passages: Sequence[Passage]) -> list[Quote]:
        """All statements, the best passage's first, and of each passage the best supported; of equals the earlier."""
        said = [[(one, f"{plain(passage.heading)}: {one.text}") for one in statements(passage.content)]
                for passage in passages]  # fmt: skip
        headings = [plain(passage.heading).rpartition(BETWEEN)[2] for passage in passages]
        texts = [text for each in said for _, text in each] + [text for each in passages for text in each.asked]
        like = self._likeness(question, [*texts, *headings])
        unknown = {word for passage in passages for word in passage.scores.get("unknown", ())}
        less = UNKNOWN * min(1.0, len(unknown) / max(1, len(names(question))))
        most = max([passage.scores.get("text_score") or 0.0 for passage in passages], default=0.0)
        ranked: list[tuple[float, list[Quote]]] = []
        for number, passage in enumerate(passages):
            if not said[number]:
                continue
            fit = max(like[text] for text in [*(text for _, text in said[number]), *passage.asked])
            fit += NAMED * held(question, " ".join((passage.heading, passage.content, *passage.asked)))
            backed = _support(fit / (1 + NAMED) - less)
            mine = [Quote(one, number, at, _support(like[text]), backed) for at, (one, text) in enumerate(said[number])]
            mine.sort(key=lambda quote: (-quote.support, quote.position))
            whole = WHOLE * (passage.scores.get("similarity") or 0.0) + HEADING * like[headings[number]]
            words = WORDS * (passage.scores.get("text_score") or 0.0) / (most or 1.0)
            ranked.append((round(fit + whole + words, DIGITS), mine))
        return [quote for _, mine in sorted(ranked, key=lambda each: -each[0]) for quote in mine]  # stable: as found

    def _likeness(self, question: str, texts: Sequence[str]) -> dict[str, float]:
        """The cosine of each text and the question."""
        vector, *others = self._vectors([question, *texts])
        return {text: float(each @ vector) for text, each in zip(texts, others, strict=True)}

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


def best(quotes: Sequence[Quote]) -> float:
    """How well an answer of these quotes is backed; 0 for none."""
    return quotes[0].backed if quotes else 0.0


def plain(heading: str) -> str:
    """A heading without marks of code."""
    return heading.replace("`", "")


def _support(likeness: float) -> float:
    return max(0.0, round(likeness, DIGITS))


def chosen(quotes: Sequence[Quote], settings: PromptSettings) -> list[Quote]:
    """The statements of an answer, all of one passage and in its order; none where it is to be refused.

    What a colon announces comes with it, and so does the sentence that one goes on from.
    """
    if not quotes or best(quotes) < settings.refuse_below:
        return []
    first = quotes[0]
    mine = sorted((quote for quote in quotes if quote.passage == first.passage), key=lambda quote: quote.position)
    near = [
        quote
        for quote in quotes
        if quote.passage == first.passage and quote.support >= first.support - settings.keep_within
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
