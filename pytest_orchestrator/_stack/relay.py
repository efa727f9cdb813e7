"""A relay between two services: a gate sees what they say, and may answer in a service's place."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import threading
import zlib
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_orchestrator._domain.hop import HangUp, Hop, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.client import HTTPResponse

    from pytest_orchestrator._domain.hop import StandIn
    from pytest_orchestrator._stack.process import ProcessRuntime

FORWARD_TIMEOUT_S = 30.0
_HOST = "127.0.0.1"
_PIECE_BYTES = 64 * 1024
# What concerns one connection only, not the message (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    {"connection", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
# What a relay can read without help; askers are told of no other coding.
_CODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class Hops:
    """The exchanges so far, in the order in which they were answered."""

    def __init__(self) -> None:
        self._hops: list[Hop] = []
        self._pending: dict[int, Hop] = {}
        self._relays: dict[str, Relay] = {}

    def __iter__(self) -> Iterator[Hop]:
        return iter(tuple(self._hops))

    def add(self, hop: Hop) -> None:
        """Record an exchange; any thread may."""
        self._hops.append(hop)

    @property
    def pending(self) -> tuple[Hop, ...]:
        """What services have been asked and not answered yet; each with status 0."""
        return tuple(self._pending.copy().values())

    @contextmanager
    def under_way(self, hop: Hop) -> Iterator[None]:
        """Have an exchange among those that are pending, for as long as this lasts."""
        self._pending[id(hop)] = hop
        try:
            yield
        finally:
            del self._pending[id(hop)]

    def clear(self) -> None:
        """Forget what was recorded."""
        self._hops.clear()

    def connect(self, relay: Relay) -> None:
        """Have a service's relay at hand."""
        self._relays[relay.service] = relay

    @contextmanager
    def standing_in(self, service: str, stand_in: StandIn) -> Iterator[None]:
        """Have others get a stand-in's answers in place of a service's, for as long as this lasts.

        Args:
            service: Who is not asked, unless the stand-in says so.
            stand_in: Given a request, says what is answered.
        """
        relay = self._relays[service]
        before, relay.stand_in = relay.stand_in, stand_in
        try:
            yield
        finally:
            relay.stand_in = before

    @contextmanager
    def refusing(self, service: str) -> Iterator[None]:
        """Have connections to a service refused, as if it were down, for as long as this lasts."""
        relay = self._relays[service]
        relay.refuse()
        try:
            yield
        finally:
            relay.start()


class Relay:
    """Stands in front of one service and passes everything on, unless somebody stands in.

    The bytes of a message stay as they are: what is compressed or comes piece by
    piece does so on the other side. If the service gives no answer, its asker
    gets none either.

    Args:
        service: Who is behind it.
        target: Gives the service's address.
        hops: Where exchanges are recorded, before their answer has arrived.
    """

    def __init__(self, service: str, target: Callable[[], str], hops: Hops) -> None:
        self.service = service
        self.target = target
        self.hops = hops
        self.stand_in: StandIn | None = None
        self.stopped = threading.Event()
        # It never listens. It keeps the port from others while connections are refused.
        self._reserved = _reserved_socket()
        self._server: _Server | None = None
        self.url = f"http://{_HOST}:{self._reserved.getsockname()[1]}"

    def start(self) -> None:
        """Begin to listen, in a thread; once is enough."""
        if self._server is not None:
            return
        self._server = _Server(self._reserved.getsockname(), partial(_Handler, relay=self))
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
            name=f"relay {self.url}",
        ).start()

    @property
    def refuses(self) -> bool:
        """Whether nobody is listening."""
        return self._server is None

    def refuse(self) -> None:
        """Stop listening; kept connections end with their next request."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def stop(self) -> None:
        """Stop listening for good, and keep nobody waiting."""
        self.stopped.set()
        self.refuse()
        self._reserved.close()


def _reserved_socket() -> socket.socket:
    reserved = socket.socket()
    for option in ("SO_REUSEADDR", "SO_REUSEPORT"):
        if hasattr(socket, option):
            reserved.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
    reserved.bind((_HOST, 0))
    return reserved


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    allow_reuse_port = True
    request_queue_size = 128
    """More than ever ask at once: a full queue looks like a service that hangs."""

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of askers that went away before they had their answer."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of an asker."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, *connection: Any, relay: Relay) -> None:
        self._relay = relay
        super().__init__(*connection)

    def _relayed(self) -> None:
        body = self._body()
        if body is None or self._relay.refuses:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, _local(self.path), headers, body)
        pending = self._hop(request, 0, {}, b"", stood_in=self._relay.stand_in is not None)
        with self._relay.hops.under_way(pending):
            self._respond(request)

    def _respond(self, request: Request) -> None:
        stand_in = self._relay.stand_in
        reply = stand_in(request) if stand_in else None
        if reply is None:
            self._pass_on(request)
        elif isinstance(reply, HangUp):
            self._hang_up(request, reply)
        else:
            self._answer(request, reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _relayed  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    # ------------------------------------------------------------ what is asked

    def _body(self) -> bytes | None:
        """The body, without chunks; ``None`` if it is not what its headers say."""
        with suppress(ValueError, OSError):
            if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
                return b"".join(iter(self._chunk, b""))
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            return body if len(body) == length else None
        return None

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        if size == 0:
            while self.rfile.readline().strip():  # trailers
                pass
        else:
            self.rfile.readline()
        if len(data) != size:
            raise ValueError(size)
        return data

    # ------------------------------------------------------------ the service answers

    def _pass_on(self, request: Request) -> None:
        where = urlsplit(self._relay.target())
        service = HTTPConnection(where.hostname or _HOST, where.port, timeout=FORWARD_TIMEOUT_S)
        try:
            answer = _asked(service, self, request)
            self._stream(request, answer)
        except (OSError, HTTPException, ValueError):
            # Its asker learns just what we did: that no answer came, or only a part.
            self.close_connection = True
        finally:
            service.close()

    def _stream(self, request: Request, answer: HTTPResponse) -> None:
        """Send on what comes, as it comes; the end of it not before it is recorded."""
        if request.method == "HEAD" or answer.status in {204, 304}:
            self._record(request, answer.status, answer.headers, b"")
            self._head(answer.status, answer.getheaders())
            return
        length = answer.getheader("content-length")
        chunked = length is None and self.request_version != "HTTP/1.0"
        self._head(answer.status, answer.getheaders(), chunked=chunked)
        # Without either, its end is that of the connection.
        self.close_connection |= length is None and not chunked
        body = bytearray()
        while piece := answer.read1(_PIECE_BYTES):
            body += piece
            if length is not None and len(body) == int(length):
                self._record(request, answer.status, answer.headers, bytes(body))
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if length is None or int(length) == 0:
            self._record(request, answer.status, answer.headers, bytes(body))
        elif len(body) < int(length):
            self._record(request, 0, answer.headers, b"")
            self.close_connection = True
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: list[tuple[str, str]], *, chunked: bool = False) -> None:
        named = {n.strip().lower() for k, v in headers if k.lower() == "connection"
                 for n in v.split(",")}  # fmt: skip
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP | named:
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    # ------------------------------------------------------------ somebody else does

    def _answer(self, request: Request, reply: Reply) -> None:
        headers = [("Content-Type", reply.media_type), ("Content-Length", str(len(reply.body)))]
        headers += reply.headers
        body = reply.body if reply.sent_bytes is None else reply.body[: reply.sent_bytes]
        whole = len(body) == len(reply.body)
        shown = dict(headers) | {"content-type": reply.media_type}
        self._record(request, reply.status if whole else 0, shown, body, stood_in=True)
        self._relay.stopped.wait(reply.delay_s)
        self._head(reply.status, headers)
        if request.method != "HEAD":
            self.wfile.write(body)
        if not whole:
            self._relay.stopped.wait(reply.silence_s)
            self.close_connection = True

    def _hang_up(self, request: Request, reply: HangUp) -> None:
        self._record(request, 0, {}, b"", stood_in=True)
        self._relay.stopped.wait(reply.silence_s)
        self.close_connection = True

    def _record(
        self, request: Request, status: int, headers: Any, body: bytes, *, stood_in: bool = False
    ) -> None:
        self._relay.hops.add(self._hop(request, status, headers, body, stood_in=stood_in))

    def _hop(
        self, request: Request, status: int, headers: Any, body: bytes, *, stood_in: bool
    ) -> Hop:
        known = {name.lower(): value for name, value in headers.items()}
        answer = _json(_readable(body, known.get("content-encoding", "")))
        return Hop(
            self._relay.service, request.method, request.path, status, answer, request.json,
            request.headers, known, stood_in,
        )  # fmt: skip


def _asked(
    service: HTTPConnection, asker: BaseHTTPRequestHandler, request: Request
) -> HTTPResponse:
    """Put a request to the service, with the asker's own headers and no others."""
    service.putrequest(request.method, request.path, skip_host=False, skip_accept_encoding=True)
    named = {n.strip().lower() for n in (asker.headers.get("connection") or "").split(",")}
    for name, value in asker.headers.items():
        if name.lower() == "accept-encoding":
            service.putheader(name, _readable_codings(value))
        elif name.lower() not in _HOP_BY_HOP | named | {"content-length"}:
            service.putheader(name, value)
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        service.putheader("Content-Length", str(len(request.body)))
    service.endheaders(request.body or None)
    return service.getresponse()


def _readable_codings(accepted: str) -> str:
    codings = [c.strip() for c in accepted.split(",")]
    return ", ".join(c for c in codings if c.split(";")[0].strip() in _CODINGS) or "identity"


def _local(target: str) -> str:
    """The path of a request, also of one with the whole address in its first line."""
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _readable(body: bytes, coding: str) -> bytes:
    with suppress(zlib.error, EOFError, OSError):
        return (
            _CODINGS[coding.strip().lower()](body) if coding.strip().lower() in _CODINGS else body
        )
    return b""


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
        hops.connect(relay)
    runtime.reach_by({relay.service: relay.url for relay in made})
    try:
        yield
    finally:
        for relay in made:
            relay.stop()
