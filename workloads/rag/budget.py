"""How much of passages and history is used: counted in tokens of the embedder's own tokenizer (WordPiece).

A language model counts otherwise, by some tens of percent: the budget keeps prompts bounded, it does not fill a window
to the last token.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workloads.rag.answers import Passage, Turn
from workloads.sdk.kits.retrieval.embedder import NAME, published

TOKENIZER = f"WordPiece of {NAME}"


class Budget:
    """Counts tokens and cuts by them. Safe to use from many threads."""

    def __init__(self, tokenizer: Any = None):
        from tokenizers import Tokenizer

        self._tokenizer = tokenizer or Tokenizer.from_file(str(published() / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def cut(self, text: str, most: int) -> str:
        """The beginning of a text, of at most so many tokens."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return text if len(offsets) <= most else text[: offsets[most - 1][1] if most else 0]

    def passages(self, passages: Sequence[Passage], most: int) -> list[Passage]:
        """The best passages that fit together, in their order; the first is cut where it does not fit by itself."""
        kept: list[Passage] = []
        left = most
        for passage in passages:
            needed = self.count(passage.content)
            if needed > left and kept:
                break
            kept.append(passage if needed <= left else replace(passage, content=self.cut(passage.content, left)))
            left -= needed
        return kept

    def history(self, turns: Sequence[Turn], turns_most: int, most: int) -> list[Turn]:
        """The last turns that fit together, oldest first."""
        kept: list[Turn] = []
        left = most
        for turn in reversed(turns[-turns_most:] if turns_most else []):
            left -= self.count(turn.question) + self.count(turn.answer)
            if left < 0:
                break
            kept.insert(0, turn)
        return kept
