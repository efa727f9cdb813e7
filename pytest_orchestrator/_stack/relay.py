"""A relay between two services, so that a gate sees what they say to each other."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_orchestrator._stack.process import ProcessRuntime

FORWARD_TIMEOUT_S = 30.0
# What concerns one connection only, not the message (RFC 9110, 7.6.1), or changes in passing.
_HOP_BY_HOP = frozenset(
    {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}
)


@dataclass(frozen=True, slots=True)
class Hop:
    """One exchange between two services.

    Attributes:
        service: Who answered.
        method: E.g. ``"POST"``.
        path: With its query, e.g. ``"/internal/query"``.
        status: Of the answer.
        answer: The answer's body as JSON; ``None`` if it is not JSON.
        asked: The request's body as JSON; ``None`` if it is not JSON.
        headers: The request's, by name in lower case, e.g. ``headers["traceparent"]``.
    """

    service: str
    method: str
    path: str
    status: int
    answer: Any
    asked: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Hops:
    """The exchanges so far, in the order in which they were answered."""

    def __init__(self) -> None:
        self._hops: list[Hop] = []

    def __iter__(self) -> Iterator[Hop]:
        return iter(tuple(self._hops))

    def add(self, hop: Hop) -> None:
        """Record an exchange; any thread may."""
        self._hops.append(hop)

    def clear(self) -> None:
        """Forget what was recorded."""
        self._hops.clear()


class Relay:
    """Stands in front of one service and passes everything on.

    Args:
        service: Who is behind it.
        target: Gives the service's address.
        hops: Where exchanges are recorded.
    """

    def __init__(self, service: str, target: Callable[[], str], hops: Hops) -> None:
        client = httpx.Client(timeout=FORWARD_TIMEOUT_S, trust_env=False)
        # Or a service that sends none of its own would seem to be called by a gate.
        for name in tuple(client.headers):
            del client.headers[name]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                _pass_on(self, service, target(), hops, client)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.service = service
        self._client = client
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Begin to pass on, in a thread."""
        threading.Thread(
            target=self._server.serve_forever, daemon=True, name=f"relay {self.url}"
        ).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


def _pass_on(
    handler: BaseHTTPRequestHandler, service: str, target: str, hops: Hops, client: httpx.Client
) -> None:
    body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
    headers = {k: v for k, v in handler.headers.items() if k.lower() not in _HOP_BY_HOP}
    try:
        answer = client.request(
            handler.command, target + handler.path, content=body, headers=headers
        )
    except httpx.TransportError as error:
        handler.send_error(502, f"{service} cannot be reached: {error}")
        return
    hops.add(
        Hop(
            service, handler.command, handler.path, answer.status_code, _json(answer.content),
            _json(body), {k.lower(): v for k, v in handler.headers.items()},
        )
    )  # fmt: skip
    handler.send_response_only(answer.status_code)  # the service says itself who it is, and when
    for name, value in answer.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            handler.send_header(name, value)
    handler.send_header("content-length", str(len(answer.content)))
    handler.end_headers()
    handler.wfile.write(answer.content)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:  # not JSON, or not even text
        return None


@contextmanager
def relays(runtime: ProcessRuntime, hops: Hops) -> Iterator[None]:
    """Have a runtime's services reach each other through relays for as long as this lasts."""
    made = [Relay(name, partial(runtime.url, name), hops) for name in runtime.names]
    for relay in made:
        relay.start()
    runtime.reach_by({relay.service: relay.url for relay in made})
    try:
        yield
    finally:
        for relay in made:
            relay.stop()
