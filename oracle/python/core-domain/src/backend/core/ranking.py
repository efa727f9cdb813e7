"""Which chunks answer a question best: BM25 ranks them, coverage decides whether any does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean

from library import Chunk

_K, _B = 1.5, 0.75
_ENOUGH = 0.5
_ENDING = re.compile(r"(?<=[a-z]{3})(ing|ed|es|s|e)$")
_WORD = re.compile(r"[a-z0-9]+")
_COMMON = frozenset(
    _WORD.findall(
        "a about an and any are as at be by can did do does for from get give had has have how "
        "i if in into is it its long many may me more much must my need of on or she should so "
        "take tell that the their them there they this to until up was we were what when where "
        "which who why will with would you your"
    )
)


def words(text: str) -> list[str]:
    """The words of a text that carry meaning, without their endings."""
    found = _WORD.findall(text.lower())
    return [_ENDING.sub("", word) for word in found if word not in _COMMON]


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk found; ``relevance`` is the share of the question it covers, 0 to 1."""

    chunk: Chunk
    relevance: float


class Index:
    """The words of all chunks, counted once."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._counted = [(c, Counter(words(f"{c.heading} {c.text}"))) for c in chunks]
        self._mean_length = fmean(counts.total() for _, counts in self._counted)
        self._chunks_with = Counter(word for _, counts in self._counted for word in counts)

    def search(self, question: str, limit: int = 3) -> list[Passage]:
        """The best chunks that cover enough of a question, best first; may be empty."""
        asked = set(words(question))
        weight = sum(map(self._rarity, asked))
        ranked = sorted(self._counted, key=lambda c: self._bm25(asked, c[1]), reverse=True)
        passages = [
            Passage(chunk, sum(map(self._rarity, asked & counts.keys())) / (weight or 1.0))
            for chunk, counts in ranked[:limit]
        ]
        return [passage for passage in passages if passage.relevance >= _ENOUGH]

    def _rarity(self, word: str) -> float:
        with_it = self._chunks_with[word]
        return log(1 + (len(self._counted) - with_it + 0.5) / (with_it + 0.5))

    def _bm25(self, asked: set[str], counts: Counter[str]) -> float:
        damping = _K * (1 - _B + _B * counts.total() / self._mean_length)
        return sum(self._rarity(w) * counts[w] * (_K + 1) / (counts[w] + damping) for w in asked)
