"""What the page shows, with an API of its own making behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx
import pytest
from application import create_app
from integration import responder

Api = Callable[[httpx.Request], httpx.Response]
INTERACTION = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
ANSWER: dict[str, Any] = {
    "status": "answered",
    "answer": "Yes & no.",
    "citations": [
        {"source_document": "<a>.md", "page": 2, "chunk_id": "a#1", "relevance_score": 0.75},
        {"source_document": "b.md", "page": None, "chunk_id": "b#1", "relevance_score": 0.5},
    ],
    "interaction_id": INTERACTION,
}


def answering(status_code: int, answer: Any) -> Api:
    """An API that always answers the same."""
    return lambda _request: httpx.Response(status_code, json=answer)


def down(_request: httpx.Request) -> httpx.Response:
    """An API that is not there."""
    raise httpx.ConnectError("nobody listens")


def request(method: str, api: Api = down, question: str = "Why?") -> httpx.Response:
    """Ask for the page, or post its form."""
    app = create_app(responder(httpx.MockTransport(api)))
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://frontend"
        ) as http:
            content = urlencode({"question": question})
            return await http.request(method, "/", content=content, headers=form)

    return anyio.run(send)


def test_page_has_a_form_and_needs_no_api() -> None:
    """The form is there whatever has become of the API."""
    response = request("GET")

    assert response.status_code == 200
    assert "<title>Document assistant</title>" in response.text
    assert '<form method="post" action="/">' in response.text


def test_answer_is_shown_with_its_citations() -> None:
    """Status, answer, interaction and every citation are on the page."""
    response = request("POST", answering(200, ANSWER))

    assert response.headers["X-Interaction-Id"] == INTERACTION
    assert '<p data-field="status">answered</p>' in response.text
    assert f'<code data-field="interaction_id">{INTERACTION}</code>' in response.text
    assert response.text.count('<li data-field="citation">') == 2
    assert '<span data-field="page">2</span>' in response.text
    assert '<span data-field="relevance_score">0.75</span>' in response.text


def test_markup_in_texts_is_text() -> None:
    """Neither the question nor what the API says can add elements to the page."""
    response = request("POST", answering(200, ANSWER), question='"><script>alert(1)</script>')

    assert "<script>" not in response.text
    assert 'value="&quot;&gt;&lt;script&gt;' in response.text
    assert "Yes &amp; no." in response.text
    assert "&lt;a&gt;.md" in response.text


def test_unknown_is_said_and_not_an_error() -> None:
    """A question the documents do not answer gets a page without an answer."""
    unknown = ANSWER | {"status": "unknown", "answer": None, "citations": []}

    response = request("POST", answering(200, unknown))

    assert response.status_code == 200
    assert "The documents do not answer this question." in response.text
    assert 'data-field="answer"' not in response.text


def test_refusal_is_shown_with_its_reason() -> None:
    """A question the API refuses is not the person's end: the reason is on the page."""
    errors = [{"name": "question", "reason": "must not be empty"}]

    response = request("POST", answering(400, {"errors": errors}), question="")

    assert response.status_code == 400
    assert "question must not be empty" in response.text


@pytest.mark.parametrize("api", [down, answering(500, {}), answering(200, {"status": "odd"})])
def test_failing_api_is_a_clear_message(api: Api) -> None:
    """Whatever is wrong with the API, the page says that it could not answer."""
    response = request("POST", api)

    assert response.status_code == 502
    assert "could not be answered just now" in response.text


def test_failure_behind_the_api_keeps_its_interaction() -> None:
    """When core is down, the page says so and names the interaction."""
    failed = ANSWER | {"status": "error", "answer": None, "citations": []}

    response = request("POST", answering(502, failed))

    assert response.status_code == 502
    assert '<p data-field="status">error</p>' in response.text
    assert INTERACTION in response.text


def test_question_reaches_the_api_as_typed() -> None:
    """Umlauts, plus signs and ampersands survive the form."""
    asked: list[str] = []

    def api(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["question"])
        return httpx.Response(200, json=ANSWER)

    request("POST", api, question="Größe & 1+1 = 2?")

    assert asked == ["Größe & 1+1 = 2?"]
