"""Whether a page shows what the api answered, in whatever elements and wording."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.pages import read_page
from pytest_orchestrator._checks.round_trip.meaning import same_id
from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.round_trip.journey import Shown, ShownCitation

_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:[.,]\d+)?(?![\w]|[.,]\d)")
# What programs show for what is not there, and a page that is not there.
_MADE_UP_PAGE = re.compile(r"\b(None|null|undefined|NaN)\b|\b[Pp](age|g\.?|\.)?:?\s*\d")
_FRAME = frozenset(("footer", "form", "h1", "header", "nav", "title"))
_FIELDS = frozenset(("answer", "citation", "interaction_id", "status"))


def not_shown(answer: Any, shown: Shown, where: str) -> Iterator[Finding]:
    """What of the api's answer a page does not show, or shows otherwise.

    White space does not count, nor how numbers are written: page 3 may be ``3.0``,
    relevance 0.618 ``0.62``, ``61.8 %`` or ``62 %``. Citations follow the answer's order.

    Args:
        answer: The QueryResponse the frontend got.
        shown: What its page shows.
        where: For findings, e.g. ``"frontend POST /"``.
    """
    yield from _status(shown, answer["status"], where)
    if answer["answer"] is not None:
        yield from _one(shown.answers, answer["answer"], "answer", where)
    elif shown.answers:
        what = f"shows the answer {_told(shown.answers[0])}; the api gave none"
        yield Finding(where, what, "answer")
    ids = shown.interaction_ids
    if len(ids) != 1 or not same_id(ids[0], answer["interaction_id"]):
        what = f"shows interaction {_list(ids)}; the api answered {answer['interaction_id']}"
        yield Finding(where, what, "interaction-id")
    yield from _citations(answer["citations"], shown.citations, where)


def failure_not_shown(shown: Shown, where: str) -> Iterator[Finding]:
    """What keeps a page from saying that there is no answer."""
    yield from _status(shown, "error", where)
    if shown.answers:
        what = f"shows the answer {_told(shown.answers[0])}, although there is none"
        yield Finding(where, what, "answer")
    if shown.citations:
        what = f"shows {len(shown.citations)} citation(s), although there is no answer"
        yield Finding(where, what, "citations")


def taken_for_markup(html: str, tag: str, where: str) -> Iterator[Finding]:
    """Where a text with ``<tag …>`` in it has become markup, or is shown with its escapes.

    Args:
        html: The page.
        tag: Name of an element that only that text has.
        where: For findings.
    """
    page = read_page(html)
    inside = [e for e in page.elements if tag in e.tag or any(tag in a for a in e.attributes)]
    if inside:
        what = f"<{inside[0].tag}> of a text has become an element of the page; escape it"
        yield Finding(where, what, "escaping")
    texts = [value for e in page.elements for value in (*e.parts, *e.attributes.values())]
    if any(f"&lt;{tag}" in text or f"&amp;lt;{tag}" in text for text in texts):
        yield Finding(where, f"shows '&lt;{tag}' for '<{tag}': escaped twice", "escaping")


def says_nothing(html: str, answered: str, where: str) -> Iterator[Finding]:
    """Whether a page without an answer has no words for that.

    Args:
        html: The page of a question that is unknown or in error.
        answered: The page of one that is answered, for what stands on either.
        where: For findings.
    """
    if not _own_words(html) - _own_words(answered):
        what = "has no sentence that says that there is no answer"
        yield Finding(where, what, "sentence")


def _own_words(html: str) -> Counter[str]:
    """The words of a page besides its frame and what it is asked to show."""
    page = read_page(html)
    left = Counter(" ".join(page.texts).split())
    apart = [e for e in page.elements if e.tag in _FRAME or e.marked_as in _FIELDS]
    for element in apart:
        if not any(outer in apart for outer in element.around):
            left -= Counter(" ".join(element.parts).split())
    return left


def _status(shown: Shown, expected: str, where: str) -> Iterator[Finding]:
    """The word itself; how it is capitalised is a matter of taste."""
    return _one(tuple(text.lower() for text in shown.statuses), expected, "status", where)


def _one(texts: tuple[str, ...], expected: str, name: str, where: str) -> Iterator[Finding]:
    if len(texts) == 1 and _same_text(texts[0], expected):
        return
    if not texts:
        what = f'has no {name}: an element with data-field="{name}" that shows {_told(expected)}'
    else:
        what = f"shows {name} {_list(texts)}; it must be {_told(expected)}"
    yield Finding(where, what, name)


def _citations(cited: list[Any], shown: tuple[ShownCitation, ...], where: str) -> Iterator[Finding]:
    if len(cited) != len(shown):
        names = [c["source_document"] for c in cited]
        what = f"shows {len(shown)} citation(s), the api gave {len(cited)}: {shortened(str(names))}"
        yield Finding(where, what, "citations")
        return
    for number, (citation, seen) in enumerate(zip(cited, shown, strict=True), start=1):
        if lacking := [name for name in _PARTS if not _PARTS[name](citation, seen)]:
            what = (
                f"citation {number} is {_told(seen.text)}, without {' and '.join(lacking)} of "
                f"{_told(citation)}"
            )
            yield Finding(where, what, "citations")


def _has_document(citation: Any, seen: ShownCitation) -> bool:
    marked = seen.fields.get("source_document", seen.text)
    return _squeezed(citation["source_document"]) in _squeezed(marked)


def _has_page(citation: Any, seen: ShownCitation) -> bool:
    page = citation["page"]
    if page is None:
        return not (
            re.search(r"\d", seen.fields.get("page", ""))
            or _MADE_UP_PAGE.search(_rest(citation, seen, "page"))
        )
    return any(value == page for value, _, _ in _numbers(_rest(citation, seen, "page")))


def _has_relevance(citation: Any, seen: ShownCitation) -> bool:
    score = citation["relevance_score"]
    for value, decimals, percent in _numbers(_rest(citation, seen, "relevance_score")):
        shown, step = (
            (value / 100, 10.0 ** -(decimals + 2)) if percent else (value, 10.0**-decimals)
        )
        if abs(shown - score) < (step if percent or decimals else 1e-9):
            return True
    return False


def _has_chunk(citation: Any, seen: ShownCitation) -> bool:
    marked = seen.fields.get("chunk_id")
    return marked is None or _squeezed(citation["chunk_id"]) in _squeezed(marked)


_PARTS = {
    "its document": _has_document,
    "its page": _has_page,
    "its relevance": _has_relevance,
    "its chunk": _has_chunk,
}


def _rest(citation: Any, seen: ShownCitation, name: str) -> str:
    """The marked element if there is one, else all but what has digits of its own."""
    if name in seen.fields:
        percent = "%" if f"{seen.fields[name]}%" in _squeezed(seen.text) else ""
        return seen.fields[name] + percent
    text = seen.text
    for part in (citation["chunk_id"], citation["source_document"]):
        text = text.replace(" ".join(part.split()), " ")
    return text


def _numbers(text: str) -> Iterator[tuple[float, int, bool]]:
    """The numbers of a text: value, decimals, and whether a percent sign follows."""
    for found in _NUMBER.finditer(text):
        digits = found[0].replace(",", ".")
        decimals = len(digits.partition(".")[2])
        percent = text[found.end() :].lstrip()[:1] == "%"
        yield float(digits), decimals, percent


def _same_text(one: str, other: str) -> bool:
    return _squeezed(one) == _squeezed(other)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(map(_told, texts)) or "nothing"


def _told(value: object) -> str:
    return shortened(repr(value), 200)


def interaction_in_header(headers: Any, expected: object, where: str) -> Iterator[Finding]:
    """Whether ``X-Interaction-Id`` is that of the body."""
    given = headers.get("x-interaction-id")
    if given is None or not same_id(given, expected):
        what = f"the header X-Interaction-Id is {given or 'missing'}; the body says {expected}"
        yield Finding(where, what, "interaction-header")
