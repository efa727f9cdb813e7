"""What Schemathesis finds, in our words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from threading import Thread

import pytest

from pytest_orchestrator._checks.conformance import second_opinion
from pytest_orchestrator._checks.conformance.second_opinion import ask_schemathesis, findings_of
from pytest_orchestrator._domain.plan import Live
from pytest_orchestrator.errors import Unverifiable

# As Schemathesis 4.32 writes it, shortened; before, it had no codes.
REPORT = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites errors="0" failures="1" skipped="0" tests="2" time="0.9">
  <testsuite name="schemathesis" errors="0" failures="1" skipped="0" tests="2" time="0.9">
    <testcase name="POST /internal/query" time="0.78">
      <failure type="failure" message="ST108">1. Test Case ID: hmHzk2

- ST108 Response violates schema

    "unknown" is not one of "answered"

[200] OK:

    `{"status":"unknown"}`

Reproduce with:

    curl -X POST -d '{"question": "0"}' http://127.0.0.1:18300/internal/query

2. Test Case ID: x

- Server error

- Undocumented status code

    Received: 500

Reproduce with:

    curl -X POST -d '{}' http://127.0.0.1:18300/internal/query</failure>
    </testcase>
    <testcase name="GET /health" time="0.11" />
    <testcase name="GET /odd"><failure>- ST402 Authorization bypass</failure></testcase>
    <testcase name="GET /worse"><error>Connection refused</error></testcase>
  </testsuite>
</testsuites>
"""


def test_its_failures_are_findings_of_our_rules() -> None:
    """With the operation, the failure's text, and the request that shows it."""
    findings = list(findings_of(REPORT, "core", 7))

    assert [(f.where, f.rule) for f in findings] == [
        ("core POST /internal/query", "schema"),
        ("core POST /internal/query", "server-error"),
        ("core POST /internal/query", "undocumented-status"),
        ("core GET /odd", "schemathesis"),
        ("core GET /worse", "schemathesis"),
    ]
    assert '"unknown" is not one of "answered"' in findings[0].what
    assert 'curl -X POST -d \'{"question": "0"}\'' in findings[0].what
    assert findings[0].what.endswith("seed 7")
    assert "Received: 500" in findings[2].what


def test_it_has_to_be_installed_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is passed over in silence."""
    monkeypatch.setattr(second_opinion, "find_spec", lambda _: None)

    with pytest.raises(Unverifiable, match=r"pip install 'pytest-orchestrator\[schemathesis\]'"):
        ask_schemathesis({}, "http://127.0.0.1:9", "core", Live())


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"status": 7}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A service whose status is a number."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.parametrize(("kind", "rules"), [("string", ["schema"]), ("integer", [])])
def test_it_finds_a_planted_defect(url: str, kind: str, rules: list[str]) -> None:
    """The real one, in a process of its own: a number where a text is documented."""
    schema = {"type": "object", "properties": {"status": {"type": kind}}}
    content = {"application/json": {"schema": schema}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Core", "version": "1"},
        "paths": {
            "/health": {"get": {"responses": {"200": {"description": "It.", "content": content}}}}
        },
    }

    verdict = ask_schemathesis(document, url, "core", Live(examples=5))

    assert [f.rule for f in verdict.findings] == rules
