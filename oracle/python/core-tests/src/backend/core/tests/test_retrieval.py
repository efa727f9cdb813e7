"""Which passages are found, and how they are scored."""

from __future__ import annotations

from pathlib import Path

import library
import pytest
from ranking import Index

QUESTIONS = {
    "When is honey ripe?": "honey.md",
    "How do I treat varroa?": "winter.md",
    "When does the first swarm leave?": "swarms.md",
    "How long does it take until a queen emerges?": "hive.md",
}


@pytest.fixture(scope="module")
def index() -> Index:
    """The index core answers from."""
    return Index(library.load())


@pytest.mark.parametrize(("question", "source"), QUESTIONS.items())
def test_question_finds_its_document(index: Index, question: str, source: str) -> None:
    """The best passage comes from the document that is about the question."""
    assert index.search(question)[0].chunk.source_document == source


@pytest.mark.parametrize("question", ["What is the capital of France?", "", "what is the"])
def test_question_outside_the_documents_finds_nothing(index: Index, question: str) -> None:
    """A passage that covers less than half of a question is not an answer."""
    assert index.search(question) == []


def test_relevance_is_a_share(index: Index) -> None:
    """Relevance lies between the threshold and 1, and at most three passages are found."""
    passages = index.search("When is honey ripe for harvest and how much water does it hold?")

    assert 1 <= len(passages) <= 3
    assert all(0.5 <= passage.relevance <= 1 for passage in passages)


def test_a_rare_word_weighs_more_than_a_common_one(index: Index) -> None:
    """Of two words that no passage has both of, the rarer one decides."""
    sources = {p.chunk.source_document for p in index.search("botulism colony")}

    assert sources == {"honey.md"}


def test_page_marks_number_the_chunks_below_them(tmp_path: Path) -> None:
    """A chunk is on the page of the last mark above it; before the first there is none."""
    document = "# Title\n\nOne.\n\n<!-- page 7 -->\n\n## Part\n\nTwo\nlines.\n"
    (tmp_path / "a.md").write_text(document, encoding="utf-8")

    first, second = library.load(tmp_path)

    assert (first.page, first.heading, first.text) == (None, "Title", "One.")
    assert (second.page, second.heading, second.text) == (7, "Part", "Two lines.")
    assert first.chunk_id != second.chunk_id
