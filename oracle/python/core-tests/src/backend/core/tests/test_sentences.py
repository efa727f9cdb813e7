"""How an answer is composed of sentences."""

from __future__ import annotations

from library import Chunk
from ranking import Passage
from sentences import compose


def passage(name: str, text: str, relevance: float) -> Passage:
    """A passage with a text."""
    return Passage(Chunk(name, "fruit.md", None, "", text), relevance)


APPLES = passage("apples", "Apples ripen in autumn. Some ripen late.", 0.6)
PEARS = passage("pears", "Pears keep badly.", 0.9)


def test_answer_begins_with_the_sentence_that_says_most() -> None:
    """Sentences come in the order of what they cover, citations in that of their relevance."""
    answer, cited = compose("When do apples ripen, and do pears keep?", [PEARS, APPLES])

    assert answer == "Pears keep badly. Apples ripen in autumn."
    assert [p.chunk.chunk_id for p in cited] == ["pears", "apples"]


def test_less_relevant_passage_is_cited_last() -> None:
    """A passage whose sentence comes first may still be the less relevant one."""
    answer, cited = compose("When do apples ripen in autumn, and pears?", [PEARS, APPLES])

    assert answer == "Apples ripen in autumn. Pears keep badly."
    assert [p.chunk.chunk_id for p in cited] == ["pears", "apples"]


def test_sentence_that_adds_nothing_is_left_out() -> None:
    """What the first sentence covers is not said again, nor its passage cited twice."""
    answer, cited = compose("When do apples ripen?", [APPLES, PEARS])

    assert answer == "Apples ripen in autumn."
    assert [p.chunk.chunk_id for p in cited] == ["apples"]
