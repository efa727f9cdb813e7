"""Documents as a reader sees them, questions made of them, and answers that come from them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestrator._checks.round_trip.crowds import check_core_at_once
from pytest_orchestrator._checks.round_trip.library import Library, read_library
from pytest_orchestrator._checks.round_trip.questions import (
    Known,
    broad_questions,
    known_questions,
    unknown_questions,
)
from pytest_orchestrator._checks.round_trip.support import (
    check_answered,
    check_cited,
    check_unknown,
)
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator.errors import GateFailed, Unverifiable

ROOT = Path(__file__).parent.parent
DOCUMENTS = ROOT / "oracle/python/core-domain/src/backend/core/documents"
ID = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
TEXT = """---
title: front matter of things
---
# The *Ants*

<!-- page 2 -->

Ants build mounds of needles under tall spruces. They carry
crumbs, [seeds](http://a.example) and **honeydew** along their trails.

| no | table |
|----|-------|

```
def code(): return "nothing of this counts"
```

<!-- page 3 -->

- Winged queens leave the mound on sultry afternoons in July.
"""
FIRST = (
    "Ants build mounds of needles under tall spruces. They carry crumbs, seeds and honeydew along "
    "their trails."
)


@pytest.fixture(scope="module")
def library() -> Library:
    """The documents of the oracle's core."""
    return read_library(DOCUMENTS.parent, "documents", "core")


def told(verdict: Verdict) -> set[str]:
    """By which rules."""
    return {finding.rule for finding in verdict.findings}


def from_the_book(known: Known, **changed: Any) -> Any:
    """The answer of a core that quotes the sentence, and cites where it stands."""
    sentence = known.sentence
    citation = {
        "source_document": sentence.document, "page": sentence.page,
        "chunk_id": f"{sentence.document}#{sentence.paragraph}", "relevance_score": 1.0,
    }  # fmt: skip
    return {
        "status": "answered", "answer": sentence.text, "interaction_id": ID,
        "citations": [{**citation, **changed}],
    }  # fmt: skip


def judged(library: Library, **changed: Any) -> set[str]:
    """What is found when all citations are changed so."""
    known = known_questions(library, 24)
    return told(check_answered([(k, from_the_book(k, **changed)) for k in known], library, "core"))


def test_document_is_read_as_prose() -> None:
    """With pages and paragraphs; without headings, tables, code and marks."""
    library = Library("documents", {"ants.md": TEXT})

    assert [(p.page, p.text) for p in library.paragraphs] == [
        (2, FIRST),
        (3, "Winged queens leave the mound on sultry afternoons in July."),
    ]
    assert library.pages("ants.md") == {2, 3}
    assert [s.text.split()[0] for s in library.sentences] == ["Ants", "They", "Winged"]


def test_page_may_end_with_a_form_feed() -> None:
    """As in texts made of PDF."""
    library = Library(
        "d", {"a.txt": "One sentence about walnuts and cherries.\fTwo of other kinds."}
    )

    assert library.pages("a.txt") == {1, 2}
    assert [p.page for p in library.paragraphs] == [1, 2]
    assert Library("d", {"a.txt": "No pages."}).pages("a.txt") == {None}


@pytest.mark.parametrize(
    "name", ["hive.md", "Hive.md", "hive", "documents/hive.md", "src/core/documents/hive.md",
             "The hive and its bees"],
)  # fmt: skip
def test_document_is_known_by_any_of_its_names(name: str, library: Library) -> None:
    """Path, name, stem or title; in any case."""
    assert library.named(name) == "hive.md"


@pytest.mark.parametrize("name", ["hive.pdf", "beehive.md", "bees", "", "hive.md.bak"])
def test_document_is_not_known_by_other_names(name: str, library: Library) -> None:
    """A name that is almost right is wrong."""
    assert library.named(name) is None


def test_library_that_cannot_be_read_is_told_apart(tmp_path: Path) -> None:
    """Nobody says where it is; nothing is there; it is no text."""
    with pytest.raises(Unverifiable, match=r"add documents = .* to \[services\.core\]"):
        read_library(tmp_path, None, "core")
    with pytest.raises(GateFailed, match="there are no documents in documents"):
        read_library(tmp_path, "documents", "core")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/a.pdf").write_bytes(b"%PDF")
    with pytest.raises(Unverifiable, match=r"are \.pdf, and only"):
        read_library(tmp_path, "documents", "core")


def test_questions_touch_every_page_and_are_the_same_again(library: Library) -> None:
    """A verdict does not depend on luck, and no page is left out while another has two."""
    known = known_questions(library, 12)

    assert known == known_questions(library, 12)
    assert len({(k.sentence.document, k.sentence.page) for k in known}) == 12
    assert all(len(q) <= 500 for q in broad_questions(library, 24))
    assert len(broad_questions(library, 24)) == 24


def test_unknown_questions_are_new_each_time(library: Library) -> None:
    """Half of the made-up ones name something that does stand in the documents."""
    one, other = (unknown_questions(library, 12, random.Random(seed)) for seed in (1, 2))  # noqa: S311 - to be repeated

    assert len(set(one)) == 12
    assert len(set(one) & set(other)) == 2
    assert sum(any(w in library.vocabulary for w in _stems(q)) for q in one[2:]) >= 4


def _stems(question: str) -> set[str]:
    return {word.strip("?").lower()[:5] for word in question.split() if len(word) > 4}


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "changed",
    [
        {}, {"chunk_id": "7f3c"}, {"relevance_score": 0.1, "snippet": "more"},
    ],
)  # fmt: skip
def test_answer_from_the_documents_is_fine(changed: dict[str, Any], library: Library) -> None:
    """Whatever chunks are called, if that is not contradictory."""
    if changed.get("chunk_id"):
        known = known_questions(library, 24)
        answers = [(k, from_the_book(k, chunk_id=f"{hash(k):x}")) for k in known]
        assert check_answered(answers, library, "core").passed
    else:
        assert judged(library, **changed) == set()


def test_answer_may_be_worded_otherwise(library: Library) -> None:
    """Half of the words in another order, as a model would."""
    known = known_questions(library, 24)
    answers = []
    for each in known:
        words = each.sentence.text.upper().split()
        text = "According to the documents: " + " ".join(reversed(words))
        answers.append((each, from_the_book(each) | {"answer": text}))

    assert check_answered(answers, library, "core").findings == ()


def test_passage_may_begin_on_the_page_before(library: Library) -> None:
    """Now and then; not throughout."""
    known = known_questions(library, 24)
    late = [k for k in known if (k.sentence.page or 0) > 1]
    some = [
        (k, from_the_book(k, page=k.sentence.page - 1, chunk_id=f"c{n}"))
        if k in late[:3] and k.sentence.page
        else (k, from_the_book(k, chunk_id=f"d{n}-"))
        for n, k in enumerate(known)
    ]

    assert check_answered(some, library, "core").findings == ()


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        ({"source_document": "hive.pdf"}, {"source", "cited-elsewhere"}),
        ({"source_document": "hive.md"}, {"cited-elsewhere", "page", "chunk"}),
        ({"page": 9}, {"page"}),
        ({"page": 0}, {"page"}),
        ({"page": None}, {"page"}),
        ({"page": 2.5}, {"page"}),
        ({"page": 1}, {"page"}),
        ({"chunk_id": "1"}, {"chunk"}),
        ({"chunk_id": " "}, {"chunk"}),
    ],
)
def test_citation_that_is_wrong_is_found(
    changed: dict[str, Any], rules: set[str], library: Library
) -> None:
    """A document that is not there, a page that is not in it, a chunk that is everywhere."""
    found = judged(library, **changed)

    assert found & rules
    assert found <= rules | {"cited-always"}


def test_pages_that_are_one_off_are_found(library: Library) -> None:
    """In either direction."""
    for step in (-1, 1):
        known = known_questions(library, 24)
        answers = [(k, from_the_book(k, page=(k.sentence.page or 0) + step)) for k in known]
        assert "page" in told(check_answered(answers, library, "core"))


def test_chunks_in_another_order_than_pages_are_found(library: Library) -> None:
    """Numbers that run against the document belong to other passages."""
    known = known_questions(library, 24)
    answers = [
        (k, from_the_book(k, chunk_id=f"{k.sentence.document}#{100 - k.sentence.paragraph}"))
        for k in known
    ]

    assert told(check_answered(answers, library, "core")) == {"chunk"}


def test_chunk_of_another_document_is_found(library: Library) -> None:
    """Its name says so."""
    known = known_questions(library, 24)
    answers = [
        (k, from_the_book(k, chunk_id=f"honey.md#{k.sentence.paragraph}"))
        for k in known
        if k.sentence.document != "honey.md"
    ]

    assert "chunk" in told(check_cited([a for _, a in answers], library, "core"))


def test_answer_that_says_something_else_is_found(library: Library) -> None:
    """Also if it is about bees; and a citation that stands under everything."""
    known = known_questions(library, 24)
    elsewhere = [(k, from_the_book(k) | {"answer": "Bees are insects."}) for k in known]
    nothing = [(k, from_the_book(k) | {"status": "unknown"}) for k in known]
    always = [
        (k, {**from_the_book(k), "citations": [
            *from_the_book(k)["citations"], *from_the_book(known[0])["citations"]]})
        for k in known
    ]  # fmt: skip

    assert told(check_answered(elsewhere, library, "core")) == {"unfounded"}
    assert told(check_answered(nothing, library, "core")) == {"not-answered"}
    assert told(check_answered(always, library, "core")) == {"cited-always"}


def test_quotation_that_is_not_cited_is_found(library: Library) -> None:
    """Two sentences of two documents, and one citation."""
    one, *others = known_questions(library, 12)
    other = next(o for o in others if o.sentence.document != one.sentence.document)
    both = f"{one.sentence.text} {other.sentence.text}"
    half = from_the_book(one) | {"answer": both}
    whole = half | {"citations": [*half["citations"], *from_the_book(other)["citations"]]}

    assert told(check_cited([half], library, "core")) == {"not-cited"}
    assert check_cited([whole], library, "core").passed


def test_guess_is_found() -> None:
    """The finding has the question and the guess."""
    verdict = check_unknown(
        "What is a snark?", {"status": "answered", "answer": "A boojum."}, "core"
    )

    assert told(verdict) == {"invented"}
    assert "'What is a snark?'" in verdict.findings[0].what
    assert "boojum" in verdict.findings[0].what
    assert check_unknown("?", {"status": "unknown", "answer": None}, "core").passed


def test_core_that_mixes_up_questions_is_found(library: Library) -> None:
    """By the answer that belongs to another, and by the interaction."""
    known = known_questions(library, 6)
    asked = [(k, ID) for k in known]
    right = [from_the_book(k) for k in known]
    swapped = [right[1], right[0], *right[2:]]
    renumbered = [right[0] | {"interaction_id": ID.replace("3", "4")}, *right[1:]]

    assert check_core_at_once(asked, right, "core").passed
    assert told(check_core_at_once(asked, swapped, "core")) == {"mixed-up"}
    assert told(check_core_at_once(asked, renumbered, "core")) == {"interaction-id"}
