"""Compose an answer from the sentences that say most about a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ranking import Passage, words

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_AT_MOST = 2


class _Sentence(NamedTuple):
    """A sentence, the words in it that carry meaning, and where it stands."""

    text: str
    words: frozenset[str]
    passage: Passage


def compose(question: str, passages: Sequence[Passage]) -> tuple[str, Sequence[Passage]]:
    """Take sentences, from whichever passages, as long as each covers more of the question.

    Returns the sentences in the order in which they were chosen, and the
    passages they come from, the most relevant first.
    """
    missing = set(words(question))
    chosen: list[_Sentence] = []
    left = [sentence for passage in passages for sentence in _sentences(passage)]
    while left and len(chosen) < _AT_MOST:
        best = max(left, key=lambda s: (len(s.words & missing), s.passage.relevance))
        if chosen and not best.words & missing:
            break
        chosen.append(best)
        left.remove(best)
        missing -= best.words
    used = {s.passage.chunk.chunk_id: s.passage for s in chosen}.values()
    return " ".join(s.text for s in chosen), sorted(used, key=lambda p: -p.relevance)


def _sentences(passage: Passage) -> list[_Sentence]:
    return [
        _Sentence(text, frozenset(words(text)), passage)
        for text in _SENTENCE_END.split(passage.chunk.text)
    ]
