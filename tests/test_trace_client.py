"""How a trace is fetched from Tempo, or from what answers like it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Literal

import httpx
import pytest

from pytest_orchestrator._checks.traces import TraceClient
from pytest_orchestrator._domain.trace import Span
from pytest_orchestrator._stack.trace_store import TraceStore
from pytest_orchestrator.errors import Infra
from tests.trace_exports import PROTOBUF, a_span, as_protobuf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHAIN = ("frontend", "api", "core")
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
SPANS = tuple(
    Span(TRACE_ID, f"{n:016x}", "", service, "x", "SERVER", 10, 20, "UNSET")
    for n, service in enumerate(("frontend",) * 3 + ("api",) * 2 + ("core",) * 2, start=1)
)


def has_all(spans: Sequence[Span]) -> bool:
    """Whether every service of the chain has a span."""
    return {span.service for span in spans} >= {*CHAIN}


class Scripted(TraceClient):
    """A client that sees what a script says, one step of its clock after another."""

    def __init__(self, script: Sequence[int]) -> None:
        super().__init__("http://127.0.0.1:9", clock=lambda: self.now_s, sleep=self.pass_time)
        self.script = list(script)
        self.now_s = 0.0
        self.asked = 0

    def pass_time(self, seconds: float) -> None:
        """Sleep, but not really."""
        assert seconds > 0
        self.now_s += seconds

    def spans(self, trace_id: str) -> tuple[Span, ...]:
        """So many of the spans as the script has for this moment; its last entry goes on."""
        assert trace_id == TRACE_ID
        count = self.script[min(self.asked, len(self.script) - 1)]
        self.asked += 1
        return SPANS[:count]


def test_waiting_ends_when_all_services_are_there_and_the_trace_has_settled() -> None:
    """Spans that come late are waited for, as long as they keep coming."""
    with Scripted([0, 3, 5, 6, 6, 6, 7]) as client:
        found = client.wait_for(TRACE_ID, has_all, timeout_s=60, settle_s=1)

    assert found == SPANS
    # Six polls of 0.1 s until the last span, ten more until it has settled.
    assert client.now_s == pytest.approx(1.6)


def test_waiting_returns_what_there_is_at_the_deadline() -> None:
    """A service that never exports is a finding, not a hang."""
    with Scripted([0, 5]) as client:
        found = client.wait_for(TRACE_ID, has_all, timeout_s=2.05, settle_s=1)

    assert found == SPANS[:5]
    assert client.now_s == pytest.approx(2.05)


def test_waiting_for_a_trace_that_never_settles_ends_at_the_deadline() -> None:
    """All services are there, but the number of spans changes all the time."""
    with Scripted([6, 7] * 100) as client:
        client.wait_for(TRACE_ID, has_all, timeout_s=3, settle_s=1)

    assert client.now_s == pytest.approx(3)


def test_without_settling_the_first_complete_answer_is_taken() -> None:
    """Nothing to wait for, so nobody sleeps."""
    with Scripted([7]) as client:
        assert client.wait_for(TRACE_ID, has_all, timeout_s=5, settle_s=0) == SPANS

    assert client.now_s == 0


class Canned:
    """A server that has one answer to everything."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(canned.status)
                self.send_header("Content-Length", str(len(canned.body)))
                self.end_headers()
                self.wfile.write(canned.body)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def canned() -> Iterator[Canned]:
    """A trace store that says what it is told to."""
    made = Canned()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"empty ring"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"batches":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}'),
        (200, b'{"batches":[{"scopeSpans":[{"spans":[{"traceId":"?","spanId":"?"}]}]}]}'),
        (200, b'{"batches":["text"]}'),
        (302, b""),
        (404, b"404 page not found\n"),
    ],
)
def test_an_answer_that_is_no_trace_is_an_infra_error(
    canned: Canned, status: int, body: bytes
) -> None:
    """The message quotes status and body; nothing is known about the trace."""
    canned.status, canned.body = status, body

    with (
        TraceClient(canned.url) as client,
        pytest.raises(Infra, match=f"answered {status}, which is not a trace"),
    ):
        client.spans(TRACE_ID)


def test_an_unknown_trace_has_no_spans(canned: Canned) -> None:
    """Tempo says 404 with nothing else, other stores with a word."""
    canned.status = 404

    with TraceClient(canned.url) as client:
        assert client.spans(TRACE_ID) == ()
    canned.body = b'{"message":"trace not found"}'

    with TraceClient(canned.url) as client:
        assert client.spans(TRACE_ID) == ()


def test_a_sparse_span_is_read(canned: Canned) -> None:
    """Protobuf's JSON leaves out what is zero or empty."""
    canned.body = (
        b'{"batches":[{"scopeSpans":[{"spans":[{"traceId":"CvdlGRbNQ92ESOshHIAxnA==",'
        b'"spanId":"t61rcWkgMzE=","attributes":[{"key":"none"},{"key":"pairs","value":'
        b'{"kvlistValue":{"values":[{"key":"a","value":{"bytesValue":"AQ=="}}]}}}]}]}]}]}'
    )

    with TraceClient(canned.url) as client:
        (span,) = client.spans(TRACE_ID)

    attributes = {"none": None, "pairs": {"a": b"\x01"}}
    assert span == Span(TRACE_ID, SPAN_ID, "", "", "", "UNSPECIFIED", 0, 0, "UNSET", attributes)
    assert str(span) == f"(no service) UNSPECIFIED '' {SPAN_ID}"


@pytest.mark.parametrize("accept", ["application/json", "application/protobuf"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_trace_is_the_same_in_every_form(version: Literal[1, 2], accept: str) -> None:
    """v1 and v2, JSON and protobuf, with all that is judged."""
    said = {"http.route": "/infer", "n": 3, "x": 1.5, "yes": True, "list": ["a", 2]}
    span = a_span(TRACE_ID, attributes=said, status="ERROR", status_message="why",
                  version="1.2", events=("exception", "retry"), parent_id=SPAN_ID)  # fmt: skip

    with TraceStore() as store, TraceClient(store.url, version=version, accept=accept) as client:
        httpx.post(
            store.url + "/v1/traces", content=as_protobuf([span]), headers=PROTOBUF,
            trust_env=False,
        ).raise_for_status()  # fmt: skip
        found = client.spans(TRACE_ID)

        assert found == (span,)
        assert client.spans("e" * 32) == ()


@pytest.mark.parametrize(
    "trace_id",
    ["AKvlGRbNQ92ESOshHIAxnA==", "q+UZFs1D3YRI6yEcgDGc", "00abe51916cd43dd8448eb211c80319c"],
)
def test_an_id_is_read_from_base64_and_from_hex(canned: Canned, trace_id: str) -> None:
    """Also where a store has dropped its leading zeros."""
    span = f'{{"traceId":"{trace_id}","spanId":"t61rcWkgMzE="}}'
    canned.body = f'{{"batches":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'.encode()

    with TraceClient(canned.url) as client:
        (found,) = client.spans(TRACE_ID)

    assert (found.trace_id, found.span_id) == ("00abe51916cd43dd8448eb211c80319c", SPAN_ID)


def test_a_store_is_ready_when_it_says_so(canned: Canned) -> None:
    """Tempo 2 says 503 for its first 15 s."""
    with TraceClient(canned.url) as client:
        assert client.ready()
        canned.status = 503
        assert not client.ready()


def test_a_store_that_is_started_late_is_waited_for(canned: Canned) -> None:
    """Tempo 2 is ready 15 s after its start; what is never ready says what to do."""
    canned.status = 503
    canned.body = b"Ingester not ready"
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        canned.status = 200

    with TraceClient(canned.url, sleep=wait) as client:
        client.wait_until_ready(30)
        canned.status = 503
        with pytest.raises(Infra, match=r"not ready after 0 s: /ready answers 503 'Ingester not"):
            client.wait_until_ready(0)

    assert len(waits) == 1


def test_nobody_who_listens_is_not_ready_and_an_infra_error() -> None:
    """The message says where was asked."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody else gets the port, and nobody answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with TraceClient(url) as client:
            assert not client.ready()
            with pytest.raises(Infra, match=f"{url} does not answer .* is it started"):
                client.spans(TRACE_ID)


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look for the store on its own machine."""
    for name in ("ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    with TraceStore() as store, TraceClient(store.url) as client:
        assert client.ready()


def test_importing_the_checks_loads_no_http_client() -> None:
    """Sessions that judge no traces pay nothing."""
    code = (
        "import sys\n"
        "before = {*sys.modules}\n"
        "import pytest_orchestrator._checks.traces\n"
        "print('httpx' in {*sys.modules} - before)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "False"
