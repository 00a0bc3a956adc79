"""What a word is, in any script: letters with their marks, digits and `_` after each other.

A character of a script that is written without spaces (Chinese, Japanese, Thai, ...) is a word of its own, as Unicode's
default rules (UAX 29) have it for ideographs, and so is an emoji.
"""

import re
from collections.abc import Callable
from unicodedata import category, name, normalize

UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}  # how names of such characters begin


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return normalize("NFC", text).lower().translate(_WORDS).split()


def alike(text: str) -> list[str]:
    """The words by which texts are alike: digits do not count, unless a text holds nothing else.

    None only of a text without a sign.
    """
    return words(re.sub(r"[\d_]", " ", text)) or text.split()


def length(text: str) -> int:
    """How many words a text has as people count them: spaces divide it, where its script has any."""
    return len(text.translate(_APART).split())


class _Signs(dict[int, str]):
    """What `str.translate` makes of a character, found when it is first met."""

    def __init__(self, made: Callable[[str], str]):
        super().__init__()
        self.made = made

    def __missing__(self, code: int) -> str:
        self[code] = self.made(chr(code))
        return self[code]


def _apart(sign: str) -> str:
    """The character, between spaces where it is a word of its own."""
    alone = category(sign) == "So" or name(sign, "").split(" ")[0] in UNSPACED
    return f" {sign} " if alone else sign


def _of_words(sign: str) -> str:
    if (kind := category(sign)) == "Cf" or name(sign, "").startswith("VARIATION SELECTOR"):
        return ""  # joins or divides nothing: a soft hyphen, the look of an emoji
    return _apart(sign) if sign.isalnum() or sign == "_" or kind[0] == "M" or kind == "So" else " "


_APART, _WORDS = _Signs(_apart), _Signs(_of_words)
