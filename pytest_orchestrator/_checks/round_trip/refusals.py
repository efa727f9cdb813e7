"""Questions that cannot be taken: refused with reasons, and the reasons shown."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.pages import read_page
from pytest_orchestrator._checks.round_trip.forms import QUESTION
from pytest_orchestrator._checks.round_trip.journey import shown_on
from pytest_orchestrator._domain.hop import Reply
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.pages import Page
    from pytest_orchestrator._checks.round_trip.journey import Heard, Journey
    from pytest_orchestrator._checks.round_trip.script import Answers

_PROBLEM = "application/problem+json"

BAD_BODIES: Mapping[str, bytes] = {
    "empty-question": b'{"question": ""}',
    "blank-question": b'{"question": " \\n "}',
    "too-long": json.dumps({"question": "why " * 125 + "so?"}).encode(),
    "no-question": b"{}",
    "null-question": b'{"question": null}',
    "number": b'{"question": 7}',
    "null": b"null",
    "not-json": b'{"question": "why',
    "nothing": b"",
}
"""Requests the api must refuse, by what is wrong with them."""


def check_refused(heard: Heard, asked_core: int, name: str) -> Verdict:
    """Whether a request that breaks a rule is a client's error, told in a problem document.

    Args:
        heard: The answer.
        asked_core: How often core was asked meanwhile.
        name: Who answered, e.g. ``"api POST /api/query"``.
    """
    return Verdict("refused", tuple(_refused(heard, asked_core, name)))


def refusing(reason: str) -> Answers:
    """Refuse a question, as the api does."""
    problem = {
        "type": "about:blank", "title": "Bad Request", "status": 400,
        "errors": [{"name": "question", "reason": reason}],
    }  # fmt: skip
    return lambda _: Reply(400, json.dumps(problem).encode(), _PROBLEM)


def check_refusal_shown(journey: Journey, reason: str) -> Verdict:
    """Whether the page shows the api's reason, and keeps the question for another try."""
    return Verdict("refused", tuple(_refusal_shown(journey, reason)))


def _refused(heard: Heard, asked_core: int, name: str) -> Iterator[Finding]:
    if heard.why:
        yield Finding(name, heard.why, heard.rule)
        return
    if heard.status_code != HTTPStatus.BAD_REQUEST:
        yield Finding(name, f"answers {heard.status_code}; a bad request is 400", "http-status")
    elif heard.media_type != _PROBLEM:
        what = f"the content type is {heard.media_type or 'missing'}; it must be {_PROBLEM}"
        yield Finding(name, what, "content-type")
    elif not _reasons(heard.json):
        what = f"gives no reasons in errors: {shortened(repr(heard.text), 120)}"
        yield Finding(name, what, "reasons")
    if asked_core:
        yield Finding(name, "asks core all the same", "not-refused")


def _reasons(problem: Any) -> list[Any]:
    errors = problem.get("errors") if isinstance(problem, dict) else None
    if not isinstance(errors, list):
        return []
    return [e for e in errors if isinstance(e, dict) and e.get("name") and e.get("reason")]


def _refusal_shown(journey: Journey, reason: str) -> Iterator[Finding]:
    where, heard = "frontend page", journey.heard
    if heard.why:
        yield Finding(where, heard.why, heard.rule)
        return
    if heard.status_code != HTTPStatus.BAD_REQUEST:
        what = f"answers {heard.status_code} for a question the api refuses; 400 is agreed"
        yield Finding(where, what, "http-status")
    page, shown = read_page(heard.text), shown_on(heard.text)
    if shown.answers or {"answered", "unknown"} & set(shown.statuses):
        yield Finding(where, "shows an outcome of a question that was refused", "status")
    if not any(reason in part for element in page.elements for part in element.parts):
        yield Finding(where, f"does not show the api's reason, {reason!r}", "reasons")
    if journey.question.strip() not in {text.strip() for text in _in_form(page)}:
        yield Finding(where, "does not keep the question in its form", "form")


def _in_form(page: Page) -> Iterator[str]:
    for element in page.elements:
        if element.attributes.get("name") == QUESTION:
            yield (
                "".join(element.parts)
                if element.tag == "textarea"
                else (element.attributes.get("value", ""))
            )
