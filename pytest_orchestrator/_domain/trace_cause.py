"""Why a service has no span in a trace: decided from what store, wire and logs show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

_TRACEPARENT = re.compile(
    r"[ \t]*(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
    r"(?:-.*)?[ \t]*"
)
_SAMPLED = 0x01


class Context(NamedTuple):
    """What a ``traceparent`` header says."""

    trace_id: str
    span_id: str
    sampled: bool


def read_traceparent(text: str | None) -> Context | None:
    """Understand a header; ``None`` if it is not there, or is one that services ignore.

    Source:
        W3C Trace Context, "traceparent Header": later versions may be longer.
    """
    match = _TRACEPARENT.fullmatch(text or "")
    if match is None:
        return None
    return Context(match[1], match[2], bool(int(match[3], 16) & _SAMPLED))


class Kind(StrEnum):
    """The causes; each is the ``rule`` of its finding."""

    NOT_ASKED = "not-asked"
    """Nobody called the service, so there is nothing to trace."""
    PROPAGATION = "propagation"
    """The trace's ids were not handed on, or not taken over."""
    SAMPLED_OUT = "sampled-out"
    """The ids were handed on with the order not to record."""
    NOT_EXPORTED = "not-exported"
    """The service had what it needs, and the store got nothing from it."""
    EXPORTED_LATE = "exported-late"
    """Its spans came after the deadline."""
    EXPORTED_ELSEWHERE = "exported-elsewhere"
    """Its spans went, or tried to go, to another address."""
    REFUSED = "refused"
    """The store could not read what the service sent."""
    MISNAMED = "service-name"
    """Its spans are in the trace under another ``service.name``."""
    NOT_SEARCHABLE = "not-searchable"
    """The store took its spans into the trace and does not show them."""


@dataclass(frozen=True, slots=True)
class Received:
    """One span that came to the store.

    Attributes:
        source: The service that was told to send its spans this way; empty if nobody was.
        service: The resource's ``service.name``; empty if it has none.
        trace_id: 32 hex digits, lower case.
        span_id: 16 hex digits, lower case.
        kind: E.g. ``"SERVER"``.
        parent_id: 16 hex digits, lower case; empty for a span without a parent.
        path: What the span says was asked for, if it does: its route or path.
        at_s: Unix epoch; when it came.
    """

    source: str
    service: str
    trace_id: str
    span_id: str
    kind: str
    parent_id: str = ""
    path: str = ""
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """One export that the store could not take.

    Attributes:
        source: As for ``Received``.
        why: A sentence.
        at_s: Unix epoch.
    """

    source: str
    why: str
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a service, as the wire carried it.

    Attributes:
        traceparent: The header as it was sent; ``None`` if it was not.
        other_headers: Names, in lower case, of other headers that carry trace ids.
        method: E.g. ``"POST"``; empty if it is not known.
        status: Of the answer; 0 if it is not known.
        path: What was asked for, without its query; empty if it is not known.
    """

    traceparent: str | None
    other_headers: tuple[str, ...] = ()
    method: str = ""
    status: int = 0
    path: str = ""

    @property
    def context(self) -> Context | None:
        """What the header says; ``None`` if that is nothing."""
        return read_traceparent(self.traceparent)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about one request when its trace is not whole.

    Attributes:
        chain: The services in the order the request passes them.
        trace_id: The trace that was asked for; 32 hex digits.
        parent_span_id: Of the ``traceparent`` that was sent; empty if none was.
        seen: The services that have a span in what the store shows of the trace.
        calls: By service: the requests made to it.
        received: The spans that came since the request was sent.
        late: The spans that came too late to be shown, or only when the services were stopped.
        refused: The exports since then that could not be read.
        elsewhere: By service: addresses it sends, or tries to send, its spans to.
    """

    chain: tuple[str, ...]
    trace_id: str
    parent_span_id: str
    seen: frozenset[str]
    calls: Mapping[str, tuple[Call, ...]] = field(default_factory=dict)
    received: tuple[Received, ...] = ()
    late: tuple[Received, ...] = ()
    refused: tuple[Refused, ...] = ()
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a service is missing in a trace.

    Attributes:
        kind: What happened.
        blamed: The service that has to be changed.
        missing: The service without a span.
        caller: For what happened on the way: who called ``missing``; empty otherwise.
        detail: What the evidence shows, as the end of a sentence; may be empty.
    """

    kind: Kind
    blamed: str
    missing: str
    caller: str = ""
    detail: str = ""


def causes(evidence: Evidence) -> tuple[Cause, ...]:
    """Say why services are missing in a trace, one cause for each that has one of its own.

    A service that is missing because one before it broke the trace has none.

    Returns:
        Causes in the order of the chain; empty exactly if no service is missing.
    """
    found: list[Cause] = []
    broken = False
    callers = (None, *evidence.chain)
    for caller, service in zip(callers, evidence.chain, strict=False):
        if service in evidence.seen:
            broken = False
            continue
        on_the_way = None if caller is None else _on_the_way(evidence, caller, service)
        if broken and on_the_way is not None:
            continue
        cause = on_the_way or _inside(evidence, service)
        found.append(cause)
        broken = cause.kind in _BREAKING or broken
    return tuple(found)


_BREAKING = frozenset({Kind.NOT_ASKED, Kind.PROPAGATION, Kind.SAMPLED_OUT})


def was_told(calls: Iterable[Call], trace_id: str) -> bool:
    """Whether one of the requests carried the trace's id and the order to record."""
    contexts = (call.context for call in calls)
    return any(c and c.sampled and c.trace_id == trace_id for c in contexts)


def _on_the_way(evidence: Evidence, caller: str, service: str) -> Cause | None:
    """What went wrong between two services; ``None`` if the wire carried what it should."""
    calls = evidence.calls.get(service, ())
    if was_told(calls, evidence.trace_id):
        return None
    if not calls:
        what = f"no request of {caller} to {service} was seen"
        return Cause(Kind.NOT_ASKED, caller, service, caller, what)
    contexts = [c for call in calls if (c := call.context) is not None]
    if any(c.trace_id == evidence.trace_id for c in contexts):
        what = f"the wire carried {calls[-1].traceparent!r}: its flags say not to record"
        return Cause(Kind.SAMPLED_OUT, caller, service, caller, what)
    if contexts:
        what = f"the wire carried the id {contexts[-1].trace_id} of another trace"
        return Cause(Kind.PROPAGATION, caller, service, caller, what)
    return Cause(Kind.PROPAGATION, caller, service, caller, _without_context(calls[-1]))


def _without_context(call: Call) -> str:
    if call.traceparent is not None:
        return f"the wire carried {call.traceparent!r}, which is no traceparent"
    if call.other_headers:
        return f"the wire carried no traceparent, but {', '.join(call.other_headers)}"
    return "the wire carried no traceparent"


def _inside(evidence: Evidence, service: str) -> Cause:
    """What went wrong in a service that was sent all it needs, or after it."""
    deciders = (
        _not_shown, _misnamed, _too_late, _with_own_ids, _went_on, _not_sampled, _unreadable,
        _to_others,
    )  # fmt: skip
    for decide in deciders:
        if (cause := decide(evidence, service)) is not None:
            return cause
    return Cause(Kind.NOT_EXPORTED, service, service, "", _silence(evidence, service))


def _of(evidence: Evidence, service: str) -> list[Received]:
    """What came from a service, by the way it came or by its name."""
    return [r for r in evidence.received if service in (r.source, r.service)]


def _not_shown(evidence: Evidence, service: str) -> Cause | None:
    ours = [
        r for r in evidence.received if r.service == service and r.trace_id == evidence.trace_id
    ]
    if not ours:
        return None
    what = f"the store took {_spans(len(ours))} of {service} into this trace"
    return Cause(Kind.NOT_SEARCHABLE, service, service, "", what)


def _misnamed(evidence: Evidence, service: str) -> Cause | None:
    others = {
        r.service
        for r in _of(evidence, service)
        if r.trace_id == evidence.trace_id and r.service != service
    }
    if not others:
        return None
    names = ", ".join(sorted(name or "(no service.name)" for name in others))
    return Cause(Kind.MISNAMED, service, service, "", f"its spans are those of {names}")


def _too_late(evidence: Evidence, service: str) -> Cause | None:
    late = [
        r
        for r in evidence.late
        if service in (r.source, r.service) and r.trace_id == evidence.trace_id
    ]
    if not late:
        return None
    what = f"{_spans(len(late))} came only later, or when it was stopped"
    return Cause(Kind.EXPORTED_LATE, service, service, "", what)


def _with_own_ids(evidence: Evidence, service: str) -> Cause | None:
    own = [
        r
        for r in (*_of(evidence, service), *_late_of(evidence, service))
        if r.kind == "SERVER" and r.trace_id != evidence.trace_id
    ]
    if not own:
        return None
    before = dict(pairwise(reversed(evidence.chain))).get(service, "")
    what = f"it was sent the trace's ids and began a trace of its own, {own[-1].trace_id}"
    return Cause(Kind.PROPAGATION, service, service, before, what)


def _went_on(evidence: Evidence, service: str) -> Cause | None:
    """It sends another trace's ids on."""
    after = dict(pairwise(evidence.chain)).get(service, "")
    contexts = [c for call in evidence.calls.get(after, ()) if (c := call.context) is not None]
    if not contexts or any(c.trace_id == evidence.trace_id for c in contexts):
        return None
    before = dict(pairwise(reversed(evidence.chain))).get(service, "")
    what = f"it was sent the trace's ids and went on with a trace of its own, {contexts[-1][0]}"
    return Cause(Kind.PROPAGATION, service, service, before, what)


def _late_of(evidence: Evidence, service: str) -> list[Received]:
    return [r for r in evidence.late if service in (r.source, r.service)]


def _unreadable(evidence: Evidence, service: str) -> Cause | None:
    refused = [r for r in evidence.refused if r.source == service]
    return Cause(Kind.REFUSED, service, service, "", refused[-1].why) if refused else None


def _to_others(evidence: Evidence, service: str) -> Cause | None:
    addresses = evidence.elsewhere.get(service, ())
    if not addresses:
        return None
    return Cause(Kind.EXPORTED_ELSEWHERE, service, service, "", " and ".join(addresses))


def _not_sampled(evidence: Evidence, service: str) -> Cause | None:
    """It hands the trace's ids on with the order not to record."""
    after = dict(pairwise(evidence.chain)).get(service, "")
    contexts = [call.context for call in evidence.calls.get(after, ())]
    if not any(c and c.trace_id == evidence.trace_id and not c.sampled for c in contexts):
        return None
    what = f"the wire from it to {after} carried the trace's id with the flags 00"
    return Cause(Kind.SAMPLED_OUT, service, service, "", what)


def _silence(evidence: Evidence, service: str) -> str:
    after = dict(pairwise(evidence.chain)).get(service, "")
    contexts = [call.context for call in evidence.calls.get(after, ())]
    unchanged = any(c and c.span_id == evidence.parent_span_id for c in contexts)
    if evidence.parent_span_id and unchanged:
        return "it passes the traceparent it was sent on unchanged, and makes no span of its own"
    others = len(_of(evidence, service))
    return f"the store got {_spans(others)} from it, none of this trace" if others else ""


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count or 'no'} spans"
