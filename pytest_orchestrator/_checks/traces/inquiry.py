"""From a request to the verdict on its trace."""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pytest_orchestrator._checks.traces.causes import findings as causes_of
from pytest_orchestrator._checks.traces.conventions import conventions
from pytest_orchestrator._checks.traces.structure import Chain, Tolerance, is_whole, structure
from pytest_orchestrator._domain.trace import Span, TraceIds, traceparent
from pytest_orchestrator._domain.trace_cause import Call, Evidence, Kind, Received, Refused
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    import httpx

    from pytest_orchestrator._checks.traces.client import TraceClient
    from pytest_orchestrator._domain.plan import Traces as Settings

CHECK: Final = "trace-chain"
_NS: Final = 1e9
_ASKS: Final = 3
_BRIEFLY_S: Final = 2.0
_BEGUN: Final = 8
_ON_ITS_WAY_S: Final = 0.3
_OTHER_PROPAGATION: Final = frozenset(
    {"b3", "x-b3-traceid", "uber-trace-id", "x-datadog-trace-id", "x-amzn-trace-id", "request-id"}
)
Send = Callable[[dict[str, str]], "httpx.Response"]
"""Sends a request with some headers, and gives the answer."""


def new_trace_ids() -> TraceIds:
    """Ids nobody has used, to start a trace with."""
    return TraceIds(secrets.token_hex(16), secrets.token_hex(8))


def check_chain(spans: Sequence[Span], *, services: Sequence[str], parent_span_id: str) -> Verdict:
    """Judge whether one request went through all services as one unbroken trace.

    Args:
        spans: What the trace store has of the trace.
        services: In the order the request passes them, e.g.
            ``("frontend", "api", "core")``.
        parent_span_id: The span id in the ``traceparent`` that was sent with the
            request; nobody exports that span. Empty if none was sent.

    Returns:
        One finding per thing that is wrong, all at once. Rules: ``empty``,
        ``service``, ``trace-id``, ``span-id``, ``root``, ``orphan``, ``cycle``,
        ``hop``, ``server-parent``, ``time``, ``nesting``, ``status``,
        ``exception``, ``version``, ``http-method``, ``http-status``,
        ``http-route``, ``http-url``.
    """
    if not spans:
        return Verdict(CHECK, (_nothing(services, parent_span_id),))
    chain = Chain(tuple(spans), tuple(services), parent_span_id)
    return Verdict(CHECK, (*_missing(chain), *structure(chain), *conventions(chain)))


def _nothing(services: Sequence[str], parent_span_id: str) -> Finding:
    return Finding(
        services[0],
        f"no span has arrived, of {', '.join(services)}; either nothing is exported (set "
        f"OTEL_EXPORTER_OTLP_ENDPOINT), or {services[0]} did not continue the `traceparent` "
        f"it was sent, with parent {parent_span_id}",
        "empty",
    )


def _missing(chain: Chain) -> Iterable[Finding]:
    strangers = {span.service or "(no service.name)" for span in chain.spans}
    others = sorted(strangers - {*chain.services})
    hint = f"; there are spans of {', '.join(others)}" if others else ""
    for service in chain.services:
        if service not in chain.present:
            yield Finding(
                service,
                f"no span of {service} is in the trace{hint}; it exports nothing, or under "
                "another name (set OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME), or it "
                "was not sent `traceparent`",
                "service",
            )


class Exchange(Protocol):
    """What a relay saw of one request; see `pytest_orchestrator.types.Hop`."""

    @property
    def service(self) -> str:
        """Who answered."""

    @property
    def method(self) -> str:
        """E.g. ``"POST"``."""

    @property
    def path(self) -> str:
        """With its query."""

    @property
    def status(self) -> int:
        """Of the answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's, by name in lower case."""


class Witness(Protocol):
    """Who knows what happened behind the trace store and the wire."""

    def received(self, since_s: float) -> tuple[Received, ...]:
        """The spans that came since then, whether the store shows them or not."""

    def refused(self, since_s: float) -> tuple[Refused, ...]:
        """The exports since then that could not be read."""

    def elsewhere(self, service: str) -> tuple[str, ...]:
        """The addresses a service sends, or tries to send, its spans to."""

    def flush(self, services: Sequence[str]) -> None:
        """Stop services, so that they send what they still have."""

    def background(self, service: str) -> frozenset[str]:
        """Paths of a service that are asked without anybody's question: its health."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was sent.

    Attributes:
        trace_id: What was sent as ``traceparent``, or was learned from the wire; ``None``: neither.
        parent_span_id: The span id that was sent; empty if none was.
        sent_s: When it was sent, Unix epoch.
        calls: By service: the requests the wire carried, the first service's included.
    """

    trace_id: str | None
    parent_span_id: str
    sent_s: float
    calls: Mapping[str, tuple[Call, ...]] = field(default_factory=dict)


class Traces:
    """Sends requests and judges the traces they leave.

    Args:
        client: Of the trace store.
        settings: ``[traces]`` of the runbook.
        exchanges: What the wire carries between services; grows while they talk.
        witness: Who knows more when a trace is not whole.
        grafana: Judges whether Grafana shows the same spans of a trace; ``None``: there is none.
    """

    def __init__(
        self,
        client: TraceClient,
        settings: Settings,
        exchanges: Iterable[Exchange],
        witness: Witness,
        grafana: Callable[[str, Sequence[Span]], Verdict] | None = None,
    ) -> None:
        self.client = client
        self._settings = settings
        self._exchanges = exchanges
        self._witness = witness
        self._grafana = grafana
        self._earlier: set[str] = set()
        self._given_up = False

    def judge(self, send: Send, *, services: Sequence[str], continued: bool = True) -> Verdict:
        """Send a request, wait for its trace, and judge it.

        A span that merely ends too long after its parent may be the machine's doing:
        the request is then sent again, and it counts if it happens each time.

        Args:
            send: Sends the request with the headers it is given.
            services: In the order the request passes them.
            continued: Whether a ``traceparent`` is sent; otherwise the first service has to
                begin a trace, and which one is learned from the wire.

        Returns:
            One finding for each thing that is wrong, with its cause where spans are missing;
            docs/reference/gates/s5.md has all rules.

        Raises:
            Infra: The trace store, or Grafana, does not answer.
        """
        verdict = _recurring(
            lambda: self.judge_asked(self.ask(send, services, continued=continued), services)
        )
        if verdict.passed and not continued:
            verdict += self._begun(send, services)
        return verdict

    def _begun(self, send: Send, services: Sequence[str]) -> Verdict:
        """Whether the first service begins every trace anew, and every one sampled."""
        asked = [self.ask(send, services, continued=False) for _ in range(_BEGUN)]
        calls = [call for each in asked for call in each.calls.get(services[1], ())[:1]]
        contexts = [call.context for call in calls]
        ids = {context.trace_id for context in contexts if context}
        left = _BEGUN - sum(context is not None and context.sampled for context in contexts)
        return Verdict(CHECK, tuple(_of_begun(services[0], left=left, new=len(ids))))

    def judge_at_once(self, send: Send, *, services: Sequence[str], count: int) -> Verdict:
        """Send several requests at the same time, each with a trace of its own; judge them all.

        Args:
            send: As for `judge`; called from several threads.
            services: As for `judge`.
            count: How many requests.
        """
        return _recurring(lambda: self._judge_at_once(send, services, count))

    def _judge_at_once(self, send: Send, services: Sequence[str], count: int) -> Verdict:
        before = sum(1 for _ in self._exchanges)
        with ThreadPoolExecutor(count) as pool:
            sent = [pool.submit(self._send, send, new_trace_ids()) for _ in range(count)]
        asked = [self._asked(each.result(), before, services, at_once=True) for each in sent]
        with ThreadPoolExecutor(count) as pool:
            chains = list(pool.map(partial(self._arrived, services=services), asked))
        found = (self._findings(*each) for each in zip(asked, chains, strict=True))
        # What is wrong with all of them is said once.
        return Verdict(CHECK, tuple(dict.fromkeys(each for findings in found for each in findings)))

    def ask(self, send: Send, services: Sequence[str], *, continued: bool = True) -> Asked:
        """Send a request and note what the wire carried meanwhile."""
        before = sum(1 for _ in self._exchanges)
        sent = self._send(send, new_trace_ids() if continued else None)
        return self._asked(sent, before, services)

    def _send(self, send: Send, ids: TraceIds | None) -> _Sent:
        header = traceparent(*ids) if ids else None
        sent_s = time.time()
        answer = send({"traceparent": header} if header else {})
        call = Call(header, method=answer.request.method, status=answer.status_code)
        return _Sent(ids, sent_s, call)

    def _asked(
        self, sent: _Sent, before: int, services: Sequence[str], *, at_once: bool = False
    ) -> Asked:
        ids = sent.ids
        calls = {services[0]: (sent.call,), **self._calls(before, services[1:])}
        trace_id = ids.trace_id if ids else _learned(calls, services)
        if at_once and trace_id is not None:
            calls = {name: _of_one(made, trace_id) for name, made in calls.items()}
        self._earlier.add(trace_id or "")
        return Asked(trace_id, ids.span_id if ids else "", sent.sent_s, calls)

    def _calls(self, before: int, services: Sequence[str]) -> dict[str, tuple[Call, ...]]:
        since = list(self._exchanges)[before:]
        return {
            service: tuple(
                _call(each)
                for each in since
                if each.service == service
                and each.path.partition("?")[0] not in self._witness.background(service)
            )
            for service in services
        }

    def judge_asked(self, asked: Asked, services: Sequence[str]) -> Verdict:
        """Judge the trace of a request that was sent."""
        if asked.trace_id is None:
            return Verdict(CHECK, causes_of(self._unbegun(asked, services)))
        return Verdict(CHECK, tuple(self._findings(asked, self._arrived(asked, services))))

    def _arrived(self, asked: Asked, services: Sequence[str]) -> Chain:
        """Wait for a trace; what has come of it by the deadline."""
        trace_id = asked.trace_id or ""
        chain = partial(
            Chain,
            services=tuple(services),
            parent_span_id=asked.parent_span_id,
            calls=asked.calls,
            tolerance=_tolerance(self._settings),
            trace_id=trace_id,
        )
        spans = self.client.wait_for(
            trace_id,
            lambda spans: is_whole(chain(tuple(spans))),
            timeout_s=self._patience_s(),
            settle_s=self._settings.settle_s,
        )
        arrived = chain(spans, window_ns=(int(asked.sent_s * _NS), time.time_ns()))
        self._given_up |= not is_whole(arrived)
        return arrived

    def _patience_s(self) -> float:
        """The deadline; when a trace was not whole by then, the gate has failed for good."""
        briefly_s = self._settings.settle_s + _BRIEFLY_S
        return min(self._settings.deadline_s, briefly_s if self._given_up else math.inf)

    def _findings(self, asked: Asked, chain: Chain) -> Iterable[Finding]:
        missing = [each for each in chain.services if each not in chain.present]
        if missing:
            yield from causes_of(self._evidence(asked, chain, missing))
        if chain.spans:
            yield from structure(chain)
            yield from conventions(chain)
        yield from self._exported_twice(asked, chain)
        if self._grafana is not None and chain.spans and asked.trace_id:
            yield from self._grafana(asked.trace_id, chain.spans).findings

    def _evidence(self, asked: Asked, chain: Chain, missing: Sequence[str]) -> Evidence:
        refused = self._witness.refused(asked.sent_s)
        elsewhere = {service: self._witness.elsewhere(service) for service in missing}
        self._witness.flush(missing)
        came = self._received(asked)
        in_time = tuple(each for each in came if each.at_s < _looked_s(chain))
        return Evidence(
            chain=chain.services,
            trace_id=asked.trace_id or "",
            parent_span_id=asked.parent_span_id,
            seen=chain.present,
            calls=asked.calls,
            received=in_time,
            late=came[len(in_time) :],
            refused=refused,
            elsewhere=elsewhere,
        )

    def _received(self, asked: Asked) -> tuple[Received, ...]:
        """What came since then, without what came of health checks or of earlier requests."""
        earlier = self._earlier - {asked.trace_id}
        return tuple(
            each
            for each in self._witness.received(asked.sent_s)
            if each.trace_id not in earlier
            and each.path not in self._witness.background(each.source or each.service)
        )

    def _unbegun(self, asked: Asked, services: Sequence[str]) -> Evidence:
        """The first service handed nothing on, so nobody knows which trace it began, if any."""
        return Evidence(
            chain=tuple(services),
            trace_id="",
            parent_span_id="",
            seen=frozenset(services[:1]),
            calls=asked.calls,
        )

    def _exported_twice(self, asked: Asked, chain: Chain) -> Iterable[Finding]:
        """Services all of whose spans of the trace came more than once."""
        counts = Counter(
            (each.service, each.span_id, each.kind)
            for each in self._witness.received(asked.sent_s)
            if each.trace_id == asked.trace_id
        )
        for service in chain.services:
            times = [count for (of, _, _), count in counts.items() if of == service]
            if times and min(times) > 1:
                yield Finding(
                    service,
                    f"each of its spans of the trace came {min(times)} times; it has more than "
                    "one span processor or exporter, or repeats what was taken",
                    "exported-twice",
                )


def _recurring(judge: Callable[[], Verdict]) -> Verdict:
    """Judge again if spans merely lie outside of their parents: it counts if they do each time."""
    verdict = Verdict(CHECK)
    for _ in range(_ASKS):
        verdict = judge()
        if verdict.passed or any(f.rule != "nesting" for f in verdict.findings):
            break
    return verdict


class _Sent(NamedTuple):
    """A request that was sent, before anybody has looked at the wire."""

    ids: TraceIds | None
    sent_s: float
    call: Call


def _of_begun(service: str, *, left: int, new: int) -> Iterable[Finding]:
    """Findings about the traces a service began, of which some may lack the order to record."""
    if left:
        what = f"of {_BEGUN} traces that it began, {left} were not handed on with the flags 01"
        cure = "record every trace: OTEL_TRACES_SAMPLER=parentbased_always_on"
        yield Finding(service, what, Kind.SAMPLED_OUT, cure)
    elif new < _BEGUN:
        what = f"{_BEGUN} traces that it began had {new} different ids; ids must be random"
        yield Finding(service, what, "trace-id")


def _of_one(calls: tuple[Call, ...], trace_id: str) -> tuple[Call, ...]:
    """Of the calls of several requests, those of one; all of them if none is."""
    own = tuple(call for call in calls if call.context and call.context.trace_id == trace_id)
    return own or calls


def _looked_s(chain: Chain) -> float:
    """What came before this has surely been there to be shown when the store was last asked."""
    return chain.window_ns[1] / _NS - _ON_ITS_WAY_S if chain.window_ns else math.inf


def _tolerance(settings: Settings) -> Tolerance:
    return Tolerance(int(settings.skew_s * _NS), int(settings.tail_s * _NS))


def _call(exchange: Exchange) -> Call:
    others = tuple(sorted(_OTHER_PROPAGATION & exchange.headers.keys()))
    header = exchange.headers.get("traceparent")
    path = exchange.path.partition("?")[0]
    return Call(header, others, exchange.method, exchange.status, path)


def _learned(calls: Mapping[str, tuple[Call, ...]], services: Sequence[str]) -> str | None:
    """The id of the trace that the first service began, by what it sent on."""
    contexts = [call.context for call in calls.get(services[1], ())]
    return next((context.trace_id for context in contexts if context), None)
