"""Which traces are kept, and how they are found."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_orchestrator._stack.trace_otlp import Row

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_STATUS_ERROR: Final = 2
_LIMIT: Final = 20
_SPANS_PER_TRACE: Final = 3
_NO_ROOT: Final = "<root span not yet received>"

_TRACEQL: Final = re.compile(
    r'\s*\{\s*(?:(?P<field>resource\.service\.name|trace:id)\s*=\s*"(?P<value>[^"\\]*)"\s*)?\}\s*'
)
_TAGS: Final = re.compile(r'\s*service\.name=(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"]+))\s*')
_NOT_OFFERED: Final = ("minDuration", "maxDuration")


class BadQuery(ValueError):
    """A search that cannot be answered; the message says why."""


class TraceMemory:
    """The spans of the traces written to last, for several threads.

    Args:
        max_spans: How many spans are kept in all. When there are more, the
            trace that nothing has been added to for longest is dropped.
    """

    def __init__(self, max_spans: int) -> None:
        self.max_spans = max_spans
        self._guard = threading.Lock()
        self._count = 0
        # Tempo, too, takes two spans of one id and one kind for the same span,
        # sent twice: exporters repeat what was not acknowledged in time.
        self._traces: dict[str, dict[tuple[bytes, int], Row]] = {}

    def add(self, rows: Iterable[Row]) -> int:
        """Keep spans; return how many were refused because their trace alone is too large."""
        with self._guard:
            return sum(not self._keep(row) for row in rows)

    def trace(self, trace_id: str) -> tuple[Row, ...]:
        """The spans of one trace, in the order they came; empty if it is not known."""
        with self._guard:
            return tuple(self._traces.get(trace_id, {}).values())

    def traces(self) -> list[tuple[Row, ...]]:
        """Every trace, the one written to last at the end."""
        with self._guard:
            return [tuple(spans.values()) for spans in self._traces.values()]

    def _keep(self, row: Row) -> bool:
        spans = self._traces.pop(row.trace_id, {})
        self._traces[row.trace_id] = spans  # now the last one to be dropped
        key = (row.span.span_id, row.span.kind)
        if key in spans:
            return True
        if len(spans) >= self.max_spans:
            return False
        spans[key] = row
        self._count += 1
        while self._count > self.max_spans:
            self._count -= len(self._traces.pop(next(iter(self._traces))))
        return True


@dataclass(frozen=True, slots=True)
class Query:
    """What ``/api/search`` was asked for.

    Attributes:
        service: Spans of this service; ``None``: of any.
        trace_id: Spans of this trace, 32 hex digits; ``None``: of any.
        by_traceql: Whether matching spans are listed, as for TraceQL, or only their traces.
        start_s: Unix epoch; traces that ended before it are left out. ``None``: no bound.
        end_s: Unix epoch; traces that began after it are left out. ``None``: no bound.
        limit: How many traces to return.
        spans_per_trace: How many matching spans to list for each.
    """

    service: str | None = None
    trace_id: str | None = None
    by_traceql: bool = False
    start_s: int | None = None
    end_s: int | None = None
    limit: int = _LIMIT
    spans_per_trace: int = _SPANS_PER_TRACE


def read_query(params: Mapping[str, str]) -> Query:
    """Understand the parameters of a search.

    Raises:
        BadQuery: They ask for something this store does not offer, or contradict each other.
    """
    for name in _NOT_OFFERED:
        if params.get(name):
            raise BadQuery(f"this store does not search by {name}; ask by service or by trace id")
    service, trace_id = _condition(params.get("q", ""), params.get("tags", ""))
    start_s, end_s = _seconds(params, "start"), _seconds(params, "end")
    if start_s is not None and end_s is not None and start_s > end_s:
        raise BadQuery(
            f"http parameter start must be before end. received start={start_s} end={end_s}"
        )
    return Query(
        service=service,
        trace_id=trace_id,
        by_traceql=bool(params.get("q")),
        start_s=start_s,
        end_s=end_s,
        limit=_positive(params, "limit", _LIMIT),
        spans_per_trace=_positive(params, "spss", _SPANS_PER_TRACE),
    )


def search(traces: Iterable[Sequence[Row]], query: Query) -> dict[str, Any]:
    """Answer a search as Tempo does, the latest traces first."""
    found = []
    for rows in traces:
        matching = [row for row in rows if _matches(row, query)]
        if matching and _overlaps(rows, query):
            found.append(_shown(rows, matching, query))
    found.sort(key=lambda trace: int(trace.get("startTimeUnixNano", "0")), reverse=True)
    return {"traces": found[: query.limit], "metrics": {"completedJobs": 1, "totalJobs": 1}}


def _condition(traceql: str, tags: str) -> tuple[str | None, str | None]:
    if traceql and tags:
        raise BadQuery("invalid request: can't specify tags and q in the same query")
    if tags:
        return _service_of_tags(tags), None
    match = _TRACEQL.fullmatch(traceql or "{}")
    if match is None:
        raise BadQuery(
            "invalid TraceQL query: this store understands {}, "
            '{ resource.service.name = "..." } and { trace:id = "..." }, '
            f"not {traceql[:200]}"
        )
    field, value = match["field"], match["value"]
    if field == "trace:id":
        return None, value.lower().zfill(32)
    return value, None


def _service_of_tags(tags: str) -> str:
    match = _TAGS.fullmatch(tags)
    if match is None:
        raise BadQuery(f"invalid tags: this store understands service.name=..., not {tags[:200]}")
    return match["bare"] or match["quoted"]


def _seconds(params: Mapping[str, str], name: str) -> int | None:
    text = params.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise BadQuery(f'invalid {name}: strconv.ParseUint: parsing "{text[:40]}": invalid syntax')
    return int(text)


def _positive(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise BadQuery(f"invalid {name}: must be a positive number")
    return int(text)


def _matches(row: Row, query: Query) -> bool:
    return query.service in (None, row.service) and query.trace_id in (None, row.trace_id)


def _overlaps(rows: Sequence[Row], query: Query) -> bool:
    start_ns, end_ns = _extent(rows)
    too_old = query.start_s is not None and end_ns < query.start_s * _NS_PER_S
    too_new = query.end_s is not None and start_ns > query.end_s * _NS_PER_S
    return not (too_old or too_new)


def _extent(rows: Sequence[Row]) -> tuple[int, int]:
    return (
        min(row.span.start_time_unix_nano for row in rows),
        max(row.span.end_time_unix_nano for row in rows),
    )


def _shown(rows: Sequence[Row], matching: Sequence[Row], query: Query) -> dict[str, Any]:
    start_ns, end_ns = _extent(rows)
    root = next((row for row in rows if not row.span.parent_span_id), None)
    trace = {
        # Tempo drops leading zeros here, and only here.
        "traceID": rows[0].trace_id.lstrip("0"),
        "rootServiceName": root.service if root else _NO_ROOT,
        "rootTraceName": root.span.name if root else "",
        "startTimeUnixNano": str(start_ns),
        "durationMs": (end_ns - start_ns) // _NS_PER_MS,
    }
    if query.by_traceql:
        spans = _span_set(matching, query)
        trace |= {"spanSet": spans, "spanSets": [spans], "serviceStats": _service_stats(rows)}
    return _without_zeros(trace)


def _span_set(matching: Sequence[Row], query: Query) -> dict[str, Any]:
    shown = [_shown_span(row, query) for row in matching[: query.spans_per_trace]]
    return {"spans": shown, "matched": len(matching)}


def _shown_span(row: Row, query: Query) -> dict[str, Any]:
    span = row.span
    asked = [] if query.service is None else [("service.name", row.service)]
    return _without_zeros(
        {
            "spanID": span.span_id.hex(),
            "startTimeUnixNano": str(span.start_time_unix_nano),
            "durationNanos": str(span.end_time_unix_nano - span.start_time_unix_nano),
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in asked],
        }
    )


def _service_stats(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    stats: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = stats.setdefault(row.service, {"spanCount": 0, "errorCount": 0})
        counts["spanCount"] += 1
        counts["errorCount"] += row.span.status.code == _STATUS_ERROR
    return {service: _without_zeros(counts) for service, counts in stats.items()}


def _without_zeros(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what protobuf's JSON leaves out."""
    return {name: value for name, value in fields.items() if value not in (0, "", "0", [])}
