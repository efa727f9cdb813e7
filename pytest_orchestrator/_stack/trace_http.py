"""The embedded trace store's socket: requests in, answers out, no body without a bound."""

from __future__ import annotations

import logging
import re
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from pytest_orchestrator._stack.trace_answers import (
    Answer,
    BodyTooLarge,
    Forward,
    Request,
    TraceAnswers,
    too_large,
)
from pytest_orchestrator._stack.trace_search import TraceMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger(__name__)

_HOST: Final = "127.0.0.1"

_PIECE_BYTES: Final = 65_536
_MAX_LINE_BYTES: Final = 4_096
_DIGITS: Final = {10: re.compile("[0-9]{1,12}"), 16: re.compile("[0-9a-fA-F]{1,12}")}
_READ_ON: Final = 4
"""A body that is too large is read up to so many times the limit, and thrown away."""


def listen(
    port: int, *, max_spans: int, max_body_bytes: int, forward: Forward | None = None
) -> TraceServer:
    """Bind a server that keeps nothing yet; ``serve_forever`` makes it answer.

    Raises:
        OSError: The port is taken.
    """
    answers = TraceAnswers(TraceMemory(max_spans), max_body_bytes=max_body_bytes, forward=forward)
    return TraceServer(port, answers, max_body_bytes)


def serve(server: TraceServer, name: str) -> threading.Thread:
    """Have a server answer, in a thread that ends with ``shutdown``."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name=name, daemon=True)
    thread.start()
    return thread


class TraceServer(ThreadingHTTPServer):
    """A thread for each connection; all end with the process or with ``server_close``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, answers: TraceAnswers, max_body_bytes: int, source: str = ""
    ) -> None:
        self.answers = answers
        self.source = source
        self.max_body_bytes = max_body_bytes
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__((_HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Without a slash at the end: ``"http://127.0.0.1:43180"``."""
        return f"http://{_HOST}:{self.server_port}"

    def server_bind(self) -> None:
        # HTTPServer would look up the host's name, which may ask the network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        with self._guard:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        del request
        error = sys.exception()
        if isinstance(error, ConnectionError):
            _logger.debug("%s went away", client_address)
        else:
            _logger.error("a request of %s was not answered", client_address, exc_info=error)


class _BrokenBody(ValueError):
    """The body is not framed as its headers say."""


class _Handler(BaseHTTPRequestHandler):
    """Reads one request after another from a connection."""

    server: TraceServer
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60  # seconds without a byte after which a connection is closed

    def _handle(self) -> None:
        try:
            body = self._body()
        except BodyTooLarge as error:
            self._send(too_large(error))
            return
        except _BrokenBody as error:
            self.close_connection = True
            self._send(Answer(400, f"400 {error}".encode(), "text/plain"))
            return
        self._send(self.server.answers.answer(self._request(body)))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815 -- names the base class looks for

    def _request(self, body: bytes) -> Request:
        path, _, query = self.path.partition("?")
        return Request(
            method=self.command,
            path=unquote(path),
            params=dict(reversed(parse_qsl(query))),
            headers=self.headers,
            body=body,
            source=self.server.source,
        )

    def _send(self, answer: Answer) -> None:
        self.log_request(answer.status)
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _body(self) -> bytes:
        limit, received, kept = self.server.max_body_bytes, 0, bytearray()
        for piece in self._pieces():
            received += len(piece)
            if received <= limit:
                kept += piece
            # Read on for a while, or the client would see a broken connection
            # instead of the answer; but not for ever.
            elif received > _READ_ON * limit:
                self.close_connection = True
                break
        if received > limit:
            raise BodyTooLarge(
                f"413 the body has more than {limit} bytes; export in smaller batches"
            )
        return bytes(kept)

    def _pieces(self) -> Iterator[bytes]:
        match self.headers.get("Transfer-Encoding", "").strip().lower():
            case "":
                yield from self._exactly(_size(self.headers.get("Content-Length", "0"), base=10))
            case "chunked":
                yield from self._chunks()
            case other:
                raise _BrokenBody(f"a body in Transfer-Encoding {other[:40]} cannot be read")

    def _chunks(self) -> Iterator[bytes]:
        """Exporters that compress while they send do not know the length beforehand."""
        while size := _size(self._line().partition(";")[0].strip(), base=16):
            yield from self._exactly(size)
            self._line()
        while self._line():  # trailers, which nothing here needs
            continue

    def _line(self) -> str:
        line = self.rfile.readline(_MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise _BrokenBody("the body's chunks end too early")
        return line.decode("latin-1").strip()

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, _PIECE_BYTES))
            if not piece:
                raise _BrokenBody(f"the body ends {size} bytes too early")
            size -= len(piece)
            yield piece

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what cannot be read as HTTP/1; exporters that speak gRPC begin with HTTP/2."""
        if self.raw_requestline.startswith(b"PRI * HTTP/2"):
            self.server.answers.record.refuse(
                self.server.source,
                "it speaks HTTP/2, as gRPC does, to a receiver of OTLP over HTTP; set "
                "OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf and use that exporter",
            )
        super().send_error(code, message, explain)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as in the base class
        _logger.debug(format, *args)


def _size(text: str, *, base: int) -> int:
    if not _DIGITS[base].fullmatch(text):
        raise _BrokenBody(f"a body cannot be {text[:40]!r} bytes long")
    return int(text, base)
