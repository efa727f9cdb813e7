"""What is known of exports beside the trace store: other addresses, logs, connections."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pytest_orchestrator._domain.trace_log import addresses_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._domain.trace_cause import Received, Refused
    from pytest_orchestrator._stack.process import ProcessRuntime
    from pytest_orchestrator._stack.trace_decoy import TraceDecoy
    from pytest_orchestrator._stack.trace_store import TraceStore

_LOG_LINES: Final = 200
# OTLP by gRPC and HTTP, Zipkin, Jaeger, Datadog: where SDKs send spans by default.
_TELEMETRY_PORTS: Final = frozenset({4317, 4318, 9411, 14250, 14268, 55680, 55681, 8126})


class ServiceWitness:
    """Gathers what shows why a service's spans are not in the store.

    Args:
        plan: Has the services.
        runtime: Runs them.
        store: Where they are told to send their spans.
        decoy: Where they would send them without being told.
    """

    def __init__(
        self, plan: Plan, runtime: ProcessRuntime, store: TraceStore, decoy: TraceDecoy
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._store = store
        self._decoy = decoy

    def received(self, since_s: float) -> tuple[Received, ...]:
        """The spans that came since then, whether the store shows them or not."""
        return self._store.record.received(since_s)

    def refused(self, since_s: float) -> tuple[Refused, ...]:
        """The exports since then that could not be read."""
        return self._store.record.refused(since_s)

    def background(self, service: str) -> frozenset[str]:
        """The paths of a service's health and document, which anybody may ask at any time."""
        known = self._plan.services.get(service)
        return frozenset(filter(None, (known.health, known.openapi))) if known else frozenset()

    def flush(self, services: Sequence[str]) -> None:
        """Stop services; what they still have, they send before they end."""
        self._runtime.stop(*services)

    def elsewhere(self, service: str) -> tuple[str, ...]:
        """The addresses a service sends its spans to, or fails to, with how that is known."""
        connections = (
            _Connections(self._runtime.running[service].pid)
            if (service in self._runtime.running)
            else None
        )
        return tuple(
            dict.fromkeys(
                (
                    *self._by_decoy(service, connections),
                    *self._by_log(service),
                    *self._by_connection(connections),
                )
            )
        )

    def _by_decoy(self, service: str, connections: _Connections | None) -> Iterator[str]:
        counts = Counter(each.service for each in self._decoy.received())
        if counts[service]:
            yield f"127.0.0.1:{self._decoy.http_port} got spans of {service}, {counts[service]}"
        calls = {local for local, _ in connections} if connections else set()
        if calls & self._decoy.callers():
            yield f"it called 127.0.0.1:{self._decoy.grpc_port}, the port of gRPC"

    def _by_log(self, service: str) -> Iterator[str]:
        running = self._runtime.running.get(service)
        if running is None:
            return
        known = [urlsplit(url).netloc for url in (self._store.intake(service), *self._urls())]
        for address in addresses_in(running.log_tail(_LOG_LINES), known=known):
            yield f"its log has a failed export to {address}"

    def _urls(self) -> Iterator[str]:
        return (self._runtime.url(name) for name in self._runtime.names)

    def _by_connection(self, connections: _Connections | None) -> Iterator[str]:
        own = urlsplit(self._store.url).port
        for _, (host, port) in connections or ():
            if port in _TELEMETRY_PORTS and port != own:
                yield f"it is connected to {host}:{port}"


class _Connections:
    """The TCP connections of a process and of what it started: own port, address of the other."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def __iter__(self) -> Iterator[tuple[int, tuple[str, int]]]:
        import psutil  # noqa: PLC0415 -- loaded by who needs it

        try:
            leader = psutil.Process(self._pid)
            for process in (leader, *leader.children(recursive=True)):
                for connection in process.net_connections(kind="tcp"):
                    if connection.raddr:
                        yield connection.laddr.port, (connection.raddr.ip, connection.raddr.port)
        except psutil.Error:  # it has ended, or is not ours to look at
            return
