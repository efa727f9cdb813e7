"""The shape of a trace: one root, no orphans, every hop linked, times that can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final

from pytest_orchestrator._domain import trace
from pytest_orchestrator._domain.trace import Span
from pytest_orchestrator._domain.trace_cause import Call, was_told
from pytest_orchestrator._domain.verdict import Finding

_NS_PER_MS: Final = 1e6
_CLOCK_NS: Final = 5_000_000_000
"""How far a service's clock may be from the one that asked, whatever its spans are nested in."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What clocks and schedulers are forgiven.

    Attributes:
        skew_ns: A span may begin so much before its parent.
        tail_ns: A span may end so much after its parent, besides: an answer is on its
            way to the caller before the service is done with it.
    """

    skew_ns: int = 5_000_000
    tail_ns: int = 100_000_000


@dataclass(frozen=True)
class Chain:
    """A trace, and what is known of the request that made it.

    Attributes:
        spans: What the store shows of the trace.
        services: In the order the request passes them.
        parent_span_id: Of the ``traceparent`` that was sent; empty if none was: then the
            first service begins the trace.
        calls: By service: the requests made to it, as the wire carried them; may be empty.
        window_ns: When the request was sent and answered, Unix epoch; ``None``: not known.
        tolerance: What clocks are forgiven.
        trace_id: Of the trace; empty if it is not known.
    """

    spans: tuple[Span, ...]
    services: tuple[str, ...]
    parent_span_id: str
    calls: Mapping[str, tuple[Call, ...]] = field(default_factory=dict)
    window_ns: tuple[int, int] | None = None
    tolerance: Tolerance = Tolerance()
    trace_id: str = ""

    @cached_property
    def present(self) -> frozenset[str]:
        """The services of the chain that have a span."""
        return trace.services(self.spans) & frozenset(self.services)

    @cached_property
    def reached(self) -> frozenset[str]:
        """The services that can be in the trace, by what the wire carried to them."""
        later = self.services[1:]
        lost = {each for each in later if each in self.calls and not self._was_told(each)}
        return frozenset(self.services) - (lost if self.trace_id else set())

    def _was_told(self, service: str) -> bool:
        return was_told(self.calls[service], self.trace_id)

    @cached_property
    def own(self) -> tuple[Span, ...]:
        """The spans of the chain's services; what others do is not judged."""
        return tuple(span for span in self.spans if span.service in self.services)

    @cached_property
    def known(self) -> dict[str, Span]:
        """The spans by id."""
        return trace.by_id(self.spans)

    @cached_property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Caller and called, where both have spans."""
        pairs = pairwise(self.services)
        return tuple(pair for pair in pairs if self.present.issuperset(pair))

    @cached_property
    def entries(self) -> tuple[Span, ...]:
        """The first service's spans for the request."""
        return trace.entries(self.spans, self.services[0], self.parent_span_id)

    def hops(self, caller: str, called: str) -> tuple[Span, ...]:
        """The ``SERVER`` spans of the called service that a ``CLIENT`` span led to."""
        return trace.hops(self.spans, caller, called, self.services)

    def caller_of(self, service: str) -> str:
        """Who asks a service; the service itself if it is the first."""
        return dict(pairwise(reversed(self.services))).get(service, service)

    def carried(self, service: str) -> frozenset[str] | None:
        """The span ids the wire carried to a service; ``None`` if nobody looked."""
        if service not in self.calls:
            return None
        contexts = (call.context for call in self.calls[service])
        return frozenset(context.span_id for context in contexts if context)


def is_whole(chain: Chain) -> bool:
    """Whether what has arrived can be all of the trace: every service, every hop, no orphan.

    What the wire did not carry the trace's ids to is not waited for.
    """
    return (
        chain.present.issuperset(chain.reached)
        and bool(chain.entries)
        and all(chain.hops(*link) for link in chain.links)
        and not _orphan_spans(chain)
    )


def structure(chain: Chain) -> Iterator[Finding]:
    """What is wrong with the shape of a trace, apart from services that are missing."""
    yield from _foreign_ids(chain)
    yield from _wrong_roots(chain)
    yield from _orphans(chain)
    yield from _cycles(chain)
    yield from _broken_hops(chain)
    yield from _stray_servers(chain)
    yield from _untraced_calls(chain)
    yield from _impossible_times(chain)
    yield from _outside_of_parents(chain)


def _foreign_ids(chain: Chain) -> Iterator[Finding]:
    ids = sorted({span.trace_id for span in chain.spans})
    if len(ids) > 1:
        yield Finding(
            "trace",
            f"the spans have {len(ids)} trace ids instead of one: {', '.join(ids)}",
            "trace-id",
        )
    for span in trace.duplicates(chain.spans):
        yield Finding(
            str(span),
            f"another span has the same id: {chain.known[span.span_id]}; ids must be "
            "random, and nobody may export a span under the id it received",
            "span-id",
        )


def _wrong_roots(chain: Chain) -> Iterator[Finding]:
    first, sent = chain.services[0], chain.parent_span_id
    roots = trace.roots(chain.own, sent)
    if sent:
        yield from _without_parent(roots, sent)
    if first not in chain.present:  # that is the finding
        return
    if len(roots) != 1:
        listed = f"{len(roots)}: " + ("; ".join(map(str, roots)) or "none")
        yield Finding(_to_blame_for(roots, chain), f"{_one_root(first, sent)}{listed}", "root")
    elif not chain.entries and roots[0].service == first and roots[0].parent_id == sent:
        yield Finding(
            str(roots[0]),
            f"the trace begins with a span of kind {roots[0].kind}; {first}'s answer to the "
            "request should be a SERVER span: instrument its HTTP server",
            "root",
        )
    for span in roots:
        if span.service != first:
            yield Finding(
                str(span),
                f"the trace begins in {span.service} instead of {first}; {first} passes the "
                "received `traceparent` on without a span of its own, or does not export it",
                "root",
            )


def _one_root(first: str, sent: str) -> str:
    should = f"continue the parent {sent} that was sent" if sent else "begin the trace"
    return f"exactly one span, of {first}, should {should}; there are "


def _to_blame_for(roots: Sequence[Span], chain: Chain) -> str:
    """Who was handed the id that was sent to the first service was handed it by its caller."""
    others = [span.service for span in roots if span.service != chain.services[0]]
    if not others:
        return chain.services[0]
    carried = chain.carried(others[0])
    handed = carried is None or chain.parent_span_id in carried
    return chain.caller_of(others[0]) if handed else others[0]


def _without_parent(roots: Sequence[Span], sent: str) -> Iterator[Finding]:
    for span in roots:
        if span.parent_id != sent:
            yield Finding(
                str(span),
                f"it has no parent, although {sent} was sent; {span.service} took "
                "the trace id but not the parent id out of `traceparent`",
                "root",
            )


def _orphan_spans(chain: Chain) -> tuple[Span, ...]:
    known = {"", chain.parent_span_id, *chain.known}
    return tuple(span for span in chain.own if span.parent_id not in known)


def _orphans(chain: Chain) -> Iterator[Finding]:
    for span in _orphan_spans(chain):
        if span.kind == "SERVER" and chain.caller_of(span.service) not in chain.present:
            continue  # the caller is missing, and that is the finding
        yield Finding(
            _orphaned_by(span, chain),
            f"its parent {span.parent_id} is not in the trace; whoever made that span "
            "did not export it, or did not sample it, or the id is wrong",
            "orphan",
        )


def _orphaned_by(span: Span, chain: Chain) -> str:
    """A parent that the wire carried is the caller's; any other is the service's own."""
    carried = chain.carried(span.service) if span.kind == "SERVER" else frozenset()
    if carried is None or span.parent_id in carried:
        return f"{chain.caller_of(span.service)} -> {span}"
    return str(span)


def _cycles(chain: Chain) -> Iterator[Finding]:
    for ring in trace.cycles(chain.own):
        yield Finding(
            str(ring[0]),
            "it is its own ancestor, by way of "
            f"{', '.join(span.span_id for span in ring[1:]) or 'itself'}; "
            "parent ids are mixed up",
            "cycle",
        )


def _broken_hops(chain: Chain) -> Iterator[Finding]:
    # Where a service is missing, that is the finding.
    for caller, called in chain.links:
        if not chain.hops(caller, called):
            blamed, why = _why_broken(chain, caller, called)
            yield Finding(f"{blamed}, {caller} -> {called}", why, "hop")


def _why_broken(chain: Chain, caller: str, called: str) -> tuple[str, str]:
    """Who has to mend a hop, and what."""
    servers = trace.of_kind(chain.spans, called, "SERVER")
    if not servers:
        return called, f"{called} has no SERVER span; instrument its HTTP server"
    if not trace.of_kind(chain.spans, caller, "CLIENT"):
        return caller, f"{caller} has no CLIENT span; instrument its HTTP client"
    parent = chain.known.get(servers[0].parent_id)
    seen = f"its parent is {parent}" if parent else "its parent is not in the trace"
    blamed, reason = _misled(chain, servers[0], caller, called)
    return blamed, (
        f"{called}'s SERVER span {servers[0].name!r} {servers[0].span_id} has no CLIENT span of "
        f"{caller} as parent ({seen}); {reason}"
    )


def _misled(chain: Chain, server: Span, caller: str, called: str) -> tuple[str, str]:
    """Whether the caller sent the wrong id, or the called service did not take the right one."""
    carried = chain.carried(called)
    sends = f"{caller} does not propagate `traceparent` from its HTTP client's span"
    if carried is None:
        return caller, f"{sends}, or {called} does not read it"
    if server.parent_id in carried:
        return caller, sends
    ids = ", ".join(sorted(carried)) or "none"
    return called, f"the wire carried {ids}, which {called} did not make the parent of its span"


def _stray_servers(chain: Chain) -> Iterator[Finding]:
    """``SERVER`` spans that another service led to, but not by a ``CLIENT`` span."""
    good = {pair for pair in chain.links if chain.hops(*pair)}
    for span in chain.own:
        above = trace.leading_to(span, chain.known, chain.services)
        if span.kind != "SERVER" or above is None or above.service == span.service:
            continue
        if above.kind != "CLIENT" and (above.service, span.service) in good:
            blamed, reason = _misled(chain, span, above.service, span.service)
            what = f"{span} has {above} as parent, which is no CLIENT span; {reason}"
            yield Finding(f"{blamed}, {above.service} -> {span.service}", what, "server-parent")


def _untraced_calls(chain: Chain) -> Iterator[Finding]:
    """Of several requests for the same thing, each must carry the trace."""
    ids = {span.trace_id for span in chain.spans}
    for caller, called in chain.links:
        calls = chain.calls.get(called, ())
        traced = [call for call in calls if call.context and call.context.trace_id in ids]
        paths = {call.path for call in traced}
        for call in calls:
            # What is asked for without a trace altogether may be nobody's question.
            if call not in traced and call.path in paths:
                yield Finding(
                    f"{caller}, {caller} -> {called}",
                    f"one of its requests to {called} carried the traceparent "
                    f"{call.traceparent!r}, which is not of this trace",
                    "propagation",
                )


def _impossible_times(chain: Chain) -> Iterator[Finding]:
    for span in chain.own:
        if span.end_ns < span.start_ns or not span.start_ns:
            yield Finding(
                str(span),
                f"it begins at {span.start_ns} and ends at {span.end_ns}, in ns since 1970; a "
                "span ends after it has begun",
                "time",
            )
        elif chain.window_ns is not None and _is_far_from(span, chain.window_ns):
            away_s = (span.start_ns - chain.window_ns[0]) / 1e9
            yield Finding(
                str(span),
                f"it lasts from {span.start_ns} to {span.end_ns} and so begins {away_s:+.1f} s "
                f"from when the request was sent, {chain.window_ns[0]}; times are in "
                "nanoseconds since 1970, and clocks must agree",
                "time",
            )


def _is_far_from(span: Span, window_ns: tuple[int, int]) -> bool:
    sent_ns, seen_ns = window_ns
    return span.start_ns < sent_ns - _CLOCK_NS or span.end_ns > seen_ns + _CLOCK_NS


def _outside_of_parents(chain: Chain) -> Iterator[Finding]:
    for span in chain.own:
        parent = chain.known.get(span.parent_id)
        if parent is None or parent.service not in chain.services or span.end_ns < span.start_ns:
            continue
        early_ns = parent.start_ns - span.start_ns
        # A step may outlive what began it; an answer that has come was given.
        answers = span.kind == "SERVER" and parent.kind == "CLIENT"
        late_ns = span.end_ns - parent.end_ns if answers else 0
        allowed = chain.tolerance
        if early_ns > allowed.skew_ns or late_ns > allowed.skew_ns + allowed.tail_ns:
            yield Finding(
                str(span),
                f"it begins {-early_ns / _NS_PER_MS:+.1f} ms and ends "
                f"{late_ns / _NS_PER_MS:+.1f} ms from its parent, {parent}; allowed are "
                f"{-allowed.skew_ns / _NS_PER_MS:+g} ms and "
                f"{(allowed.skew_ns + allowed.tail_ns) / _NS_PER_MS:+g} ms",
                "nesting",
            )
