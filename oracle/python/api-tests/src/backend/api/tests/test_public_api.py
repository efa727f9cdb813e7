"""What the public API answers, with a core of its own making behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID

import anyio
import httpx
import pytest
from application import create_app

Core = Callable[[httpx.Request], httpx.Response]


def unknown(request: httpx.Request) -> httpx.Response:
    """A core that never knows."""
    interaction_id = json.loads(request.content)["interaction_id"]
    return httpx.Response(
        200,
        json={
            "status": "unknown",
            "answer": None,
            "citations": [],
            "interaction_id": interaction_id,
        },
    )


def down(_request: httpx.Request) -> httpx.Response:
    """A core that is not there."""
    raise httpx.ConnectError("nobody listens")


def forgetful(_request: httpx.Request) -> httpx.Response:
    """A core that breaks the contract."""
    return httpx.Response(200, json={"status": "unknown"})


def mistaken(request: httpx.Request) -> httpx.Response:
    """A core that answers another interaction than the one it was asked about."""
    answer = json.loads(unknown(request).content)
    return httpx.Response(200, json=answer | {"interaction_id": str(UUID(int=7))})


def busy(request: httpx.Request) -> httpx.Response:
    """A core that fails, whatever its body says."""
    return httpx.Response(503, content=unknown(request).content)


def post(core: Core, content: str) -> httpx.Response:
    """Put a body to an API in front of a given core."""
    app = create_app(httpx.MockTransport(core))

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api"
        ) as http:
            return await http.post("/api/query", content=content)

    return anyio.run(send)


def test_question_is_handed_to_core_without_white_space_around_it() -> None:
    """Core is asked what the person asked, under an interaction the API made."""
    asked: list[dict[str, str]] = []

    def core(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return unknown(request)

    response = post(core, '{"question": "  When is honey ripe? "}')

    assert response.status_code == 200
    assert [question["question"] for question in asked] == ["When is honey ripe?"]
    assert response.json()["interaction_id"] == asked[0]["interaction_id"]


def test_every_question_is_an_interaction_of_its_own() -> None:
    """The header carries the interaction of the answer, and no two are the same."""
    responses = [post(unknown, '{"question": "Why?"}') for _ in range(2)]

    seen = {response.headers["X-Interaction-Id"] for response in responses}
    assert seen == {response.json()["interaction_id"] for response in responses}
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"question": "   "}', "must not be empty"),
        (json.dumps({"question": "x" * 501}), "must not be longer than 500 characters"),
        ('{"question": 7}', "must be given, as a text"),
        ("{}", "must be given, as a text"),
        ("[]", "must be given, as a text"),
        ("no JSON", "must be given, as a text"),
    ],
)
def test_bad_question_is_refused_with_the_rule_it_breaks(content: str, reason: str) -> None:
    """A question that cannot be taken never reaches core."""
    response = post(down, content)

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["errors"] == [{"name": "question", "reason": reason}]


def test_longest_question_is_taken() -> None:
    """500 characters are allowed, and white space around them does not count."""
    assert post(unknown, json.dumps({"question": f" {'x' * 500} "})).status_code == 200


@pytest.mark.parametrize("core", [down, busy, forgetful, mistaken])
def test_core_that_fails_is_an_error_and_not_a_crash(core: Core) -> None:
    """Whatever is wrong with core, the answer is 502 and keeps the contract."""
    response = post(core, '{"question": "Why?"}')

    answer = response.json()
    assert response.status_code == 502
    assert (answer["status"], answer["answer"], answer["citations"]) == ("error", None, [])
    assert answer["interaction_id"] == response.headers["X-Interaction-Id"]
