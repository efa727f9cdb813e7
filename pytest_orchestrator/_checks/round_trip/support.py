"""Whether core's answers come from its documents, and what they cite is really there."""

from __future__ import annotations

import re
from collections import defaultdict
from math import ceil
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.round_trip.library import stems
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_orchestrator._checks.round_trip.library import Library
    from pytest_orchestrator._checks.round_trip.questions import Known

_SHARED = 0.25
"""Of a sentence's distinctive words, those an answer about it must have at least."""
_TELLING_QUESTIONS = 6
_LAST_NUMBER = re.compile(r"(.*?)(\d+)$")

Answered = tuple["Known", Any]
"""A question, and the QueryResponse that core gave."""


def check_answered(answered: Sequence[Answered], library: Library, name: str) -> Verdict:
    """Whether questions about the documents are answered from them.

    Args:
        answered: Questions made of sentences, with what core answered; each is a
            QueryResponse. In any wording, with or without a model.
        library: The documents.
        name: What findings call core, e.g. ``"core POST /internal/query"``.

    Returns:
        For each answer: that there is none; that it says nothing of what the sentence says;
        that it cites what does not exist, or not where the sentence stands. For all together:
        that pages are one off throughout, that chunks are mixed up, that something is always
        cited.
    """
    findings = [finding for each in answered for finding in _answer(*each, library, name)]
    cited = [(c, library.named(c["source_document"])) for _, r in answered for c in r["citations"]]
    findings += [*_pages_off(answered, library, name), *_chunks(cited, library, name)]
    findings += _always_cited(answered, name)
    return Verdict("answered", tuple(dict.fromkeys(findings)))


def check_cited(responses: Sequence[Any], library: Library, name: str) -> Verdict:
    """Whether everything that is cited exists, and everything that is quoted is cited.

    Args:
        responses: QueryResponses of core, whatever was asked.
        library: The documents.
        name: What findings call core.
    """
    citations = [citation for response in responses for citation in response["citations"]]
    findings = [finding for each in citations for finding in _exists(each, library, name)]
    findings += [finding for each in responses for finding in _quoted(each, library, name)]
    cited = [(each, library.named(each["source_document"])) for each in citations]
    return Verdict("cited", tuple(dict.fromkeys((*findings, *_chunks(cited, library, name)))))


def check_unknown(question: str, response: Any, name: str) -> Verdict:
    """Whether what the documents do not say is unknown, and nothing is made up."""
    if response["status"] == "unknown":
        return Verdict("unknown")
    what = (
        f"{question!r}, which no document answers, is {response['status']}: "
        f"{shortened(repr(response['answer']), 120)}"
    )
    return Verdict("unknown", (Finding(name, what, "invented"),))


def says_of(known: Known, answer: str) -> bool:
    """Whether an answer has enough of the words that only the sentence asked about has."""
    words = known.sentence.distinctive
    return len(stems(answer) & words) >= max(1, ceil(_SHARED * len(words)))


def _answer(known: Known, response: Any, library: Library, name: str) -> Iterator[Finding]:
    asked, sentence = shortened(repr(known.question), 120), known.sentence
    stands = f"{sentence.document}{_on(sentence.page)} says it"
    if response["status"] != "answered":
        yield Finding(name, f"{asked} is {response['status']}, but {stands}", "not-answered")
        return
    if not says_of(known, response["answer"]):
        what = f"answers {asked} with {shortened(repr(response['answer']), 120)}, but {stands}"
        yield Finding(name, what, "unfounded")
    citations = response["citations"]
    for citation in citations:
        yield from _exists(citation, library, name)
    if citations and not any(
        library.named(c["source_document"]) == sentence.document for c in citations
    ):
        sources = ", ".join(sorted({c["source_document"] for c in citations}))
        yield Finding(name, f"answers {asked} citing {sources}, but {stands}", "cited-elsewhere")


def _exists(citation: Any, library: Library, name: str) -> Iterator[Finding]:
    source, page = citation["source_document"], citation["page"]
    document = library.named(source)
    if document is None:
        there = ", ".join(sorted(library.texts))
        what = f"cites {source!r}, which is no document; there are {there}"
        yield Finding(name, what, "source")
        return
    pages = library.pages(document)
    if page not in pages:
        known = ", ".join(str(p) for p in sorted(p for p in pages if p is not None))
        what = f"cites page {page} of {source}, which has {f'pages {known}' if known else 'none'}"
        yield Finding(name, what, "page")
    if not citation["chunk_id"].strip():
        yield Finding(name, f"cites an empty chunk of {source}", "chunk")


def _quoted(response: Any, library: Library, name: str) -> Iterator[Finding]:
    """Sentences that stand word for word in an answer, in documents that are not cited."""
    answer = " ".join((response["answer"] or "").split())
    cited = {(library.named(c["source_document"]), c["page"]) for c in response["citations"]}
    for sentence in library.sentences:
        # As above, a passage may begin on the page before.
        pages = {sentence.page, (sentence.page or 0) - 1}
        if sentence.text in answer and not cited & {(sentence.document, p) for p in pages}:
            what = f"quotes {sentence.document}{_on(sentence.page)} without citing it: "
            yield Finding(name, what + shortened(repr(sentence.text), 120), "not-cited")


def _pages_off(answered: Sequence[Answered], library: Library, name: str) -> Iterator[Finding]:
    """A passage may begin on the page before what is asked for; but not all of them do."""
    exact, near, wrong = 0, 0, []
    for known, response in answered:
        sentence = known.sentence
        pages = [
            c["page"]
            for c in response["citations"]
            if library.named(c["source_document"]) == sentence.document
        ]
        if not pages or sentence.page is None:
            continue
        if sentence.page in pages:
            exact += 1
        elif sentence.page - 1 in pages:
            near += 1
        else:
            wrong.append((sentence, pages))
    for sentence, pages in wrong:
        yield _elsewhere(sentence.document, pages, sentence.page, name, sentence.text)
    if near > exact:
        what = f"{near} of {near + exact} answers cite the page before the one that says it"
        yield Finding(name, what, "page")


def _elsewhere(document: str, pages: Any, page: float | None, name: str, text: str) -> Finding:
    cited = ", ".join(map(str, pages))
    what = f"cites page {cited} of {document} for {shortened(repr(text), 100)}{_on(page)}"
    return Finding(name, what, "page")


def _chunks(
    cited: Sequence[tuple[Any, str | None]], library: Library, name: str
) -> Iterator[Finding]:
    places: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for citation, document in cited:
        if document is None:
            continue
        chunk = citation["chunk_id"]
        places[document, chunk].add(citation["page"])
        others = [o for o in library.texts if o != document and chunk.lower().startswith(o.lower())]
        if others and not chunk.lower().startswith(document.lower()):
            what = f"cites chunk {chunk!r} as one of {document}; it is one of {others[0]}"
            yield Finding(name, what, "chunk")
    for (document, chunk), pages in places.items():
        if len(pages) > 1:
            named = " and ".join(sorted(map(str, pages)))
            what = f"cites chunk {chunk!r} of {document} on pages {named}"
            yield Finding(name, what, "chunk")
    yield from _out_of_order(places, name)


def _out_of_order(places: dict[tuple[str, str], set[Any]], name: str) -> Iterator[Finding]:
    """Numbered chunks of one document come in the order of its pages."""
    numbered: dict[tuple[str, str], list[tuple[float, int, str]]] = defaultdict(list)
    for (document, chunk), pages in places.items():
        number, page = _LAST_NUMBER.fullmatch(chunk), next(iter(pages))
        if number and page is not None and len(pages) == 1:
            numbered[document, number[1]].append((page, int(number[2]), chunk))
    for (document, _), chunks in numbered.items():
        for page, own, chunk in chunks:
            before = [c for p, n, c in chunks if p < page and n > own]
            if before:
                what = f"cites chunk {chunk!r} of {document}{_on(page)}, after {before[0]!r}"
                yield Finding(name, f"{what} of an earlier page", "chunk")
                break


def _always_cited(answered: Sequence[Answered], name: str) -> Iterator[Finding]:
    pages = {(known.sentence.document, known.sentence.page) for known, _ in answered}
    if len(pages) < _TELLING_QUESTIONS:
        return
    sets = [
        {(c["source_document"], c["chunk_id"]) for c in response["citations"]}
        for _, response in answered
        if response["citations"]
    ]
    for source, chunk in sorted(set.intersection(*sets)) if sets else ():
        what = f"cites chunk {chunk!r} of {source} for each of {len(sets)} different questions"
        yield Finding(name, what, "cited-always")


def _on(page: float | None) -> str:
    return "" if page is None else f" on page {page:g}"
