"""Whether a question of a conversation can only be understood with the one before it.

It says so by itself: it points to something that it does not name ("how do I undo it?"), goes on ("and on a Mac?"), or
names next to nothing ("why?"). How alike two questions are does not tell: both may well be about models.
"""

import re
from collections.abc import Sequence

from workloads.rag.answers import Passage, Turn
from workloads.rag.extractive import Quote
from workloads.rag.naming import WORD, held, names

GOES_ON = re.compile(
    r"(?:and|or|but|also|then|so|plus)\b(?!\s+far)|(?:what|how) (?:about|of|else|if not)\b|why not\b|"
    r"which (?:one|of)\b|(?:any|an|more|another|further) (?:example|detail)s?\b",
    re.IGNORECASE,
)
POINTS = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|those|these|both|either|neither|latter|former|same|instead|else|"
    r"otherwise|thereby|such|him|her|he|she)\b"
    r"|\bthis\b(?!\s+(?:platform|project|program|tool|product|software|system|package|application|machine|computer)\b)"
    r"|(?:^|\b(?:is|was|are|does|did|do|can|could|will|would|should|may|if|why|how|when|about|of|after|before|with|without|"
    r"for|like|on|by|from|to|than|doing)\s+)that\b"
    r"|\bthat\b(?=\s*[?.!,]|$)"
    r"|\b(?:ones?|others?|another)\b(?=\s*[?.,!]|$|\s+(?:is|are|was|does|do|should|can|will)\b)",
    re.IGNORECASE,
)
# Where "it" and "this" point to nothing: the weather, the time, what comes after ("is it possible to ...").
IDLE = re.compile(
    r"\b(?:is|was|isn't|would|will|could|can|does|do|makes?|finds?)\s+(?:it|this)\s+(?:be\s+)?(?:\w+ly\s+)?"
    r"(?:possible|necessary|true|safe|allowed|ok|okay|better|best|worth|hard|easy|likely|normal|wise|risky|dangerous|"
    r"matter|time)\b(?=\s+(?:to|that|if|when|whether|for|in)\b|\s*\?)"
    r"|\b(?:does|will|did|would|is|was)\s+it\s+(?:going to\s+)?(?:rain|snow|freez)\w*"
    r"|\bwhat time is it\b|\b(?:how long|how much time) does it take (?:to|until|for)\b|\btake(?:s|n)? it that\b",
    re.IGNORECASE,
)
# What is done with anything, and so may be asked in other words than a passage has.
DONE = frozenset(
    WORD.findall(
        "add call called change check decide decides find happen happens put remove see set start stop turn undo"
    )
)
NAMED = 2  # things that a question has named before it points: then it points to one of them


def follows(question: str) -> bool:
    """Whether a question says that it goes on from another."""
    text = question.strip()
    if GOES_ON.match(text) or not names(text):
        return True
    plain = IDLE.sub(" ", text)
    return any(len(names(plain[: found.start()])) < NAMED for found in POINTS.finditer(plain))


def about(question: str, passage: Passage) -> bool:
    """Whether a passage holds at least half of what a question names, or it names nothing."""
    text = f"{passage.heading} {passage.content}"
    return held(question, text, DONE) >= 0.5 or not set(names(question)) - DONE


def unsaid(quotes: Sequence[Quote], history: Sequence[Turn]) -> list[Quote]:
    """The quotes that no answer before held."""
    told = "\n".join(turn.answer for turn in history)
    return [quote for quote in quotes if quote.said.shown not in told]
