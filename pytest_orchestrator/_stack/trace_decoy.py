"""A listener where exporters send spans when they are not told where."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_orchestrator._domain.trace_cause import Received
    from pytest_orchestrator._stack.trace_http import TraceServer

_logger = logging.getLogger(__name__)
HTTP_PORT: Final = 4318
GRPC_PORT: Final = 4317
_MAX_BYTES: Final = 16 * 1024 * 1024


class TraceDecoy:
    """Listens on the default ports of OTLP, on loopback, as far as they are free.

    Spans sent to the port of OTLP/HTTP are read, kept apart from all traces, and noted.
    Of connections to the port of gRPC, the caller's port is noted.

    Args:
        http_port: 0: any free one.
        grpc_port: 0: any free one.
    """

    def __init__(self, *, http_port: int = HTTP_PORT, grpc_port: int = GRPC_PORT) -> None:
        self._ports = (http_port, grpc_port)
        self._server: TraceServer | None = None
        self._socket: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._callers: list[int] = []

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # somebody has the port, perhaps a collector
            self._listen_http()
        with contextlib.suppress(OSError):
            self._listen_grpc()
        return self

    @property
    def http_port(self) -> int | None:
        """The port of OTLP/HTTP; ``None`` if it was not free."""
        return self._server.server_port if self._server else None

    @property
    def grpc_port(self) -> int | None:
        """The port of gRPC; ``None`` if it was not free."""
        return int(self._socket.getsockname()[1]) if self._socket else None

    def received(self) -> tuple[Received, ...]:
        """The spans that came to the port of OTLP/HTTP."""
        return self._server.answers.record.received() if self._server else ()

    def callers(self) -> frozenset[int]:
        """The ports of those who connected to the port of gRPC."""
        return frozenset(self._callers)

    def _listen_http(self) -> None:
        from pytest_orchestrator._stack.trace_http import listen, serve  # noqa: PLC0415

        self._server = listen(self._ports[0], max_spans=10_000, max_body_bytes=_MAX_BYTES)
        self._threads.append(serve(self._server, "trace-decoy"))

    def _listen_grpc(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self._ports[1]))
        thread = threading.Thread(target=self._accept, name="trace-decoy gRPC", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        listener = self._socket
        while listener is not None:
            try:
                connection, address = listener.accept()
            except OSError:  # closed
                return
            self._callers.append(address[1])
            _logger.debug("port %s of gRPC was called from port %s", self._ports[1], address[1])
            connection.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        for thread in self._threads:
            thread.join()
