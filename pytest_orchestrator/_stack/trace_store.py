"""The embedded trace store: services export to it, gates query it like Tempo."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from pytest_orchestrator._stack.trace_forward import Forwarder
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_orchestrator._stack.trace_http import TraceServer
    from pytest_orchestrator._stack.trace_record import IntakeRecord


class TraceStore:
    """An HTTP server on the loopback interface that keeps traces in memory.

    It takes OTLP/HTTP exports at ``/v1/traces`` (protobuf or JSON, gzip or not)
    and answers, on the same port, Tempo's ``/api/traces/{id}``,
    ``/api/v2/traces/{id}`` and ``/api/search``; what it answers is what Tempo
    3.0 was recorded to answer. A search finds a trace as soon as its first
    export has arrived; Tempo takes 10 to 30 s. Of TraceQL it understands
    ``{}``, ``{ resource.service.name = "..." }`` and ``{ trace:id = "..." }``.

    It notes what comes, by whom: every service can be given an address of its own,
    see ``intake``. With ``forward_to`` it keeps nothing itself: it hands on what it
    has read, and is not the one to be asked for traces.

    Args:
        port: To listen on; 0 takes a free one.
        max_spans: How many spans are kept; beyond that, the traces that nothing
            has been added to for longest are dropped.
        max_body_bytes: The largest export that is taken, also after unpacking.
        forward_to: Base URL of the OTLP/HTTP receiver of another store, e.g.
            ``"http://127.0.0.1:4318"``; ``None``: traces are kept here.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        max_spans: int = 50_000,
        max_body_bytes: int = 16 * 1024 * 1024,
        forward_to: str | None = None,
    ) -> None:
        self._forwarder = Forwarder(forward_to) if forward_to else None
        self._intakes: dict[str, TraceServer] = {}
        self._guard = threading.Lock()
        self._port = port
        self._max_spans = max_spans
        self._max_body_bytes = max_body_bytes
        self._server: TraceServer | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Listen, with nothing kept yet; a store that is started already stays as it is.

        Raises:
            Infra: The port is taken.
        """
        if self._server is not None:
            return
        # opentelemetry-proto and the server are loaded here and not with this
        # module: sessions that judge no traces do not pay for them.
        from pytest_orchestrator._stack.trace_http import listen, serve  # noqa: PLC0415

        try:
            self._server = listen(
                self._port,
                max_spans=self._max_spans,
                max_body_bytes=self._max_body_bytes,
                forward=self._forwarder,
            )
        except OSError as error:
            raise Infra(
                f"the trace store cannot listen on port {self._port} ({error}); "
                "free the port, or let it take a free one with port 0"
            ) from error
        self._threads.append(serve(self._server, "trace-store"))

    def intake(self, source: str) -> str:
        """An address for the exports of one service, so that it is known who sent what.

        Returns:
            Without a slash at the end; the same for the same service.

        Raises:
            Infra: The store is not started.
        """
        from pytest_orchestrator._stack.trace_http import TraceServer, serve  # noqa: PLC0415

        server = self._started()
        with self._guard:
            if source not in self._intakes:
                own = TraceServer(0, server.answers, self._max_body_bytes, source)
                self._intakes[source] = own
                self._threads.append(serve(own, f"trace-intake {source}"))
            return self._intakes[source].url

    @property
    def record(self) -> IntakeRecord:
        """What came, and what could not be read.

        Raises:
            Infra: The store is not started.
        """
        return self._started().answers.record

    def stop(self) -> None:
        """Stop listening, close every connection and forget all traces; may be called twice."""
        servers = [*self._intakes.values(), *([self._server] if self._server else [])]
        threads, self._threads = self._threads, []
        self._server, self._intakes = None, {}
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end: ``"http://127.0.0.1:43180"``.

        Raises:
            Infra: It is not started.
        """
        return self._started().url

    def _started(self) -> TraceServer:
        if self._server is None:
            raise Infra("the trace store has no URL: it is not started; call start() first")
        return self._server

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
