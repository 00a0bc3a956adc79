"""The words of a text that name something: all but those that any text has."""

import re
from collections.abc import Collection

WORD = re.compile(r"[^\W\d_][\w'-]*")
# Words that name nothing by themselves.
EMPTY = frozenset(
    WORD.findall("""
    a about after again all also always am an and any anything are as at be because been before being but by can
    could did do does doing done else ever exactly explain far few for from further get give go good had has
    have he her here him his how i if in instead into is it its itself just kind know least less let like long
    longer make many may me mean means might mine more most much must my need never next no not nothing now of
    off often ok on once one ones only or other others our out over own part please possible really same say
    shall she should show so some somebody something soon still such sure take tell than thank thanks that the
    their them then there these they thing things this those though to too try under until up us use used very
    want was way we well were what when where whether which while who whom whose why will with without work
    works would yes yet you your example examples detail details
    """)
)


def names(text: str) -> list[str]:
    """The words of a text that name something, in lower case."""
    return [word for word in (each.lower() for each in WORD.findall(text)) if word not in EMPTY and len(word) > 1]


def stem(word: str) -> str:
    """A word's beginning: enough to know it again in another form."""
    return word[:5]


def held(question: str, text: str, without: Collection[str] = ()) -> float:
    """Which share of the things that a question names a text holds, from 0 to 1; 0 where it names nothing.

    Args:
        without: words that do not count.
    """
    named = {stem(word) for word in names(question) if word not in without}
    there = {stem(word) for word in WORD.findall(text.lower())}
    return len(named & there) / len(named) if named else 0.0
