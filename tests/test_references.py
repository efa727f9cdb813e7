"""What documents refer to is never fetched."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from pytest_orchestrator._checks import check_covers, check_json, check_openapi, check_serves
from pytest_orchestrator._checks.rules.evaluation import Evaluator, Unchecked
from tests.openapi_documents import ASK, BODY, a_contract, planted

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERRING = [
    BODY,
    f"{BODY}/items",
    f"{BODY}/properties/question",
    f"{BODY}/x-internal",
    f"{BODY}/example",
    f"{BODY}/default",
    f"{ASK}/requestBody",
    f"{ASK}/responses/2XX",
    f"{ASK}/responses/2XX/content/application~1json/examples",
    f"{ASK}/callbacks",
    f"{ASK}/parameters/0",
    "/paths/~1health",
    "/components/schemas/Other",
    "/components/responses",
    "/components/headers",
    "/webhooks",
    "/x-anything",
]


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        """Notes what it is asked for."""

        def do_GET(self) -> None:
            """Answer with an empty schema."""
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


@pytest.mark.parametrize("pointer", REFERRING)
def test_no_reference_makes_a_request(trap: tuple[str, list[str]], pointer: str) -> None:
    """Wherever a document refers to a server, the server never hears of it."""
    url, asked = trap
    right = a_contract()
    for keyword in ("$ref", "$dynamicRef", "$id", "$schema"):
        wrong = planted(right, pointer, {keyword: f"{url}/a#/b"})
        check_openapi(wrong, "c")
        check_covers(wrong, ["GET /health"], "c")
        check_serves(wrong, right, "c")
        check_serves(right, wrong, "c")

    assert [] == asked


def test_no_dialect_makes_a_request(trap: tuple[str, list[str]]) -> None:
    """A dialect is a URL, too, and is not asked for."""
    url, asked = trap

    assert not check_openapi({**a_contract(), "jsonSchemaDialect": f"{url}/a"}, "c").passed
    assert not check_openapi({**a_contract("3.2.0"), "jsonSchemaDialect": url}, "c").passed
    assert [] == asked


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$id", "$schema", "$anchor"])
def test_no_schema_makes_a_request(trap: tuple[str, list[str]], keyword: str) -> None:
    """Neither does the schema of an answer."""
    url, asked = trap

    assert not check_json([1], {"items": {keyword: f"{url}/a", "$ref": "#/b"}}, "c").passed
    assert not check_json([1], {"allOf": [{keyword: f"{url}/a"}], "$ref": f"{url}/b"}, "c").passed
    assert [] == asked


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
def test_the_engine_makes_no_request_even_if_a_reference_slipped_through(
    trap: tuple[str, list[str]], keyword: str
) -> None:
    """There are two locks; this is the second one by itself."""
    url, asked = trap

    with suppress(Unchecked):
        list(Evaluator({"properties": {"a": {keyword: f"{url}/a"}}}).breaches({"a": 1}))

    assert [] == asked


def test_the_server_that_is_not_asked_would_have_noticed(trap: tuple[str, list[str]]) -> None:
    """What the test above relies on."""
    url, asked = trap
    with urlopen(f"{url}/a"):  # noqa: S310 - the server above
        assert ["/a"] == asked
