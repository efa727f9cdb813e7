"""What a stand-in answers, when, and how a question is typed into a form."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_orchestrator._checks.pages import read_page
from pytest_orchestrator._checks.round_trip.forms import Form, form_of, submission
from pytest_orchestrator._checks.round_trip.meaning import check_query_response
from pytest_orchestrator._checks.round_trip.script import (
    Crowd,
    Script,
    answering,
    mark,
    marked_answer,
    right_cases,
    wrong_answers,
    wrong_api_answers,
)
from pytest_orchestrator._domain.hop import HangUp, Reply, Request
from tests.round_trips import ID, SCHEMA


def asking(question: str, **headers: str) -> Request:
    """A request as the api makes it."""
    body = json.dumps({"question": question, "interaction_id": ID}).encode()
    return Request("POST", "/internal/query", headers, body)


@pytest.mark.parametrize("case", right_cases())
def test_right_answer_is_one_by_the_shared_models(case: str) -> None:
    """Of the interaction that is asked about, and within the bounds of a question."""
    asked = right_cases()[case]
    reply = asked.answers(asking(asked.question, **{"accept-encoding": "gzip"}))
    assert isinstance(reply, Reply)
    coded = dict(reply.headers).get("Content-Encoding")
    said = json.loads(gzip.decompress(reply.body) if coded else reply.body)

    assert check_query_response(said, SCHEMA, "core").passed
    assert said["interaction_id"] == ID
    assert len(asked.question) <= 500
    assert bool(coded) == (case == "compressed")


def test_right_answers_are_marked_anew() -> None:
    """Nobody can know them from the time before."""
    assert not {c.question for c in right_cases().values()} & {
        c.question for c in right_cases().values()
    }


@pytest.mark.parametrize("fault", wrong_answers())
def test_wrong_answer_is_none(fault: str) -> None:
    """By its status, its body, its interaction, or as there is no end of it."""
    reply = wrong_answers()[fault](asking("Why?"))
    if isinstance(reply, HangUp) or reply.status != 200 or reply.sent_bytes is not None:
        return
    try:
        said = json.loads(reply.body)
    except ValueError:
        return
    assert not check_query_response(said, SCHEMA, "core").passed or said["interaction_id"] != ID


def test_api_fails_in_its_own_ways() -> None:
    """With problem documents, and by saying that core has failed."""
    assert {"problem-500", "status-502-error", "hangs"} <= wrong_api_answers().keys()


def test_script_answers_what_it_has() -> None:
    """White space aside; the last answer holds, and other questions go to the service."""
    script = Script()
    script.answer(" Why? ", *(answering(marked_answer(word)) for word in ("one", "two")))

    said = [script(asking("Why?")) for _ in range(3)]

    assert ["one" in r.body.decode() for r in said if isinstance(r, Reply)] == [True, False, False]
    assert script(asking("Who?")) is None
    assert script(Request("GET", "/health", {}, b"")) is None
    assert script(Request("POST", "/internal/query", {}, b"no json")) is None


def test_crowd_waits_until_all_are_there() -> None:
    """Nobody is answered before the last has asked; then in another order."""
    crowd, order = Crowd(8), []

    def ask(number: int) -> None:
        crowd.answering(marked_answer(mark()))(asking(str(number)))
        order.append(number)

    with ThreadPoolExecutor(8) as pool:
        for number in range(7):
            pool.submit(ask, number)
        time.sleep(0.2)
        assert order == []
        pool.submit(ask, 7)
    assert sorted(order) == list(range(8))


def test_crowd_does_not_wait_for_ever() -> None:
    """A service that takes one question at a time is not kept waiting for each."""
    crowd = Crowd(20, patience_s=0.2)
    started_s = time.monotonic()

    for number in range(20):
        crowd.answering(marked_answer(mark()))(asking(str(number)))

    assert 0.2 < time.monotonic() - started_s < 2.0


# ---------------------------------------------------------------- forms

FORM = """
<form id=search action=/search><input name=q><button></button></form>
<form method=POST action="ask?a=1" enctype=multipart/form-data>
  <input type=hidden name=token value="a&amp;b"><input name=question value=old>
  <input type=checkbox name=no><input type=checkbox name=yes checked value=1>
  <textarea name=note>so</textarea><input name=off disabled value=1>
  <input name=elsewhere form=search value=1>
  <button name=go value=now>Ask</button><button name=stop value=1>Stop</button>
</form><input form=search name=more>
"""


def test_form_is_sent_as_a_browser_sends_it() -> None:
    """All its fields, those of the first button, and no others."""
    form = form_of(read_page(FORM))

    sent = (("token", "a&b"), ("yes", "1"), ("note", "so"), ("go", "now"))
    assert form == Form("ask?a=1", "POST", multipart=True, fields=sent)


@pytest.mark.parametrize(
    ("method", "multipart", "sent"),
    [
        ("GET", False, {"params": {"a": ["1"], "question": ["Why?"]}}),
        ("POST", False, {"data": {"a": ["1"], "question": ["Why?"]}}),
        ("POST", True, {"files": [("a", (None, "1")), ("question", (None, "Why?"))]}),
    ],
)
def test_question_goes_with_the_other_fields(
    method: str,
    multipart: bool,  # noqa: FBT001 - a table
    sent: dict[str, Any],
) -> None:
    """In the address, as fields, or in parts."""
    form = Form("/", method, multipart=multipart, fields=(("a", "1"),))

    assert submission(form, "Why?") == sent
