"""What came to a trace store, by whom: kept also where the store itself does not show it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from pytest_orchestrator._domain.trace_cause import Received, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from pytest_orchestrator._stack.trace_otlp import Row

_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_PATHS: Final = frozenset({"url.path", "http.target", "http.route"})
_KEPT: Final = 50_000


class IntakeRecord:
    """The last spans that came, and the exports that could not be read; any thread may write.

    Args:
        now_s: Unix epoch.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._received: deque[Received] = deque(maxlen=_KEPT)
        self._refused: deque[Refused] = deque(maxlen=_KEPT)

    def take(self, source: str, rows: Iterable[Row]) -> None:
        """Note spans that were taken."""
        at_s = self._now_s()
        self._received.extend(_received(source, row, at_s) for row in rows)

    def refuse(self, source: str, why: str) -> None:
        """Note an export that was not."""
        self._refused.append(Refused(source, why, self._now_s()))

    def received(self, since_s: float = 0.0) -> tuple[Received, ...]:
        """The spans that came since then, in the order they came."""
        return tuple(each for each in self._received.copy() if each.at_s >= since_s)

    def refused(self, since_s: float = 0.0) -> tuple[Refused, ...]:
        """The exports that could not be read since then."""
        return tuple(each for each in self._refused.copy() if each.at_s >= since_s)


def _received(source: str, row: Row, at_s: float) -> Received:
    span = row.span
    return Received(
        source=source,
        service=row.service,
        trace_id=row.trace_id,
        span_id=span.span_id.hex(),
        kind=_KINDS[span.kind] if span.kind < len(_KINDS) else _KINDS[0],
        parent_id=span.parent_span_id.hex(),
        path=_path(span),
        at_s=at_s,
    )


def _path(span: Span) -> str:
    said = (a.value.string_value for a in span.attributes if a.key in _PATHS)
    return next(filter(None, said), "")
