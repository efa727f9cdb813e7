"""What the internal API answers."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from main import app

INTERACTION = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"


def post(body: Any) -> httpx.Response:
    """Put a body to core's query operation."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://core"
        ) as http:
            return await http.post("/internal/query", json=body)

    return anyio.run(send)


def test_answer_names_the_passages_it_rests_on() -> None:
    """An answer has a citation for each of its sentences, and echoes the interaction."""
    response = post({"question": "How warm is the brood nest?", "interaction_id": INTERACTION})

    answer = response.json()
    sources = [citation["source_document"] for citation in answer["citations"]]
    assert answer["status"] == "answered"
    assert "34 and 36 degrees" in answer["answer"]
    assert sources == ["hive.md", "winter.md"]
    assert answer["interaction_id"] == response.headers["X-Interaction-Id"] == INTERACTION


def test_unknown_has_neither_answer_nor_citations() -> None:
    """Core says so when the documents do not."""
    answer = post({"question": "Who invented chess?", "interaction_id": INTERACTION}).json()

    assert (answer["status"], answer["answer"], answer["citations"]) == ("unknown", None, [])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"question": " ", "interaction_id": INTERACTION}, "question"),
        ({"question": "x" * 501, "interaction_id": INTERACTION}, "question"),
        ({"question": "When is honey ripe?", "interaction_id": "7"}, "interaction_id"),
        ([], "body"),
    ],
)
def test_bad_request_is_a_problem_that_names_the_field(body: Any, name: str) -> None:
    """What cannot be taken is refused with 400 and the field at fault."""
    response = post(body)

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert [error["name"] for error in response.json()["errors"]] == [name]


def test_openapi_document_promises_no_status_that_never_comes() -> None:
    """The contract speaks of 400 for bad input, and not of FastAPI's 422."""
    responses = app.openapi()["paths"]["/internal/query"]["post"]["responses"]

    assert set(responses) == {"200", "400", "default"}
