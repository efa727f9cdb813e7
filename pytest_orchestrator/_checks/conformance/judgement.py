"""Whether an answer is what was promised: pure, of one request and one answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.answers import parse_json
from pytest_orchestrator._checks.comparison.outline import media_type
from pytest_orchestrator._checks.conformance.promises import Promise, Promised, Schema, is_json
from pytest_orchestrator._checks.nodes import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.conformance.requests import Ask

CURES = {
    "no-answer": "answer every request in time, also those that cannot be taken",
    "server-error": "handle this request; refuse it with a documented status if it cannot be taken",
    "undocumented-status": "answer with a documented status, or document this one and publish it",
    "refuses-valid": "take what the contract allows, or publish a contract that does not allow it",
    "accepts-invalid": "refuse what the contract does not allow, or publish one that allows it",
    "content-type": "answer in the documented form, and name it in Content-Type",
    "not-json": "answer with valid JSON",
    "schema": "answer as the contract describes it, or correct the contract and publish it",
    "model": "answer as the page of shared models has it",
    "header": "send the header as it is documented",
}
"""What to do about each rule, in the order in which findings come."""
# What says that the request itself is at fault, not what it asks for.
_REFUSALS = frozenset((400, 405, 406, 411, 412, 413, 414, 415, 417, 418, 422, 426, 431))
# What servers and frameworks answer of themselves, before the service is asked.
_OF_HTTP = frozenset((405, 406, 411, 413, 414, 415, 417, 431))
_BODILESS = frozenset((204, 205, 304))
_SHOWN = 3
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; a status of 0 means that nothing did.

    Attributes:
        status: E.g. ``200``.
        headers: By name in lower case.
        body: Decoded from whatever it was compressed by.
        failure: Why nothing came back.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return f"no answer: {self.failure}"
        text = self.body.decode(errors="backslashreplace")
        # An identifier that is another one each time would make each finding another one.
        kind = self.headers.get("content-type", "no content type")
        return f"{self.status}, {kind}, {shortened(_UUID.sub('<uuid>', text), 300) or 'no body'}"


class Misfit(NamedTuple):
    """One way in which an answer is not what was promised."""

    rule: str
    what: str


def misfits(
    promise: Promise, ask: Ask, answer: Answer, model: Schema | None = None
) -> Iterator[Misfit]:
    """All that is wrong with an answer.

    Args:
        promise: What is documented.
        ask: What was asked, and whether it had to be taken.
        answer: What came back.
        model: The shared model that each answer of the 200s is to be; ``None``: none is named.
    """
    if answer.failure:
        yield Misfit("no-answer", f"does not answer: {answer.failure}")
        return
    key, promised = promise.answer(answer.status)
    if 500 <= answer.status < 600:  # noqa: PLR2004 - the range of server errors
        known = "documented, but" if key and key != "default" else "a failure, though"
        yield Misfit("server-error", f"fails with {answer.status}, {known} nothing is wrong here")
        return
    if promised is None or _is_evasion(promise, ask, answer.status, key):
        if not _is_of_http(ask, answer.status):
            yield Misfit("undocumented-status", _undocumented(promise, answer.status, key))
        if promised is None:
            return
    elif (wrong := _taken_wrongly(ask, answer.status, key)) is not None:
        yield wrong
    if promise.method == "HEAD" or answer.status in _BODILESS:
        return
    yield from _headers(promised, answer)
    yield from _content(promised, answer)
    if model is not None and answer.status // 100 == 2:  # noqa: PLR2004 - likewise
        yield from _fits_model(model, answer)


def _is_evasion(promise: Promise, ask: Ask, status: int, key: str) -> bool:
    """Whether a status hides behind ``default``, where its like are documented by themselves."""
    if key != "default":
        return False
    is_refusal = ask.kind == "invalid" and status // 100 == 4  # noqa: PLR2004 - likewise
    return promise.documents("4" if is_refusal else "2") and (is_refusal or status < 400)  # noqa: PLR2004


def _is_of_http(ask: Ask, status: int) -> bool:
    return ask.kind != "valid" and (status in _OF_HTTP or (status == 404 and ask.may_be_missing))  # noqa: PLR2004


def _undocumented(promise: Promise, status: int, key: str) -> str:
    documented = ", ".join(promise.answers) or "none"
    why = "which only 'default' covers" if key else "which is not documented"
    return f"answers with status {status}, {why}; documented: {documented}"


def _taken_wrongly(ask: Ask, status: int, key: str) -> Misfit | None:
    if ask.kind == "invalid" and status // 100 == 2:  # noqa: PLR2004 - likewise
        return Misfit("accepts-invalid", f"takes a request, with {status}, in which {ask.why}")
    if ask.kind == "valid" and status // 100 == 4 and (status in _REFUSALS or key == "default"):  # noqa: PLR2004
        return Misfit("refuses-valid", f"refuses, with {status}, what the contract allows")
    return None


def _headers(promised: Promised, answer: Answer) -> Iterator[Misfit]:
    for header in promised.headers:
        text = answer.headers.get(header.name.lower())
        if text is None:
            if header.required:
                what = f"has no header {header.name}, which is documented as required"
                yield Misfit("header", what)
        elif not any(header.schema.fits(value) for value in _readings(text)):
            breach = header.schema.breaches(text)[0]
            yield Misfit("header", f"has a header {header.name} that does not fit: {breach.what}")


def _readings(text: str) -> Iterator[object]:
    """What the text of a header can mean."""
    yield text
    yield [part.strip() for part in text.split(",")]
    try:
        yield json.loads(text)
    except ValueError:
        return


def _content(promised: Promised, answer: Answer) -> Iterator[Misfit]:
    if not promised.content:
        return
    written = answer.headers.get("content-type")
    documented = ", ".join(promised.content)
    if written is None or (not answer.body and is_json(media_type(written))):
        what = "has no body" if not answer.body else "has a body without a content type"
        yield Misfit("content-type", f"{what}; documented: {documented}")
        return
    kind = media_type(written)
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    found = next((key for key in ranges if key in promised.content), None)
    if found is None:
        yield Misfit("content-type", f"is of type {kind!r}; documented: {documented}")
    elif is_json(kind):
        yield from _json(promised.content[found], answer)


def _json(schema: Schema | None, answer: Answer) -> Iterator[Misfit]:
    value, verdict = parse_json(answer.body, "body")
    if not verdict.passed:
        problem = verdict.findings[0]
        yield Misfit("not-json", f"has a body that is not JSON: {problem.where} {problem.what}")
    elif schema is not None:
        yield from _fit("schema", "its schema", schema, value)


def _fits_model(model: Schema, answer: Answer) -> Iterator[Misfit]:
    value, verdict = parse_json(answer.body, "body")
    if verdict.passed:
        yield from _fit("model", "the shared model", model, value)


def _fit(rule: str, called: str, schema: Schema, value: object) -> Iterator[Misfit]:
    breaches = schema.breaches(value)
    if breaches:
        first = [f"#{breach.pointer}: {breach.what}" for breach in breaches[:_SHOWN]]
        more = f"; and {len(breaches) - _SHOWN} more" if len(breaches) > _SHOWN else ""
        yield Misfit(rule, f"has a body that does not fit {called} at {'; '.join(first)}{more}")
