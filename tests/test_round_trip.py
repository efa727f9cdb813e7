"""Who is to blame for an answer that does not come back as it was given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from pytest_orchestrator._checks.round_trip.blame import (
    check_core_says,
    check_failure,
    check_failure_shown,
    check_form,
    check_journey,
    check_says_so,
    check_text_stays_text,
    check_visit,
    documented_statuses,
)
from pytest_orchestrator._checks.round_trip.crowds import check_not_mixed_up
from pytest_orchestrator._checks.round_trip.journey import Heard, Journey
from pytest_orchestrator._checks.round_trip.refusals import check_refusal_shown, check_refused
from pytest_orchestrator._domain.hop import Hop
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator._stack.browser import Visit
from tests.round_trips import (
    ANSWER,
    ID,
    OTHER_ID,
    QUESTION,
    SCHEMA,
    answers,
    api_journey,
    html,
    page_journey,
)  # fmt: skip


def told(verdict: Verdict) -> set[tuple[str, str]]:
    """Which lanes are blamed, by which rules."""
    return {(finding.where.split()[0], finding.rule) for finding in verdict.findings}


def without(name: str) -> dict[str, Any]:
    """The answer without one field."""
    return {key: value for key, value in ANSWER.items() if key != name}


def citation(**changed: Any) -> dict[str, Any]:
    """The answer, its first citation changed."""
    first, *others = ANSWER["citations"]
    return ANSWER | {"citations": [first | changed, *others]}


UNKNOWN: dict[str, Any] = {
    "status": "unknown",
    "answer": None,
    "citations": [],
    "interaction_id": ID,
}
ERROR = UNKNOWN | {"status": "error"}
BACKWARDS = ANSWER | {"citations": ANSWER["citations"][::-1]}

# ---------------------------------------------------------------- what is right


@pytest.mark.parametrize("answer", [ANSWER, UNKNOWN, ERROR], ids=["answered", "unknown", "error"])
def test_nobody_is_blamed_for_what_came_back(answer: dict[str, Any]) -> None:
    """Through the api, and through both."""
    assert check_journey(api_journey(answer), SCHEMA).passed
    assert check_journey(page_journey(answer), SCHEMA).passed


@settings(deadline=None, max_examples=50)
@given(answers())
def test_nobody_is_blamed_for_any_answer(answer: dict[str, Any]) -> None:
    """Whatever core says within the shared models, handed on unchanged, is fine."""
    assert check_journey(api_journey(answer), SCHEMA).findings == ()
    assert check_journey(page_journey(answer), SCHEMA).findings == ()


@settings(deadline=None, max_examples=50)
@given(answers(), answers())
def test_an_answer_for_another_blames_whoever_exchanged_it(
    said: dict[str, Any], other: dict[str, Any]
) -> None:
    """The api if it did not hand on what core said; the frontend if it showed something else."""
    by_api = check_journey(page_journey(said, by_api=other), SCHEMA)
    by_page = check_journey(page_journey(said, shown=html(other)), SCHEMA)

    assert {lane for lane, _ in told(by_api)} == ({"api"} if said != other else set())
    different = {**said, "x": 0} != {**other, "x": 0} and html(said) != html(other)
    assert {lane for lane, _ in told(by_page)} == ({"frontend"} if different else set())


@pytest.mark.parametrize(
    "shown",
    [
        html(ANSWER).replace("page 3", "p.&nbsp;3.0"),
        html(ANSWER).replace("page 3", "(3)"),
        html(ANSWER).replace("0.94", "94 %"),
        html(ANSWER).replace("0.94", "93.8%"),
        html(ANSWER).replace("0.94", "0,938"),
        html(ANSWER).replace("0.94", "0.93817"),
        html(ANSWER).replace(ID, ID.upper()),
        html(ANSWER).replace("li ", "tr ").replace("</li>", ""),
        html(ANSWER).replace("</li>", ""),
        html(ANSWER).replace("It is", "It\n  <b>is</b>"),
        html(ANSWER) + "<p>It took 3 ms, by a model of 2026.</p>",
        html(ANSWER).replace("page 3", 'page <i data-field="page">3</i>'),
        html(ANSWER).replace("page 3, 0.94", "<span>3</span><span>0.94</span>"),
        html(ANSWER).replace("zebra.md", '<i data-field="source_document">zebra.md</i>'),
    ],
)
def test_page_may_look_as_it_likes(shown: str) -> None:
    """Other elements, other words, other ways to write numbers."""
    assert check_journey(page_journey(ANSWER, shown=shown), SCHEMA).findings == ()


# ---------------------------------------------------------------- the api is to blame


@pytest.mark.parametrize(
    ("by_api", "rule"),
    [
        (ANSWER | {"answer": "It is not."}, "answer"),
        (ANSWER | {"interaction_id": OTHER_ID}, "interaction-id"),
        (ANSWER | {"citations": ANSWER["citations"][:1]}, "citations"),
        (ANSWER | {"citations": ANSWER["citations"] * 2}, "citations"),
        (BACKWARDS, "citations"),
        (citation(page=4), "citations"),
        (citation(page=None), "citations"),
        (citation(relevance_score=0.938), "citations"),
        (citation(chunk_id="zebra.md#2"), "citations"),
        (citation(source_document="Zebra.md"), "citations"),
        (UNKNOWN, "status"),
        (ERROR, "status"),
        (without("answer"), "required"),
        (ANSWER | {"interaction_id": "7"}, "format"),
        (ANSWER | {"status": "maybe"}, "enum"),
    ],
)
def test_api_that_changes_an_answer_is_to_blame(by_api: dict[str, Any], rule: str) -> None:
    """And only the api, also when the page shows faithfully what it got."""
    at_api = check_journey(api_journey(ANSWER, by_api=by_api), SCHEMA)

    assert ("api", rule) in told(at_api)
    assert {lane for lane, _ in told(at_api)} == {"api"}
    if rule not in {"required", "format", "enum"}:
        at_page = check_journey(page_journey(ANSWER, by_api=by_api), SCHEMA)
        assert {lane for lane, _ in told(at_page)} == {"api"}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"status_code": 500}, "http-status"),
        ({"status_code": 0, "why": "gives no answer within 15 s"}, "timeout"),
        ({"headers": {"content-type": "text/plain", "x-interaction-id": ID}}, "content-type"),
        ({"headers": {"content-type": "application/json"}}, "interaction-header"),
        (
            {"headers": {"content-type": "application/json", "x-interaction-id": OTHER_ID}},
            "interaction-header",
        ),
        ({"text": "<p>"}, "json"),
    ],
)
def test_api_whose_answer_is_none_is_to_blame(changed: dict[str, Any], rule: str) -> None:
    """Status, content type, header, time."""
    journey = api_journey(ANSWER)

    verdict = check_journey(replace(journey, heard=replace(journey.heard, **changed)), SCHEMA)

    assert told(verdict) == {("api", rule)}


def test_api_that_does_not_ask_is_to_blame() -> None:
    """Whoever was asked: the answer did not come from core."""
    for journey in (api_journey(ANSWER), page_journey(ANSWER)):
        verdict = check_journey(replace(journey, asked_core=()), SCHEMA)
        assert told(verdict) == {("api", "not-asked")}
        assert "without asking core" in verdict.findings[0].what


def test_api_that_asks_something_else_is_to_blame() -> None:
    """The finding has both questions."""
    journey = api_journey(ANSWER)
    hop = replace(journey.asked_core[0], asked={"question": "WHY?", "interaction_id": ID})

    verdict = check_journey(replace(journey, asked_core=(), strangers=(hop,)), SCHEMA)

    assert told(verdict) == {("api", "asked-otherwise")}
    assert "'WHY?'" in verdict.findings[0].what
    assert repr(QUESTION) in verdict.findings[0].what


def test_api_that_numbers_by_anything_but_a_uuid_is_to_blame() -> None:
    """Core could not take it."""
    journey = api_journey(ANSWER)
    hop = replace(journey.asked_core[0], asked={"question": QUESTION, "interaction_id": 7})

    verdict = check_journey(replace(journey, asked_core=(hop,)), SCHEMA)

    assert ("api", "asked-otherwise") in told(verdict)


def test_api_that_gives_up_early_is_to_blame() -> None:
    """Core was asked and had not answered yet when the api had."""
    journey = api_journey(ANSWER)
    hop = replace(journey.asked_core[0], status=0, answer=None)
    heard = Heard(502, {}, "", took_s=2.0)

    verdict = check_journey(replace(journey, asked_core=(hop,), heard=heard), SCHEMA)

    assert told(verdict) == {("api", "impatient")}


def test_what_was_answered_at_the_second_try_counts() -> None:
    """An api may ask again when core has failed."""
    journey = api_journey(ANSWER)
    failed = replace(journey.asked_core[0], status=500, answer=None)

    assert check_journey(replace(journey, asked_core=(failed, *journey.asked_core)), SCHEMA).passed


# ---------------------------------------------------------------- core is to blame


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (None, "json"),
        (without("status"), "required"),
        (ANSWER | {"citations": []}, "meaning"),
        (ANSWER | {"answer": None}, "meaning"),
        (ANSWER | {"answer": " "}, "meaning"),
        (UNKNOWN | {"answer": "Perhaps."}, "meaning"),
        (UNKNOWN | {"citations": ANSWER["citations"]}, "meaning"),
        (BACKWARDS, "order"),
        (ANSWER | {"interaction_id": OTHER_ID}, "interaction-id"),
    ],
)
def test_core_whose_answer_is_none_is_to_blame(said: Any, rule: str) -> None:
    """And nobody else, whatever they make of it."""
    journey = page_journey(ANSWER)
    hop = replace(journey.asked_core[0], answer=said)

    verdict = check_journey(replace(journey, asked_core=(hop,)), SCHEMA)

    assert told(verdict) == {("core", rule)}


def test_core_is_judged_when_it_is_asked_directly() -> None:
    """Status, content type, body, interaction and header."""
    headers = {"content-type": "application/json", "x-interaction-id": ID}
    right = Heard(200, headers, json.dumps(ANSWER))
    wrong = {
        "http-status": replace(right, status_code=500),
        "content-type": replace(right, headers={**headers, "content-type": "text/html"}),
        "json": replace(right, text="["),
        "interaction-header": replace(right, headers={"content-type": "application/json"}),
        "timeout": replace(right, why="gives no answer"),
    }

    assert check_core_says(right, ID, SCHEMA, "core").passed
    assert ("core", "interaction-id") in told(check_core_says(right, OTHER_ID, SCHEMA, "core"))
    for rule, heard in wrong.items():
        assert told(check_core_says(heard, ID, SCHEMA, "core")) == {("core", rule)}


# ---------------------------------------------------------------- the frontend is to blame


@pytest.mark.parametrize(
    ("shown", "rule"),
    [
        ("<html><form></form></html>", "status"),
        (html(ANSWER | {"answer": "It is not."}), "answer"),
        (html(ANSWER).replace(ID, OTHER_ID), "interaction-id"),
        (html(ANSWER | {"citations": ANSWER["citations"][:1]}), "citations"),
        (html(BACKWARDS), "citations"),
        (html(ANSWER).replace("page 3", "page 4"), "citations"),
        (html(ANSWER).replace("page 3", ""), "citations"),
        (html(ANSWER).replace("0.94", "1"), "citations"),
        (html(ANSWER).replace("0.94", "0.9").replace("0.50", "0.9"), "citations"),
        (html(ANSWER).replace("zebra.md", "a document"), "citations"),
        (html(ANSWER).replace("apple.md,", "apple.md, page None,"), "citations"),
        (html(ANSWER).replace("apple.md,", "apple.md, p. 0,"), "citations"),
        (html(ANSWER) + html(ANSWER), "status"),
        (html(UNKNOWN), "status"),
        (html(ANSWER).replace("&lt;", "&amp;lt;"), "answer"),
        (html(ANSWER).replace("&lt;", "<").replace("&gt;", ">"), "answer"),
        ("", "html"),
    ],
)
def test_frontend_that_shows_something_else_is_to_blame(shown: str, rule: str) -> None:
    """By the field that is wrong."""
    verdict = check_journey(page_journey(ANSWER, shown=shown), SCHEMA)

    assert ("frontend", rule) in told(verdict)
    assert {lane for lane, _ in told(verdict)} == {"frontend"}


@pytest.mark.parametrize(
    ("answer", "status", "ok"),
    [
        (ANSWER, 200, True), (ANSWER, 502, False), (UNKNOWN, 404, False),
        (ERROR, 502, True), (ERROR, 503, True), (ERROR, 200, False),
    ],
)  # fmt: skip
def test_page_says_by_its_status_what_became_of_it(
    answer: dict[str, Any],
    status: int,
    ok: bool,  # noqa: FBT001 - a table
) -> None:
    """200 if there is an answer or none to be had, 502 or its like if somebody failed."""
    journey = page_journey(answer)

    verdict = check_journey(
        replace(journey, heard=replace(journey.heard, status_code=status)), SCHEMA
    )

    assert told(verdict) == (set() if ok else {("frontend", "http-status")})


def test_frontend_that_does_not_ask_is_to_blame() -> None:
    """What it shows is in the finding."""
    verdict = check_journey(replace(page_journey(ANSWER), asked_api=(), asked_core=()), SCHEMA)

    assert told(verdict) == {("frontend", "not-asked")}
    assert "'answered'" in verdict.findings[0].what


def test_frontend_is_not_to_blame_for_what_the_api_refuses_to_give() -> None:
    """If the api's answer is an error, the page has to show that, and nothing else."""
    journey = page_journey(ERROR)
    api = replace(journey.asked_api[0], status=500, answer={"title": "Oh"})
    core = replace(journey.asked_core[0], answer=ANSWER)

    verdict = check_journey(replace(journey, asked_api=(api,), asked_core=(core,)), SCHEMA)

    assert told(verdict) == {("api", "http-status")}


def test_browser_is_not_asked_for_what_it_does_not_tell() -> None:
    """Neither a status nor a header: a script may have fetched the answer."""
    journey = replace(page_journey(ANSWER), heard=Heard(text=html(ANSWER)), in_browser=True)

    assert check_journey(journey, SCHEMA).passed
    wrong = replace(journey, heard=Heard(text=html(UNKNOWN)))
    assert ("frontend", "status") in told(check_journey(wrong, SCHEMA))


def test_visit_is_judged_by_what_can_be_seen() -> None:
    """Nothing hidden, no dialog, nobody else asked; a page that cannot be asked is a finding."""
    fine = Visit("<html>")
    wrong = {
        "unseen": replace(fine, unseen=("answer", "answer")),
        "escaping": replace(fine, dialogs=("1",)),
        "foreign-host": replace(fine, foreign=("https://fonts.example/a",)),
        "form": replace(fine, why="no field"),
    }

    assert check_visit(fine).passed
    for rule, visit in wrong.items():
        assert told(check_visit(visit)) == {("frontend", rule)}


def test_page_says_in_words_that_there_is_no_answer() -> None:
    """In any words that do not stand on every page."""
    frame = "<html><body><h1>Ask me</h1><form>Your question</form>Interaction "
    answered = page_journey(ANSWER, shown=f"{frame}{html(ANSWER)} Sources")
    mute = page_journey(UNKNOWN, shown=f"{frame}{html(UNKNOWN)}")
    telling = page_journey(UNKNOWN, shown=f'{frame}{html(UNKNOWN)}<p data-field="note">Sorry')

    assert told(check_says_so(mute, answered)) == {("frontend", "sentence")}
    assert check_says_so(telling, answered).passed


def test_words_of_a_page_are_found_without_tags_that_may_be_left_out() -> None:
    """Such as those of its body, and the ends of its paragraphs."""
    frame = "<!doctype html><title>Ask</title><h1>Ask me</h1>"
    answered = page_journey(ANSWER, shown=f"{frame}{html(ANSWER)}")
    mute = page_journey(UNKNOWN, shown=f"{frame}{html(UNKNOWN)}")
    telling = page_journey(UNKNOWN, shown=f"{frame}{html(UNKNOWN)}<p>Sorry")

    assert told(check_says_so(mute, answered)) == {("frontend", "sentence")}
    assert check_says_so(telling, answered).passed


TAG = "x-q1"


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        (f'<p>&lt;{TAG}&gt;</p><input value="&lt;{TAG}&gt;">', 0),
        (f"<p><{TAG} onclick=1>a</p>", 1),
        (f'<input value="" onfocus-{TAG}=1 ">', 1),
        (f"<p>&amp;lt;{TAG}&gt;</p>", 1),
        (f'<input value="&amp;lt;{TAG}">', 1),
        (f"<p>&amp;amp;lt;{TAG}&gt;</p>", 1),
    ],
)
def test_text_stays_text(shown: str, wrong: int) -> None:
    """Neither an element, nor an attribute, nor its own escapes."""
    journey = replace(page_journey(ANSWER), heard=Heard(200, {}, shown))

    assert len(check_text_stays_text(journey, TAG).findings) == wrong


def test_page_is_not_to_blame_for_escapes_of_the_api() -> None:
    """It shows them as the text they are."""
    journey = page_journey(ANSWER | {"answer": f"&lt;{TAG}"}, shown=f"<p>&amp;lt;{TAG}</p>")

    assert check_text_stays_text(journey, TAG).passed


# ---------------------------------------------------------------- somebody fails

STATUSES = {"502": frozenset({"application/json"}), "5XX": frozenset({"application/problem+json"})}
JSON = {"content-type": "application/json", "x-interaction-id": ID}
NO_ID = {"content-type": "application/json"}
PROBLEM = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    ("heard", "rules"),
    [
        (Heard(502, JSON, json.dumps(ERROR)), set()),
        (Heard(503, PROBLEM, '{"title": "Down", "status": 503}'), set()),
        (Heard(200, JSON, json.dumps(ANSWER)), {"answered-all-the-same"}),
        (Heard(200, JSON, json.dumps(UNKNOWN)), {"answered-all-the-same"}),
        (Heard(200, JSON, "[]"), {"answered-all-the-same"}),
        (Heard(404, PROBLEM, '{"title": "No"}'), {"undocumented"}),
        (Heard(502, PROBLEM, '{"title": "No"}'), {"undocumented"}),
        (Heard(500, PROBLEM, "Internal Server Error"), {"error-body"}),
        (Heard(502, JSON, json.dumps(ANSWER)), {"error-body"}),
        (Heard(502, NO_ID, json.dumps(ERROR)), {"interaction-header"}),
        (Heard(why="gives no answer within 15 s"), {"timeout"}),
    ],
)  # fmt: skip
def test_api_says_that_core_failed(heard: Heard, rules: set[str]) -> None:
    """In time, with a status and a body that it has promised."""
    verdict = check_failure(Journey(QUESTION, heard, "api"), STATUSES)

    assert told(verdict) == {("api", rule) for rule in rules}


def test_page_says_that_nobody_answered() -> None:
    """Status error, nothing else, and an HTTP status that says the same."""
    headers = {"content-type": "text/html"}
    shown = '<html><p data-field="status">error</p>'
    fine = Heard(502, headers, shown)
    wrong = {
        "http-status": replace(fine, status_code=200),
        "status": replace(fine, text="<html><p>Sorry.</p>"),
        "answer": replace(fine, text=f'{shown}<p data-field="answer">x</p>'),
        "citations": replace(fine, text=f'{shown}<p data-field="citation">x</p>'),
        "timeout": Heard(why="gives no answer within 20 s"),
        "content-type": replace(fine, headers={"content-type": "text/plain"}),
    }

    assert check_failure_shown(Journey("?", fine, "frontend")).passed
    for rule, heard in wrong.items():
        verdict = check_failure_shown(Journey("?", heard, "frontend"))
        assert told(verdict) == {("frontend", rule)}


def test_page_is_not_to_blame_for_an_api_that_answers_all_the_same() -> None:
    """It had something to show."""
    assert told(check_failure_shown(page_journey(ANSWER))) == {("api", "answered-all-the-same")}


def test_statuses_are_those_of_the_document() -> None:
    """With their media types; a response without content allows any."""
    responses: dict[str, Any] = {
        "200": {"content": {"application/json; charset=utf-8": {}}},
        "default": {},
    }

    statuses = documented_statuses({"paths": {"/q": {"post": {"responses": responses}}}}, "/q")

    assert statuses == {"200": frozenset({"application/json"}), "default": frozenset()}


@pytest.mark.parametrize(
    ("heard", "asked_core", "rules"),
    [
        (Heard(400, PROBLEM, '{"errors": [{"name": "q", "reason": "r"}]}'), 0, set()),
        (Heard(400, PROBLEM, '{"errors": [{"name": "q", "reason": "r"}]}'), 1, {"not-refused"}),
        (Heard(400, PROBLEM, '{"errors": []}'), 0, {"reasons"}),
        (Heard(400, PROBLEM, "null"), 0, {"reasons"}),
        (Heard(400, JSON, '{"errors": [{"name": "q", "reason": "r"}]}'), 0, {"content-type"}),
        (Heard(422, PROBLEM, "{}"), 0, {"http-status"}),
        (Heard(why="gives no answer"), 0, {"timeout"}),
    ],
)
def test_bad_request_is_refused(heard: Heard, asked_core: int, rules: set[str]) -> None:
    """With reasons, and without asking core."""
    assert told(check_refused(heard, asked_core, "api")) == {("api", rule) for rule in rules}


def test_refusal_is_shown_with_its_reason() -> None:
    """And the question is kept, in whatever kind of field."""
    kept = '<html><form><input name="question" value="a &quot; b"></form><p>too odd</p>'
    fine = Heard(400, {}, kept)
    wrong = {
        "http-status": replace(fine, status_code=200),
        "reasons": replace(fine, text=kept.replace("odd", "even")),
        "form": replace(fine, text=kept.replace("a &quot; b", "")),
        "status": replace(fine, text=f'{kept}<p data-field="status">unknown</p>'),
    }

    assert check_refusal_shown(Journey('a " b', fine, "frontend"), "too odd").passed
    area = kept.replace('<input name="question" value="a &quot; b">',
                        '<textarea name="question">a " b</textarea>')  # fmt: skip
    assert check_refusal_shown(Journey('a " b', replace(fine, text=area), "frontend"), "odd").passed
    for rule, heard in wrong.items():
        verdict = check_refusal_shown(Journey('a " b', heard, "frontend"), "too odd")
        assert told(verdict) == {("frontend", rule)}


# ---------------------------------------------------------------- several at once


def crowd(count: int = 4) -> list[Journey]:
    """Journeys of several questions, each with its own answer."""
    made = []
    for number in range(count):
        own = ANSWER | {"answer": f"No. {number}", "interaction_id": f"{number:08d}{ID[8:]}"}
        made.append(page_journey(own, question=f"{number}?"))
    return made


def test_answers_that_are_their_own_are_not_mixed_up() -> None:
    """Also if two of them are the same text."""
    assert check_not_mixed_up(crowd()).passed
    assert check_not_mixed_up([api_journey(UNKNOWN), api_journey(UNKNOWN | {"interaction_id": OTHER_ID})]).passed  # noqa: E501 # fmt: skip


def test_answers_that_are_exchanged_blame_who_exchanged_them() -> None:
    """The api if it gave them so, the frontend if it did not show what it was given."""
    first, second, *others = crowd()
    by_api = replace(first, asked_api=second.asked_api, heard=second.heard)
    by_page = replace(first, heard=second.heard)

    assert told(check_not_mixed_up([by_api, second, *others])) == {("api", "mixed-up")}
    assert told(check_not_mixed_up([by_page, second, *others])) == {("frontend", "mixed-up")}


def test_interaction_of_two_questions_blames_the_api() -> None:
    """However it is written."""
    first, second, *others = crowd()
    asked = {
        "question": "1?",
        "interaction_id": first.asked_core[0].asked["interaction_id"].upper(),
    }
    again = replace(second, asked_core=(replace(second.asked_core[0], asked=asked),))

    assert told(check_not_mixed_up([first, again, *others])) == {("api", "interaction-id")}


# ---------------------------------------------------------------- the form


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ("<form method=post><input name=question><button>Ask</button></form>", ""),
        ("<form><textarea name=question></textarea><input type=submit></form>", ""),
        ("<form id=f></form><input name=question form=f><button form=f>", ""),
        ("<form><input name=question><button type=button>Ask</button></form>", "is missing"),
        ("<form><input name=question><button disabled>Ask</button></form>", "is disabled"),
        ("<form><input name=question disabled><button>Ask</button></form>", "disabled"),
        ("<input name=question><button>Ask</button>", "in no form"),
        ("<form><input name=q><button>Ask</button></form>", "no form with a field"),
        ('<form action="javascript:a()"><input name=question><button></form>', "by JavaScript"),
    ],
)  # fmt: skip
def test_form_works_without_javascript(form: str, wrong: str) -> None:
    """A field for the question, and a button that sends it."""
    verdict = check_form(Heard(200, {"content-type": "text/html"}, f"<html>{form}"))

    assert told(verdict) == ({("frontend", "form")} if wrong else set())
    assert wrong in "".join(finding.what for finding in verdict.findings)


def test_every_blamed_hop_can_be_told() -> None:
    """Findings are sentences with the lane first; a hop without a question is nobody's."""
    hop = Hop("core", "POST", "/internal/query", 200, None, None)

    assert hop.question is None
    verdict = check_journey(replace(api_journey(ANSWER), asked_core=()), SCHEMA)
    assert str(verdict.findings[0]).startswith("api POST /api/query: answers ")
