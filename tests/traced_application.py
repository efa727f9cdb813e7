"""An application of three services in a few lines that leaves traces, and a Grafana beside it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

from pytest_orchestrator._checks.traces import new_trace_ids
from pytest_orchestrator._domain.trace import Span, traceparent
from pytest_orchestrator._domain.trace_cause import read_traceparent
from pytest_orchestrator.types import Hop, Hops
from tests.trace_exports import PROTOBUF, as_protobuf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_orchestrator._domain.trace_cause import Received, Refused
    from pytest_orchestrator._stack.trace_store import TraceStore

CHAIN = ("frontend", "api", "core")
ANSWER = httpx.Response(200, request=httpx.Request("POST", "http://127.0.0.1:1/"))
HTTP: dict[str, object] = {
    "http.request.method": "POST",
    "http.response.status_code": 200,
    "http.route": "/query",
    "url.full": "http://127.0.0.1:5000/query",
}


@dataclass
class Application:
    """Answers at once, and exports its spans to a store.

    Attributes:
        store: Where it exports to, each service by its own address.
        hops: Where what passes between services is noted.
        change: What becomes of a request's spans before they are exported.
        carried: What becomes of a header on its way to a service; ``None``: it is not sent.
    """

    store: TraceStore
    hops: Hops
    change: Callable[[tuple[Span, ...]], Sequence[Span]] = tuple
    carried: Callable[[str, str], str | None] = lambda _, header: header
    answered: int = 0

    def answer(self, headers: dict[str, str]) -> httpx.Response:
        """Answer a request."""
        self.answered += 1
        spans = tuple(self._spans(headers.get("traceparent")))
        for span in self.change(spans):
            self._export(span)
        return ANSWER

    def _spans(self, sent: str | None) -> Iterator[Span]:
        context = read_traceparent(sent)
        trace_id, parent = context[:2] if context else (new_trace_ids().trace_id, "")
        for service in CHAIN:
            if service != CHAIN[0]:
                header = self.carried(service, traceparent(trace_id, parent))
                self._note(service, header)
            for kind in ("SERVER", "CLIENT"):
                now = time.time_ns()
                span_id = new_trace_ids().span_id
                yield Span(
                    trace_id, span_id, parent, service, kind, kind, now, now, "UNSET", HTTP, "", "1"
                )
                parent = span_id

    def _note(self, service: str, header: str | None) -> None:
        headers = {"traceparent": header} if header else {}
        self.hops.add(Hop(service, "POST", "/query", 200, None, None, headers))

    def _export(self, span: Span) -> None:
        source = span.service if span.service in CHAIN else "core"
        url = self.store.intake(source) + "/v1/traces"
        httpx.post(url, content=as_protobuf([span]), headers=PROTOBUF, trust_env=False)


@dataclass
class Witness:
    """Knows what the store has noted, and nothing else."""

    store: TraceStore
    addresses: tuple[str, ...] = ()
    on_flush: Callable[[], None] = lambda: None

    def received(self, since_s: float) -> tuple[Received, ...]:
        """The spans that came."""
        return self.store.record.received(since_s)

    def refused(self, since_s: float) -> tuple[Refused, ...]:
        """The exports that could not be read."""
        return self.store.record.refused(since_s)

    def elsewhere(self, service: str) -> tuple[str, ...]:
        """What was said."""
        del service
        return self.addresses

    def flush(self, services: Sequence[str]) -> None:
        """Do what was said."""
        del services
        self.on_flush()

    def background(self, service: str) -> frozenset[str]:
        """Health."""
        del service
        return frozenset({"/health"})


def without(*services: str) -> Callable[[tuple[Span, ...]], Sequence[Span]]:
    """Some services export nothing."""
    return lambda spans: [span for span in spans if span.service not in services]


def renamed(service: str, name: str) -> Callable[[tuple[Span, ...]], Sequence[Span]]:
    """One service has another name."""
    return lambda spans: [
        replace(span, service=name) if span.service == service else span for span in spans
    ]


@dataclass
class Grafana:
    """Answers by Grafana's documented HTTP API; there is one datasource, ``tempo``.

    Attributes:
        store: What the datasource leads to.
        token: Who has it may look; empty: anybody may.
        down: Whether the datasource leads nowhere.
    """

    store: str
    token: str = ""
    down: bool = False
    url: str = ""
    change: Callable[[bytes], bytes] = bytes

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return self._said(401 if "authorization" not in headers else 403, "Forbidden")
        head, _, rest = path.removeprefix("/api/datasources/proxy/uid/").partition("/")
        if head != "tempo":
            return self._said(404, "Unable to find datasource")
        if self.down:
            return 502, "text/plain", b""
        passed = {"Accept": headers.get("accept", "")}
        answer = httpx.get(f"{self.store}/{rest}", headers=passed, trust_env=False)
        kind = answer.headers.get("content-type", "")
        return answer.status_code, kind, self.change(answer.content)

    @staticmethod
    def _said(status: int, message: str) -> tuple[int, str, bytes]:
        return status, "application/json; charset=UTF-8", f'{{"message":"{message}"}}'.encode()


@contextmanager
def running(grafana: Grafana) -> Iterator[Grafana]:
    """Have it listen, at its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, kind, body = grafana.answer(self.path, headers)
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    grafana.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
