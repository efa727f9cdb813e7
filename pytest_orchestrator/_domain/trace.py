"""A trace: the spans of several services that belong to one request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class TraceIds(NamedTuple):
    """What a trace is started with: its id, and that of the span all others descend from."""

    trace_id: str
    """32 hex digits, lower case."""
    span_id: str
    """16 hex digits, lower case."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work of one service.

    Attributes:
        trace_id: 32 hex digits, lower case.
        span_id: 16 hex digits, lower case.
        parent_id: 16 hex digits, lower case; empty for a span without a parent.
        service: The resource's ``service.name``; empty if it has none.
        name: E.g. ``"POST /api/query"``.
        kind: ``"INTERNAL"``, ``"SERVER"``, ``"CLIENT"``, ``"PRODUCER"``, ``"CONSUMER"``
            or ``"UNSPECIFIED"``.
        start_ns: Unix epoch, by the clock of the service's machine.
        end_ns: Unix epoch, by the clock of the service's machine.
        status: ``"UNSET"``, ``"OK"`` or ``"ERROR"``.
        attributes: The span's own, not those of its resource.
        status_message: What the service says on an error; often empty.
        version: The resource's ``service.version``; empty if it has none.
        events: Names of the span's events, e.g. ``"exception"``.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    status_message: str = ""
    version: str = ""
    events: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.service or '(no service)'} {self.kind} {self.name!r} {self.span_id}"


def traceparent(trace_id: str, span_id: str) -> str:
    """The header that makes a service continue a trace, with the sampled flag set.

    Raises:
        ValueError: An id does not have 32 or 16 lower-case hex digits, or is all
            zeros; services would ignore the header and start a trace of their own.

    Source:
        W3C Trace Context, "traceparent Header".
    """
    for what, text, digits in (("trace", trace_id, 32), ("span", span_id, 16)):
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", text) or not text.strip("0"):
            raise ValueError(
                f"a {what} id is {digits} lower-case hex digits, not all zero; got {text!r}"
            )
    return f"00-{trace_id}-{span_id}-01"


def services(spans: Sequence[Span]) -> frozenset[str]:
    """Every service that has a span, without the empty name."""
    return frozenset(span.service for span in spans if span.service)


def by_id(spans: Sequence[Span]) -> dict[str, Span]:
    """The spans by their id; of several with one id, the first."""
    return {span.span_id: span for span in reversed(spans)}


def duplicates(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans whose id another span before them has."""
    first = by_id(spans)
    return tuple(span for span in spans if span is not first[span.span_id])


def roots(spans: Sequence[Span], parent_span_id: str) -> tuple[Span, ...]:
    """The spans in which a trace begins: children of the given span, and of none."""
    return tuple(span for span in spans if span.parent_id in ("", parent_span_id))


def orphans(spans: Sequence[Span], parent_span_id: str) -> tuple[Span, ...]:
    """The spans whose parent is neither there nor the given one."""
    known = {"", parent_span_id, *by_id(spans)}
    return tuple(span for span in spans if span.parent_id not in known)


def cycles(spans: Sequence[Span]) -> tuple[tuple[Span, ...], ...]:
    """The rings of spans that are their own ancestors, each once, child before parent."""
    known = by_id(spans)
    done: set[str] = set()
    found = []
    for span in spans:
        path: dict[str, Span] = {}
        at: Span | None = span
        while at is not None and at.span_id not in done and at.span_id not in path:
            path[at.span_id] = at
            at = known.get(at.parent_id)
        if at is not None and at.span_id in path:
            found.append(tuple(path.values())[list(path).index(at.span_id) :])
        done |= path.keys()
    return tuple(found)


def of_kind(spans: Sequence[Span], service: str, kind: str) -> tuple[Span, ...]:
    """The spans of one service and one kind, in the order given."""
    return tuple(span for span in spans if span.service == service and span.kind == kind)


def entries(spans: Sequence[Span], service: str, parent_span_id: str) -> tuple[Span, ...]:
    """The ``SERVER`` spans of a service that continue a given parent, or nothing if it is empty.

    ``INTERNAL`` spans may stand between.
    """
    known = by_id(spans)
    return tuple(
        span
        for span in of_kind(spans, service, "SERVER")
        if _top(span, known, frozenset({service})).parent_id == parent_span_id
    )


def hops(spans: Sequence[Span], caller: str, called: str, chain: Sequence[str]) -> tuple[Span, ...]:
    """The ``SERVER`` spans of ``called`` that a ``CLIENT`` span of ``caller`` led to.

    Spans of kind ``INTERNAL`` may stand between, and those of services outside the
    ``chain``, e.g. of a gateway.
    """
    known = by_id(spans)
    return tuple(
        span
        for span in of_kind(spans, called, "SERVER")
        if (client := leading_to(span, known, chain)) is not None
        and (client.service, client.kind) == (caller, "CLIENT")
    )


def leading_to(span: Span, known: Mapping[str, Span], chain: Sequence[str]) -> Span | None:
    """The nearest span above that is not ``INTERNAL`` and is of a service of the chain.

    Args:
        span: Where to begin.
        known: The trace's spans by id.
        chain: The services that count.

    Returns:
        ``None`` if the way up ends, or runs in a circle, before there is one.
    """
    seen = {span.span_id}
    above = known.get(span.parent_id)
    while above is not None and above.span_id not in seen:
        if above.kind != "INTERNAL" and above.service in chain:
            return above
        seen.add(above.span_id)
        above = known.get(above.parent_id)
    return None


def _top(span: Span, known: Mapping[str, Span], within: frozenset[str]) -> Span:
    """The last span on the way up over ``INTERNAL`` spans of some services."""
    seen = {span.span_id}
    above = known.get(span.parent_id)
    while (
        above is not None
        and above.span_id not in seen
        and above.kind == "INTERNAL"
        and above.service in within
    ):
        span = above
        seen.add(span.span_id)
        above = known.get(span.parent_id)
    return span
