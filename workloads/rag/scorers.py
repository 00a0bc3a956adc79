"""Scores of one answer to one question, each a number in [0, 1]; they need neither a key nor a model.

Words are compared as runs of letters, digits and underscores, in lower case; so `10**-2`, quotes and line ends do not
count. What a score does not apply to (where to find what no passage holds) is NaN.
"""

import math
import re
from collections.abc import Collection, Sequence
from typing import Protocol

from workloads.rag.questions import Gold, Question
from workloads.sdk.contract import Metric

K = 10  # passages that retrieval is judged by
SUPPORTED = 0.6  # share of a sentence's content words that one cited passage must hold
NOT_APPLICABLE = math.nan

METRICS = (
    Metric("quality", "What is right of an answer as far as the corpus supports it; refusing what it does not answer."),
    Metric("recall", f"Share of the gold passages among the first {K} that were retrieved."),
    Metric("reciprocal_rank", "1 / rank of the first gold passage; its mean is MRR."),
    Metric("ndcg", f"Discounted gain of the gold passages among the first {K}, over the best possible."),
    Metric("coverage", "Share of the key concepts that an answer holds."),
    Metric("citations", "Harmonic mean of how much of what is cited is gold, and how much of the gold is cited."),
    Metric("groundedness", "Share of an answer's sentences that a cited passage supports."),
    Metric("passage", "Whether what an answer rests on first holds the answer: its place, with the key concepts."),
    Metric("refusal", "Whether what the corpus does not answer was refused, and nothing else."),
    Metric("judged", "What a judge model says of an answer beside the expected one; no rows where none is configured."),
    Metric("milliseconds", "Time of one answer, asked by itself.", higher_is_better=False, unit="ms"),
)

WORD = re.compile(r"[^\W_]+(?:_+[^\W_]+)*|_+[^\W_]\w*", re.UNICODE)
MARK = re.compile(r"\[[\d,;\s]+\]")  # a citation in an answer
SOURCES = re.compile(r"^\s*sources?:.*", re.IGNORECASE | re.MULTILINE | re.DOTALL)  # and a list of them at its end
SENTENCE = re.compile(r"(?<=[.!?])[\"'”)]*\s+(?=[\"'“(\[`*]*[A-Z0-9])|\n{2,}|\n(?=\s*(?:[-*•]|\d+\.)\s)")
# Words that stand in any text, so that they support nothing.
COMMON = set(
    WORD.findall(
        """
    a an and are as at be been but by can could did do does for from had has have how if in into is it its may more must
    no nor not of on only or other our so some such than that the their them then there these they this those to was we
    were what when where which while who why will with would you your
        """
    )
)


class Passage(Protocol):
    """A chunk that was retrieved."""

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def heading(self) -> str: ...
    @property
    def content(self) -> str: ...


# --- retrieval ------------------------------------------------------------------------------------------------------


def ranks(gold: Sequence[Gold], passages: Sequence[Passage]) -> list[int | None]:
    """For each gold passage the rank of the first retrieved chunk that stands there, from 1; None: there is none."""
    return [
        next((at for at, each in enumerate(passages, 1) if one.found(each.path, each.heading)), None) for one in gold
    ]


def recall(gold: Sequence[Gold], passages: Sequence[Passage], k: int = K) -> float:
    """Share of the gold passages that stand among the first `k` chunks."""
    return _mean([rank is not None and rank <= k for rank in ranks(gold, passages)])


def reciprocal_rank(gold: Sequence[Gold], passages: Sequence[Passage]) -> float:
    """1 / rank of the first chunk that stands in a gold passage, 0 where none does; MRR is its mean."""
    found = [rank for rank in ranks(gold, passages) if rank]
    return (1 / min(found) if found else 0.0) if gold else NOT_APPLICABLE


def ndcg(gold: Sequence[Gold], passages: Sequence[Passage], k: int = K) -> float:
    """Discounted gain of the gold passages among the first `k` chunks, over the best possible.

    Järvelin and Kekäläinen (2002), with one grade. A gold passage gains where it is met first; two that one chunk holds
    count as if they stood at the two best ranks, at most.
    """
    found = [1 / math.log2(1 + rank) for rank in ranks(gold, passages) if rank and rank <= k]
    best = [1 / math.log2(1 + rank) for rank in range(1, min(k, len(gold)) + 1)]
    return min(1.0, sum(found) / sum(best)) if gold else NOT_APPLICABLE


# --- the answer -----------------------------------------------------------------------------------------------------


def coverage(concepts: Sequence[str], answer: str) -> float:
    """Share of the key concepts whose words stand in the answer, next to each other."""
    text = words(answer)
    return _mean([_stands(words(concept), text) for concept in concepts])


def citations(gold: Sequence[Gold], passages: Sequence[Passage], cited: Collection[str]) -> float:
    """How right the citations are: the harmonic mean of the share of them that are gold, and of gold that is cited.

    One that names no retrieved chunk is wrong like any other.
    """
    if not gold:
        return NOT_APPLICABLE
    chosen = [each for each in passages if each.id in cited]
    right = [each for each in chosen if any(one.found(each.path, each.heading) for one in gold)]
    precision = len({each.id for each in right}) / len(set(cited)) if cited else 0.0
    found = _mean([rank is not None for rank in ranks(gold, chosen)])
    return 2 * precision * found / (precision + found) if precision and found else 0.0


def passage(question: Question, passages: Sequence[Passage], cited: Sequence[str]) -> float:
    """1 where the passage that an answer cites first stands in a gold place and holds all key concepts."""
    if not question.answerable:
        return NOT_APPLICABLE
    first = next((each for each in passages if each.id in cited[:1]), None)
    if first is None:
        return 0.0
    stands = any(one.found(first.path, first.heading) for one in question.gold)
    return float(stands and coverage(question.key_concepts, f"{first.heading}\n{first.content}") == 1)


def groundedness(answer: str, cited: Sequence[Passage]) -> float:
    """Share of the answer's sentences that a cited passage supports; 0 for an answer that says nothing.

    A passage supports a sentence where it holds every number of it, and `SUPPORTED` of its content words. This tells
    invented content from cited content; it does not tell a sentence that turns its source's meaning around.
    """
    texts = [set(words(each.content)) for each in cited]
    said = [_content(sentence) for sentence in sentences(answer)]
    return (
        _mean([any(_supports(text, sentence) for text in texts) for sentence in said if sentence]) if any(said) else 0.0
    )


def refusal(answerable: bool, refused: bool) -> float:
    """1 where what the corpus does not answer was refused, and what it does answer was not."""
    return float(refused != answerable)


def quality(question: Question, answer: str, refused: bool, cited: Sequence[str], passages: Sequence[Passage]) -> float:
    """One number of an answer: what is right of it, as far as the corpus supports it.

    Where the corpus answers: the mean of `coverage` and `citations`, times `groundedness`; 0 for a refusal. Where it
    does not: 1 for a refusal, else 0.
    """
    if refused or not question.answerable:
        return refusal(question.answerable, refused)
    right = (coverage(question.key_concepts, answer) + citations(question.gold, passages, cited)) / 2
    return right * groundedness(answer, [each for each in passages if each.id in cited])


# --- texts ----------------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """A text's words in lower case; what is joined by underscores is one."""
    return [word.lower() for word in WORD.findall(text)]


def sentences(answer: str) -> list[str]:
    """An answer's sentences, without marks and lists of citations; a mark ends one, as each names its own passage."""
    parts = [part for piece in MARK.split(SOURCES.sub("", answer)) for part in SENTENCE.split(piece)]
    return [part.strip() for part in parts if words(part)]


def _content(sentence: str) -> list[str]:
    found = words(sentence)
    return [word for word in found if word not in COMMON] or found


def _supports(text: Collection[str], sentence: Sequence[str]) -> bool:
    numbers = [word for word in sentence if word.isdecimal()]
    return all(number in text for number in numbers) and _mean([word in text for word in sentence]) >= SUPPORTED


def _stands(part: Sequence[str], text: Sequence[str]) -> bool:
    size = len(part)
    return any(list(text[at : at + size]) == list(part) for at in range(len(text) - size + 1))


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else NOT_APPLICABLE
