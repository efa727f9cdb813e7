"""Fetch a trace from Tempo's HTTP API, or whatever speaks like it, and judge it."""

from __future__ import annotations

import base64
import secrets
import time
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

from pytest_orchestrator._domain import trace
from pytest_orchestrator._domain.trace import Span, TraceIds
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    import httpx

_CHECK: Final = "trace-chain"
_POLL_S: Final = 0.1


def new_trace_ids() -> TraceIds:
    """Ids nobody has used, to start a trace with."""
    return TraceIds(secrets.token_hex(16), secrets.token_hex(8))


class TraceClient:
    """A client of Tempo's HTTP API; use it in a ``with`` statement, or ``close()`` it.

    Args:
        base_url: Where the trace store listens, e.g. ``"http://127.0.0.1:3200"``.
        request_s: Seconds one request may take.
        clock: Seconds, monotonic.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        base_url: str,
        *,
        request_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx  # noqa: PLC0415 -- loaded by who needs it

        self._clock = clock
        self._sleep = sleep
        # A proxy from the environment would be asked for addresses of this machine.
        self._http = httpx.Client(base_url=base_url, timeout=request_s, trust_env=False)

    def ready(self) -> bool:
        """Whether the store says that it takes and answers; ``False`` also if nobody listens."""
        try:
            return self._get("/ready").is_success
        except Infra:
            return False

    def spans(self, trace_id: str) -> tuple[Span, ...]:
        """What has arrived of a trace, which may be less than there will be.

        Args:
            trace_id: 32 hex digits.

        Returns:
            The spans in the order of the answer; empty if the trace is not known.

        Raises:
            Infra: The store does not answer, or answers something that is not a trace.
        """
        answer = self._get(f"/api/traces/{trace_id}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return ()
        try:
            if answer.status_code == HTTPStatus.OK:
                return tuple(_decoded(answer.json()))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _no_trace(answer) from error
        raise _no_trace(answer)

    def wait_for(
        self, trace_id: str, services: Sequence[str], timeout_s: float, settle_s: float = 1.0
    ) -> tuple[Span, ...]:
        """Wait until a trace is complete, as far as one can tell.

        A trace is found as soon as its first spans have arrived. It counts as
        complete when every service has a span in it and no span has been added
        for a while.

        Args:
            trace_id: 32 hex digits.
            services: Whose spans to wait for.
            timeout_s: Seconds after which to return what there is.
            settle_s: Seconds for which the number of spans must stay the same.

        Returns:
            The spans, complete or not; perhaps none. Never waits longer than
            ``timeout_s`` and one request.

        Raises:
            Infra: As for ``spans``.
        """
        deadline_s = self._clock() + timeout_s
        count, since_s = -1, 0.0
        while True:
            spans, now_s = self.spans(trace_id), self._clock()
            if len(spans) != count:
                count, since_s = len(spans), now_s
            complete = trace.services(spans).issuperset(services)
            if now_s >= deadline_s or (complete and now_s - since_s >= settle_s):
                return spans
            self._sleep(min(_POLL_S, deadline_s - now_s))

    def _get(self, path: str) -> httpx.Response:
        import httpx  # noqa: PLC0415 -- loaded by who needs it

        try:
            return self._http.get(path, headers={"Accept": "application/json"})
        except httpx.TransportError as error:
            raise Infra(
                f"the trace store at {self._http.base_url} does not answer ({error!r}); "
                "is it started?"
            ) from error

    def close(self) -> None:
        """Close the connections; afterwards the client cannot be used."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_chain(spans: Sequence[Span], *, services: Sequence[str], parent_span_id: str) -> Verdict:
    """Judge whether one request went through all services as one unbroken trace.

    Args:
        spans: What the trace store has of the trace.
        services: In the order the request passes them, e.g.
            ``("frontend", "api", "core")``.
        parent_span_id: The span id in the ``traceparent`` that was sent with the
            request; nobody exports that span.

    Returns:
        One finding per thing that is wrong, all at once. Rules: ``empty``,
        ``service``, ``trace-id``, ``span-id``, ``root``, ``orphan``, ``cycle``,
        ``hop``, ``status``.
    """
    if not spans:
        return Verdict(_CHECK, (_nothing(services, parent_span_id),))
    findings = (
        *_missing_services(spans, services),
        *_foreign_ids(spans),
        *_wrong_roots(spans, services[0], parent_span_id),
        *_orphans(spans, parent_span_id),
        *_cycles(spans),
        *_broken_hops(spans, services),
        *_errors(spans),
    )
    return Verdict(_CHECK, findings)


def _nothing(services: Sequence[str], parent_span_id: str) -> Finding:
    return Finding(
        "trace",
        f"no span has arrived, of {', '.join(services)}; either nothing is exported (set "
        f"OTEL_EXPORTER_OTLP_ENDPOINT), or {services[0]} did not continue the `traceparent` "
        f"it was sent, with parent {parent_span_id}",
        "empty",
    )


def _missing_services(spans: Sequence[Span], services: Sequence[str]) -> Iterator[Finding]:
    present = trace.services(spans)
    strangers = sorted({span.service or "(no service.name)" for span in spans} - {*services})
    hint = f"; there are spans of {', '.join(strangers)}" if strangers else ""
    for service in services:
        if service not in present:
            yield Finding(
                service,
                f"no span of {service} is in the trace{hint}; it exports nothing, or under "
                "another name (set OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME), or it "
                "was not sent `traceparent`",
                "service",
            )


def _foreign_ids(spans: Sequence[Span]) -> Iterator[Finding]:
    ids = sorted({span.trace_id for span in spans})
    if len(ids) > 1:
        yield Finding(
            "trace",
            f"the spans have {len(ids)} trace ids instead of one: {', '.join(ids)}",
            "trace-id",
        )
    for span in trace.duplicates(spans):
        yield Finding(
            str(span),
            f"another span has the same id: {trace.by_id(spans)[span.span_id]}; ids must be "
            "random, and nobody may export a span under the id it received",
            "span-id",
        )


def _wrong_roots(
    spans: Sequence[Span], first_service: str, parent_span_id: str
) -> Iterator[Finding]:
    roots = trace.roots(spans, parent_span_id)
    if len(roots) != 1:
        listed = "; ".join(map(str, roots)) or "none"
        yield Finding(
            "trace",
            f"exactly one span, of {first_service}, should continue the parent "
            f"{parent_span_id} that was sent; there are {len(roots)}: {listed}",
            "root",
        )
    for span in roots:
        if span.parent_id != parent_span_id:
            yield Finding(
                str(span),
                f"it has no parent, although {parent_span_id} was sent; {span.service} took "
                "the trace id but not the parent id out of `traceparent`",
                "root",
            )
        if span.service != first_service:
            yield Finding(
                str(span),
                f"the trace begins in {span.service or 'a nameless service'} instead of "
                f"{first_service}; {first_service} passes the received `traceparent` on "
                "without a span of its own, or does not export it",
                "root",
            )


def _orphans(spans: Sequence[Span], parent_span_id: str) -> Iterator[Finding]:
    for span in trace.orphans(spans, parent_span_id):
        yield Finding(
            str(span),
            f"its parent {span.parent_id} is not in the trace; whoever made that span "
            "did not export it, or did not sample it",
            "orphan",
        )


def _cycles(spans: Sequence[Span]) -> Iterator[Finding]:
    for ring in trace.cycles(spans):
        yield Finding(
            str(ring[0]),
            "it is its own ancestor, by way of "
            f"{', '.join(span.span_id for span in ring[1:]) or 'itself'}; "
            "parent ids are mixed up",
            "cycle",
        )


def _broken_hops(spans: Sequence[Span], services: Sequence[str]) -> Iterator[Finding]:
    present = trace.services(spans)
    for caller, called in pairwise(services):
        # Where a service is missing, that is the finding.
        if {caller, called} <= present and not trace.hops(spans, caller, called):
            yield Finding(f"{caller} -> {called}", _why_broken(spans, caller, called), "hop")


def _why_broken(spans: Sequence[Span], caller: str, called: str) -> str:
    servers = trace.of_kind(spans, called, "SERVER")
    if not servers:
        return f"{called} has no SERVER span; instrument its HTTP server"
    if not trace.of_kind(spans, caller, "CLIENT"):
        return f"{caller} has no CLIENT span; instrument its HTTP client"
    parent = trace.by_id(spans).get(servers[0].parent_id)
    seen = f"its parent is {parent}" if parent else "its parent is not in the trace"
    return (
        f"{called}'s SERVER span {servers[0].name!r} {servers[0].span_id} has no CLIENT span of "
        f"{caller} as parent ({seen}); {caller} does not propagate `traceparent` from its "
        f"HTTP client's span, or {called} does not read it"
    )


def _errors(spans: Sequence[Span]) -> Iterator[Finding]:
    for span in spans:
        if span.status == "ERROR":
            why = f": {span.status_message}" if span.status_message else ""
            yield Finding(
                str(span),
                f"it ended with status ERROR{why}; see the log of {span.service}",
                "status",
            )


def _no_trace(answer: httpx.Response) -> Infra:
    return Infra(
        f"{answer.url} answered {answer.status_code}, which is not a trace: {answer.text[:200]!r}"
    )


def _decoded(document: dict[str, Any]) -> Iterator[Span]:
    for batch in document["batches"]:
        attributes = _attributes(batch.get("resource", {}))
        service = str(attributes.get("service.name", ""))
        for scoped in batch.get("scopeSpans", ()):
            for fields in scoped.get("spans", ()):
                yield _span(fields, service)


def _span(fields: dict[str, Any], service: str) -> Span:
    status = fields.get("status", {})
    return Span(
        trace_id=_hex(fields["traceId"]),
        span_id=_hex(fields["spanId"]),
        parent_id=_hex(fields.get("parentSpanId", "")),
        service=service,
        name=fields.get("name", ""),
        kind=fields.get("kind", "SPAN_KIND_UNSPECIFIED").removeprefix("SPAN_KIND_"),
        start_ns=int(fields.get("startTimeUnixNano", 0)),
        end_ns=int(fields.get("endTimeUnixNano", 0)),
        status=status.get("code", "STATUS_CODE_UNSET").removeprefix("STATUS_CODE_"),
        attributes=_attributes(fields),
        status_message=status.get("message", ""),
    )


def _hex(text: str) -> str:
    """Tempo shows ids in base64."""
    return base64.b64decode(text, validate=True).hex()


def _attributes(owner: dict[str, Any]) -> dict[str, object]:
    return _pairs(owner.get("attributes", ()))


def _pairs(pairs: Iterable[dict[str, Any]]) -> dict[str, object]:
    """Protobuf's JSON leaves out what is empty, even a key."""
    return {pair.get("key", ""): _value(pair.get("value", {})) for pair in pairs}


def _value(value: dict[str, Any]) -> object:
    match value:
        case {"intValue": number}:
            return int(number)
        case {"arrayValue": array}:
            return [_value(each) for each in array.get("values", ())]
        case {"kvlistValue": pairs}:
            return _pairs(pairs.get("values", ()))
        case {"bytesValue": text}:
            return base64.b64decode(text)
        case {"doubleValue": number}:
            return float(number)
        case _:  # a text, a truth value, or nothing
            return next(iter(value.values()), None)
