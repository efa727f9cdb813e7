"""Who is to blame when a question does not come back answered: decided hop by hop.

Each service is judged by what it got from the one behind it, so whoever spoils an
answer is named, and nobody else for it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.pages import check_page, read_page
from pytest_orchestrator._checks.round_trip.forms import form_of
from pytest_orchestrator._checks.round_trip.journey import Heard, shown_on
from pytest_orchestrator._checks.round_trip.meaning import check_query_response, same_id
from pytest_orchestrator._checks.round_trip.relaying import differences
from pytest_orchestrator._checks.round_trip.showing import (
    failure_not_shown,
    interaction_in_header,
    not_shown,
    says_nothing,
    taken_for_markup,
)
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pytest_orchestrator._checks.round_trip.journey import Journey
    from pytest_orchestrator._domain.hop import Hop

CORE, API, FRONTEND = "core", "api", "frontend"
PATIENCE_S = 9.0
"""Seconds the api waits for core at least: agreed are ten."""
_JSON = "application/json"
_PROBLEM = "application/problem+json"


def check_journey(journey: Journey, schema: object) -> Verdict:
    """Whether a question was handed on to core, and core's answer back to whoever asked.

    Args:
        journey: What was asked, and all that followed.
        schema: The schema of the shared models.

    Returns:
        Findings whose ``where`` begins with the lane to blame. What the api cannot help, as
        core's answer is not one, is core's; what the page cannot help is the api's.
    """
    return Verdict("round-trip", tuple(_journey(journey, schema)))


def check_failure(journey: Journey, statuses: Mapping[str, Collection[str]]) -> Verdict:
    """Whether the api says so when core gives no usable answer.

    Args:
        journey: A question asked of the api, to which core gave no usable answer.
        statuses: What the api's document says it answers: media types by status, e.g.
            ``{"502": {"application/json"}}``; may have ``"5XX"`` and ``"default"``.

    Returns:
        Findings, all of the api: no answer in time, an answer all the same, a status or
        media type that is not documented, a body that is neither a QueryResponse of status
        ``error`` nor a problem document.
    """
    where = f"{API} POST {_path(journey)}"
    return Verdict("core-fails", tuple(_failure(journey.heard, statuses, where)))


def check_failure_shown(journey: Journey) -> Verdict:
    """Whether the page says so when the api gives no usable answer, or says that core did not.

    Returns:
        Findings, all of the frontend, or of the api if that was not asked in vain: its last
        answer was one.
    """
    where, heard = f"{FRONTEND} page", journey.heard
    if heard.why:
        return Verdict("api-fails", (Finding(where, heard.why, heard.rule),))
    if (api := _answered_all_the_same(journey)) is not None:
        return Verdict("api-fails", (api,))
    findings = [*_is_page(heard, where), *failure_not_shown(shown_on(heard.text), where)]
    if heard.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        what = f"answers {heard.status_code} although there is no answer; 502 is agreed"
        findings.append(Finding(where, what, "http-status"))
    return Verdict("api-fails", tuple(findings))


def check_core_says(heard: Heard, interaction_id: str, schema: object, name: str) -> Verdict:
    """Whether core gave a QueryResponse for the interaction it was asked, with what it means."""
    if heard.why:
        return Verdict("core-says", (Finding(name, heard.why, heard.rule),))
    if heard.status_code != HTTPStatus.OK:
        what = f"answers {heard.status_code}: {shortened(repr(heard.text), 120)}"
        return Verdict("core-says", (Finding(name, what, "http-status"),))
    if heard.media_type != _JSON:
        what = f"the content type is {heard.media_type or 'missing'}; it must be {_JSON}"
        return Verdict("core-says", (Finding(name, what, "content-type"),))
    verdict = check_query_response(heard.json, schema, name)
    if any(f.rule not in {"meaning", "order"} for f in verdict.findings):
        return verdict
    answered = heard.json["interaction_id"]
    if not same_id(answered, interaction_id):
        what = f"was asked interaction {interaction_id}, and answers {answered}"
        verdict += Verdict("core-says", (Finding(name, what, "interaction-id"),))
    return verdict + Verdict("", tuple(interaction_in_header(heard.headers, answered, name)))


def check_form(heard: Heard) -> Verdict:
    """Whether the page is there for somebody who has not asked yet.

    It has a form that works without JavaScript, and shows nobody else's answer.
    """
    where = f"{FRONTEND} page"
    if heard.why:
        return Verdict("form", (Finding(where, heard.why, heard.rule),))
    findings = list(_is_page(heard, where))
    if heard.status_code != HTTPStatus.OK:
        findings.append(Finding(where, f"answers {heard.status_code}", "http-status"))
    elif isinstance(form := form_of(read_page(heard.text)), str):
        findings.append(Finding(where, form, "form"))
    shown = shown_on(heard.text)
    if outcome := (*shown.statuses, *shown.answers):
        what = f"shows {_shown(outcome)} to somebody who has not asked"
        findings.append(Finding(where, what, "stale"))
    return Verdict("form", tuple(findings))


class Visited(Protocol):
    """What a browser shows after a question was sent; the types of ``Visit``."""

    @property
    def html(self) -> str:
        """The document, scripts' work included."""
        ...

    @property
    def unseen(self) -> Sequence[str]:
        """The marks of elements that nobody can see."""
        ...

    @property
    def dialogs(self) -> Sequence[str]:
        """Messages of dialogs that opened."""
        ...

    @property
    def foreign(self) -> Sequence[str]:
        """Addresses on other machines that were asked for."""
        ...

    @property
    def why(self) -> str:
        """Why nothing could be asked; empty if something was."""
        ...


def check_visit(visit: Visited) -> Verdict:
    """Whether a browser could ask, shows all it should, and asked nobody else for anything."""
    where = f"{FRONTEND} page in a browser"
    findings = [Finding(where, f"cannot be asked: {visit.why}", "form")] if visit.why else []
    if visit.unseen:
        marks = ", ".join(dict.fromkeys(visit.unseen))
        findings.append(Finding(where, f"has {marks} where nobody can see it", "unseen"))
    if visit.dialogs:
        what = f"runs what stands in a text: a dialog says {visit.dialogs[0]!r}"
        findings.append(Finding(where, what, "escaping"))
    findings += [
        Finding(where, f"loads {url} from another host", "foreign-host")
        for url in dict.fromkeys(visit.foreign)
    ]
    return Verdict("browser", tuple(findings))


def check_failure_visible(visit: Visited) -> Verdict:
    """Whether a browser shows that there is no answer."""
    where = f"{FRONTEND} page in a browser"
    return Verdict("browser", tuple(failure_not_shown(shown_on(visit.html), where)))


def check_text_stays_text(journey: Journey, tag: str) -> Verdict:
    """Whether a page shows question and answer as text, also what looks like an element ``tag``."""
    where = f"{FRONTEND} page"
    findings = tuple(taken_for_markup(journey.heard.text, tag, where))
    if any(f"&lt;{tag}" in json.dumps(hop.answer, ensure_ascii=False) for hop in journey.asked_api):
        # It came so from the api, which has a finding of its own for it.
        findings = tuple(f for f in findings if "escaped twice" not in f.what)
    return Verdict("escaping", findings)


def check_says_so(journey: Journey, answered: Journey) -> Verdict:
    """Whether a page without an answer says so in words, besides its status.

    Args:
        journey: A question asked on the page that was unknown, or ended in an error.
        answered: One that was answered, for what the page says in any case.
    """
    html = journey.heard.text
    where = f"{FRONTEND} page"
    if not {"unknown", "error"} & {text.lower() for text in shown_on(html).statuses}:
        return Verdict("says-so")  # it claims something else, and that is another finding
    return Verdict("says-so", tuple(says_nothing(html, answered.heard.text, where)))


def documented_statuses(document: Any, path: str) -> dict[str, frozenset[str]]:
    """The media types an OpenAPI document has for the answers to ``POST``, by status."""
    responses = document["paths"][path]["post"]["responses"]
    return {
        str(status): frozenset(kind.split(";")[0].lower() for kind in answer.get("content", {}))
        for status, answer in responses.items()
        if isinstance(answer, dict)
    }


# ---------------------------------------------------------------- the way there


def _journey(journey: Journey, schema: object) -> Iterator[Finding]:
    if (silent := _not_asked(journey)) is not None:
        yield silent
        return
    if journey.at == FRONTEND and journey.asked_api[-1].stood_in:
        yield from _frontend_shows(journey, journey.asked_api[-1].answer)
        return
    core = journey.asked_core[-1]
    yield from _asked_of_core(core, journey)
    if core.status == 0 and journey.at == API and journey.heard.took_s < PATIENCE_S:
        what = f"gives up on core after {journey.heard.took_s:.1f} s; {PATIENCE_S:g} s are agreed"
        yield Finding(f"{API} POST {_path(journey)}", what, "impatient")
        return
    behind = _core_answers(core, schema)
    yield from behind
    if behind:  # what others make of a broken answer, other tests ask
        return
    api = _by_api(journey)
    ahead = _api_relays(api, core, schema, _path(journey))
    yield from ahead
    if journey.at == FRONTEND and isinstance(api.json, dict):
        # If the api's answer is not one, the page can show no more than that.
        shown = not any(f.rule in {"json", "http-status", "content-type"} for f in ahead)
        yield from _frontend_shows(journey, api.json if shown else None)


def _not_asked(journey: Journey) -> Finding | None:
    """Who has kept a question to itself, or put another one; ``None``: nobody."""
    lane, behind = API, CORE
    if journey.at == FRONTEND and not journey.asked_api:
        lane, behind = FRONTEND, API
    elif journey.asked_core or (journey.asked_api and journey.asked_api[-1].stood_in):
        return None
    strangers = [hop for hop in journey.strangers if hop.service == behind]
    where, asked = f"{lane} {_asked_at(journey, lane)}", shortened(repr(journey.question), 120)
    if strangers:
        what = f"asked {behind} {_shown(strangers[0].question)} in place of {asked}"
        return Finding(where, what, "asked-otherwise")
    if journey.heard.why and not journey.asked_api:
        return Finding(where, journey.heard.why, journey.heard.rule)
    answered = f"answers {_outcome(journey)} to {asked} without asking {behind}"
    return Finding(where, answered, "not-asked")


def _asked_of_core(core: Hop, journey: Journey) -> Iterator[Finding]:
    where = f"{API} POST {_path(journey)}"
    given = core.asked.get("interaction_id") if isinstance(core.asked, dict) else None
    try:
        UUID(str(given))
    except ValueError:
        what = f"asks core with the interaction_id {given!r}, which is no uuid"
        yield Finding(where, what, "asked-otherwise")


def _core_answers(core: Hop, schema: object) -> tuple[Finding, ...]:
    where = f"{CORE} POST {core.path}"
    if core.status == 0:
        return (Finding(where, "gives no answer", "timeout"),)
    if core.status != HTTPStatus.OK:
        return (Finding(where, f"answers {core.status}", "http-status"),)
    findings = check_query_response(core.answer, schema, where).findings
    if findings or core.stood_in:
        return findings
    return tuple(_same_interaction(core, where))


def _same_interaction(core: Hop, where: str) -> Iterator[Finding]:
    asked, answered = core.asked.get("interaction_id"), core.answer["interaction_id"]
    if str(asked).lower() != str(answered).lower():
        what = f"was asked interaction {asked}, and answers {answered}"
        yield Finding(where, what, "interaction-id")


# ---------------------------------------------------------------- the way back


def _by_api(journey: Journey) -> Heard:
    """The api's answer, as whoever asked it got it."""
    if journey.at == API:
        return journey.heard
    hop = journey.asked_api[-1]
    text = "" if hop.answer is None else json.dumps(hop.answer)
    return Heard(hop.status, hop.answer_headers, text, why="" if hop.status else "gives no answer")


def _api_relays(api: Heard, core: Hop, schema: object, path: str) -> tuple[Finding, ...]:
    where = f"{API} POST {path}"
    if api.why:
        return (Finding(where, api.why, api.rule),)
    said: Any = core.answer
    expected = {HTTPStatus.OK} | ({HTTPStatus.BAD_GATEWAY} if said["status"] == "error" else set())
    if api.status_code not in expected:
        what = f"answers {api.status_code} although core said {said['status']}"
        return (Finding(where, what, "http-status"),)
    if api.media_type != _JSON:
        what = f"the content type is {api.media_type or 'missing'}; it must be {_JSON}"
        return (Finding(where, what, "content-type"),)
    broken = check_query_response(api.json, schema, where).findings
    if any(f.rule not in {"meaning", "order"} for f in broken):
        return broken
    header = interaction_in_header(api.headers, api.json["interaction_id"], where)
    return (*differences(said, api.json, where=where, by=CORE), *header)


def _frontend_shows(journey: Journey, answer: Any) -> Iterator[Finding]:
    where, page = f"{FRONTEND} page", journey.heard
    if page.why:
        yield Finding(where, page.why, page.rule)
        return
    shown = shown_on(page.text)
    if not journey.in_browser:
        yield from _is_page(page, where)
    if answer is None:
        yield from failure_not_shown(shown, where)
        return
    yield from not_shown(answer, shown, where)
    if not journey.in_browser:
        yield from _head_says(page, answer, where)


def _head_says(page: Heard, answer: Any, where: str) -> Iterator[Finding]:
    failed = answer["status"] == "error"
    if (page.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR) != failed or (
        not failed and page.status_code != HTTPStatus.OK
    ):
        agreed = 502 if failed else 200
        what = f"answers {page.status_code} for {answer['status']}; {agreed} is agreed"
        yield Finding(where, what, "http-status")
    yield from interaction_in_header(page.headers, answer["interaction_id"], where)


def _is_page(page: Heard, where: str) -> Iterator[Finding]:
    if page.media_type not in {"text/html", "application/xhtml+xml"}:
        what = f"the content type is {page.media_type or 'missing'}; it must be text/html"
        yield Finding(where, what, "content-type")
    yield from check_page(page.text, title=None, name=where).findings


# ---------------------------------------------------------------- when core fails


def _answered_all_the_same(journey: Journey) -> Finding | None:
    """That the api has given the page something to show; ``None`` if it has not."""
    last = journey.asked_api[-1] if journey.asked_api else None
    if last is None or last.stood_in or last.status != HTTPStatus.OK:
        return None
    said = last.answer.get("status") if isinstance(last.answer, dict) else None
    if said not in {"answered", "unknown"}:
        return None
    what = f"answers 200 with {said} although core gave no usable answer"
    return Finding(f"{API} POST {last.path}", what, "answered-all-the-same")


def _failure(
    heard: Heard, statuses: Mapping[str, Collection[str]], where: str
) -> Iterator[Finding]:
    if heard.why:
        yield Finding(where, heard.why, heard.rule)
        return
    body = heard.json
    response = isinstance(body, dict) and {"status", "citations"} <= body.keys()
    if heard.status_code < HTTPStatus.BAD_REQUEST and not (response and body["status"] == "error"):
        told = body["status"] if response else shortened(repr(heard.text), 120)
        what = f"answers {heard.status_code} with {told} although core gave no usable answer"
        yield Finding(where, what, "answered-all-the-same")
        return
    yield from _documented(heard, statuses, where)
    if response:
        yield from _error_response(body, where)
        yield from interaction_in_header(heard.headers, body.get("interaction_id"), where)
    elif not (isinstance(body, dict) and heard.media_type == _PROBLEM and "title" in body):
        what = (
            f"answers {heard.status_code} with {shortened(repr(heard.text), 120)}, which is "
            "neither a QueryResponse of status error nor a problem document"
        )
        yield Finding(where, what, "error-body")


def _error_response(body: dict[str, Any], where: str) -> Iterator[Finding]:
    expected: dict[str, Any] = {"status": "error", "answer": None, "citations": []}
    for name, value in expected.items():
        if body.get(name) != value:
            what = f"says {name} {shortened(repr(body.get(name)), 120)}; it must be {value!r}"
            yield Finding(where, what, "error-body")


def _documented(
    heard: Heard, statuses: Mapping[str, Collection[str]], where: str
) -> Iterator[Finding]:
    code = str(heard.status_code)
    found = [s for s in (code, f"{code[0]}XX", "default") if s in statuses]
    if not found:
        what = f"answers {code}, which its document does not have: {', '.join(sorted(statuses))}"
        yield Finding(where, what, "undocumented")
    elif statuses[found[0]] and heard.media_type not in statuses[found[0]]:
        what = f"answers {code} with {heard.media_type or 'no content type'}, documented is "
        yield Finding(where, what + ", ".join(sorted(statuses[found[0]])), "undocumented")


# ---------------------------------------------------------------- words


def _path(journey: Journey) -> str:
    return journey.asked_api[-1].path if journey.asked_api else "/api/query"


def _asked_at(journey: Journey, lane: str) -> str:
    return "page" if lane == FRONTEND else f"POST {_path(journey)}"


def _outcome(journey: Journey) -> str:
    answer = journey.heard
    if journey.at == FRONTEND:
        if journey.asked_api:
            return _shown(journey.asked_api[-1].answer)
        shown = shown_on(answer.text)
        return _shown((*shown.statuses, *shown.answers) or f"HTTP {answer.status_code}")
    return _shown(answer.json if answer.json is not None else f"HTTP {answer.status_code}")


def _shown(value: object) -> str:
    return shortened(repr(value), 160)
