"""What is asked of a trace."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._checks.traces import check_chain, new_trace_ids
from pytest_orchestrator._checks.traces import conventions as conventions_module
from pytest_orchestrator._checks.traces.conventions import conventions
from pytest_orchestrator._checks.traces.structure import Chain, is_whole, structure
from pytest_orchestrator._domain import trace
from pytest_orchestrator._domain.trace import Span, traceparent
from pytest_orchestrator._domain.trace_cause import Call, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_orchestrator._domain.verdict import Verdict

    Defect = Callable[[tuple[Span, ...]], tuple[Span, ...]]

CHAIN = ("frontend", "api", "core")
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SENT = "b7ad6b7169203331"


HTTP: dict[str, object] = {
    "http.request.method": "POST",
    "http.response.status_code": 200,
    "http.route": "/api/query",
    "url.full": "http://127.0.0.1:5000/api/query",
}


def a_span(number: int, parent: str, service: str, kind: str, name: str) -> Span:
    """A span whose id shows its number, with all that the conventions ask for."""
    said = (HTTP, "", "1.0.0")
    return Span(TRACE_ID, f"{number:016x}", parent, service, name, kind, 10, 20, "UNSET", *said)


GOOD = (
    a_span(1, SENT, "frontend", "SERVER", "GET /"),
    a_span(2, f"{1:016x}", "frontend", "INTERNAL", "render"),
    a_span(3, f"{2:016x}", "frontend", "CLIENT", "POST"),
    a_span(4, f"{3:016x}", "api", "SERVER", "POST /api/query"),
    a_span(5, f"{4:016x}", "api", "CLIENT", "POST"),
    a_span(6, f"{5:016x}", "core", "SERVER", "POST /internal/query"),
    a_span(7, f"{6:016x}", "core", "CLIENT", "ollama"),
)


def judged(spans: Sequence[Span]) -> Verdict:
    """The verdict on a trace that should go through the whole chain."""
    return check_chain(spans, services=CHAIN, parent_span_id=SENT)


def changed(number: int, **changes: Any) -> Defect:
    """One span is another one."""
    return lambda spans: tuple(
        replace(s, **changes) if s.span_id == f"{number:016x}" else s for s in spans
    )


def without(*numbers: int) -> Defect:
    """Spans are missing."""
    ids = {f"{number:016x}" for number in numbers}
    return lambda spans: tuple(span for span in spans if span.span_id not in ids)


def renamed(service: str, name: str) -> Defect:
    """A service exports under another name."""
    return lambda spans: tuple(
        replace(s, service=name) if s.service == service else s for s in spans
    )


def test_an_unbroken_trace_has_no_findings() -> None:
    """All services, directly linked, below the span id that was sent."""
    assert judged(GOOD).passed


@given(st.permutations(GOOD))
def test_the_order_of_arrival_does_not_matter(spans: list[Span]) -> None:
    """Exports come as they come."""
    assert judged(spans).passed


def test_more_services_and_more_calls_are_no_defect() -> None:
    """A chain asks for what must be there, not for what else may be."""
    more = (
        *GOOD,
        a_span(8, f"{3:016x}", "api", "SERVER", "POST /again"),
        a_span(9, f"{7:016x}", "ollama", "SERVER", "POST /api/generate"),
    )

    assert judged(more).passed


def lacking(number: int, *names: str) -> Defect:
    """One span says less."""
    return changed(number, attributes={k: v for k, v in HTTP.items() if k not in names})


def saying(number: int, **values: object) -> Defect:
    """One span says something else; underscores stand for dots, but for the last."""
    return changed(number, attributes={**HTTP, **values})


DEFECTS: dict[str, tuple[Defect, list[tuple[str, str]]]] = {
    "nothing-arrived": (
        without(1, 2, 3, 4, 5, 6, 7),
        [("empty", "frontend: no span has arrived, of frontend, api, core; either nothing is")],
    ),
    "core-exports-nothing": (
        without(6, 7),
        [("service", "no span of core is in the trace; it exports nothing, or under another name")],
    ),
    "api-exports-nothing": (
        without(4, 5),
        [("service", "api: no span of api is in the trace")],
    ),
    "core-under-another-name": (
        renamed("core", "unknown_service:python"),
        [("service", "there are spans of unknown_service:python; it exports nothing, or under")],
    ),
    "core-without-a-name": (
        renamed("core", ""),
        [("service", "there are spans of (no service.name);")],
    ),
    "two-trace-ids": (
        changed(7, trace_id="f" * 32),
        [("trace-id", f"the spans have 2 trace ids instead of one: {TRACE_ID}, ffff")],
    ),
    "one-id-twice": (
        changed(7, span_id=f"{6:016x}", parent_id=f"{5:016x}"),
        [
            (
                "span-id",
                "core CLIENT 'ollama' 0000000000000006: another span has the same id: core SERVER",
            )
        ],
    ),
    "traceparent-not-read": (
        changed(1, parent_id=""),
        [
            (
                "root",
                f"frontend SERVER 'GET /' 0000000000000001: it has no parent, although {SENT}",
            )
        ],
    ),
    "no-root": (
        without(1),
        [
            ("root", f"should continue the parent {SENT} that was sent; there are 0: none"),
            ("orphan", "frontend INTERNAL 'render' 0000000000000002: its parent 0000000000000001"),
        ],
    ),
    "root-is-no-server": (
        changed(1, kind="INTERNAL"),
        [("root", "frontend INTERNAL 'GET /' 0000000000000001: the trace begins with a span of")],
    ),
    "root-is-a-client": (
        lambda spans: (
            *changed(1, kind="CLIENT")(spans),
            a_span(8, f"{1:016x}", "frontend", "SERVER", "within"),
        ),
        [
            (
                "root",
                "frontend CLIENT 'GET /' 0000000000000001: the trace begins with a span of kind",
            )
        ],
    ),
    "two-roots": (
        changed(4, parent_id=SENT),
        [
            ("root", "frontend: exactly one span, of frontend, should continue the parent"),
            ("root", "the trace begins in api instead of frontend; frontend passes the received"),
            ("hop", "api's SERVER span 'POST /api/query' 0000000000000004 has no CLIENT span of"),
        ],
    ),
    "frontend-without-spans": (
        lambda spans: changed(4, parent_id=SENT)(without(1, 2, 3)(spans)),
        [("service", "no span of frontend is in the trace")],
    ),
    "parent-not-exported": (
        without(5),
        [
            ("orphan", "api -> core SERVER 'POST /internal/query' 0000000000000006: its parent"),
            ("hop", "api, api -> core: api has no CLIENT span; instrument its HTTP client"),
        ],
    ),
    "parent-of-another-trace": (
        changed(6, parent_id="f" * 16),
        [
            ("orphan", "core SERVER 'POST /internal/query' 0000000000000006: its parent ffff"),
            ("hop", "(its parent is not in the trace); api does not propagate `traceparent`"),
        ],
    ),
    "ring": (
        changed(2, parent_id=f"{3:016x}"),
        [("cycle", "it is its own ancestor, by way of 0000000000000003; parent ids are mixed up")],
    ),
    "own-parent": (
        changed(7, parent_id=f"{7:016x}"),
        [("cycle", "it is its own ancestor, by way of itself;")],
    ),
    "server-not-instrumented": (
        changed(6, kind="INTERNAL"),
        [("hop", "core, api -> core: core has no SERVER span; instrument its HTTP server")],
    ),
    "client-not-instrumented": (
        changed(5, kind="INTERNAL"),
        [("hop", "api, api -> core: api has no CLIENT span; instrument its HTTP client")],
    ),
    "client-span-passed-over": (
        changed(6, parent_id=f"{4:016x}"),
        [("hop", "(its parent is api SERVER 'POST /api/query' 0000000000000004); api does not")],
    ),
    "client-span-passed-over-the-second-time": (
        lambda spans: (*spans, a_span(8, f"{4:016x}", "core", "SERVER", "again")),
        [
            (
                "server-parent",
                "api, api -> core: core SERVER 'again' 0000000000000008 has api SERVER",
            )
        ],
    ),
    "core-called-by-the-frontend": (
        changed(6, parent_id=f"{3:016x}"),
        [("hop", "has no CLIENT span of api as parent (its parent is frontend CLIENT")],
    ),
    "ends-before-it-begins": (
        changed(7, end_ns=5),
        [("time", "core CLIENT 'ollama' 0000000000000007: it begins at 10 and ends at 5, in ns")],
    ),
    "without-a-time": (
        changed(7, start_ns=0, end_ns=0),
        [("time", "it begins at 0 and ends at 0")],
    ),
    "begins-before-its-parent": (
        lambda spans: tuple(
            replace(
                s,
                start_ns=s.start_ns + (0 if s.span_id.endswith("7") else 6_000_000),
                end_ns=s.end_ns + 6_000_000,
            )
            for s in spans
        ),
        [("nesting", "core CLIENT 'ollama' 0000000000000007: it begins -6.0 ms and ends +0.0 ms")],
    ),
    "ends-long-after-its-client": (
        changed(6, end_ns=200_000_000),
        [("nesting", "core SERVER 'POST /internal/query' 0000000000000006: it begins +0.0 ms")],
    ),
    "error": (
        changed(6, status="ERROR", status_message="model not loaded"),
        [("status", "it ended with status ERROR: model not loaded; see the log of core")],
    ),
    "error-without-a-message": (
        changed(6, status="ERROR"),
        [("status", "it ended with status ERROR; see the log of core")],
    ),
    "exception": (
        changed(7, events=("cache miss", "exception")),
        [("exception", "core CLIENT 'ollama' 0000000000000007: it recorded an exception")],
    ),
    "no-version": (
        changed(7, version=""),
        [("version", "core resource: it has no service.version")],
    ),
    "no-method": (
        lacking(6, "http.request.method"),
        [("http-method", "it lacks the attribute http.request.method, formerly http.method")],
    ),
    "no-status": (
        lacking(5, "http.response.status_code"),
        [("http-status", "api CLIENT 'POST' 0000000000000005: it lacks the attribute http.resp")],
    ),
    "status-is-text": (
        saying(1, **{"http.response.status_code": "200"}),
        [("http-status", "its status code is '200', which is no whole number")],
    ),
    "status-is-a-truth-value": (
        saying(1, **{"http.response.status_code": True}),
        [("http-status", "its status code is True, which is no whole number")],
    ),
    "status-of-a-failure": (
        saying(1, **{"http.response.status_code": 404}),
        [("http-status", "it says 404 for the status")],
    ),
    "no-route": (
        lacking(4, "http.route"),
        [("http-route", "it lacks the attribute http.route")],
    ),
    "no-url": (
        lacking(3, "url.full"),
        [("http-url", "it lacks the attribute url.full, formerly http.url")],
    ),
    "half-a-url": (
        saying(3, **{"url.full": "/api/query"}),
        [("http-url", "its URL is '/api/query', which is not a full one")],
    ),
    "broken-url": (
        saying(3, **{"url.full": "http://[::1/api"}),
        [("http-url", "its URL is 'http://[::1/api', which is not a full one")],
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name: str) -> None:
    """Exactly the findings that fit it, each saying where and why."""
    plant, expected = DEFECTS[name]

    found = judged(plant(GOOD)).findings

    assert [each.rule for each in found] == [rule for rule, _ in expected]
    for finding, (_, said) in zip(found, expected, strict=True):
        assert said in str(finding)


def test_every_rule_is_seen_to_fail() -> None:
    """No rule is named in the documentation that no defect provokes."""
    documented = (check_chain.__doc__ or "").partition("Rules: ")[2]
    provoked = {rule for _, expected in DEFECTS.values() for rule, _ in expected}

    assert provoked == set(documented.replace("`", "").replace(".", "").replace(",", "").split())


def test_every_rule_is_in_the_reference() -> None:
    """Whoever reads a finding finds its rule, and what to do."""
    page = Path(__file__).parents[1] / "docs/reference/gates/s5.md"
    known = set(re.findall(r"^\| `([a-z-]+)` \|", page.read_text(), re.MULTILINE))
    package = Path(conventions_module.__file__).parent
    sources = "".join(path.read_text() for path in package.glob("*.py"))
    by_grafana = set(re.findall(r'"(grafana-[a-z]+)"', sources))
    provoked = {rule for _, expected in DEFECTS.values() for rule, _ in expected}

    # The two that only say that spans are missing have causes in their place in a gate.
    assert known == {*provoked, *Kind, *by_grafana, "exported-twice"} - {"empty", "service"}


FORMER = {
    "http.method": "post",
    "http.status_code": 200,
    "http.route": "/api/query",
    "net.peer.name": "127.0.0.1",
    "http.target": "/api/query",
}
VARIATIONS: dict[str, Defect] = {
    "former-conventions": lambda spans: tuple(replace(s, attributes=FORMER) for s in spans),
    "early-by-less-than-the-skew": lambda spans: tuple(
        replace(s, start_ns=s.start_ns + (0 if s.span_id.endswith("6") else 4_000_000),
                end_ns=s.end_ns + 4_000_000)
        for s in spans
    ),
    "late-by-less-than-the-tail": changed(6, end_ns=100_000_000),
    "step-that-outlives-its-parent": changed(2, end_ns=9_000_000_000),
    "internal-below-the-client": lambda spans: (
        *changed(6, parent_id=f"{8:016x}")(spans),
        a_span(8, f"{5:016x}", "api", "INTERNAL", "connect"),
    ),
    "internal-above-the-server": lambda spans: (
        *changed(6, parent_id=f"{8:016x}")(spans),
        a_span(8, f"{5:016x}", "core", "INTERNAL", "middleware"),
    ),
    "internal-above-the-root": lambda spans: (
        *changed(1, parent_id=f"{8:016x}")(spans),
        a_span(8, SENT, "frontend", "INTERNAL", "middleware"),
    ),
    "gateway-between": lambda spans: (
        *changed(6, parent_id=f"{9:016x}")(spans),
        replace(a_span(8, f"{5:016x}", "gateway", "SERVER", "in"), version=""),
        replace(a_span(9, f"{8:016x}", "gateway", "CLIENT", "out"), status="ERROR"),
    ),
    "server-within-a-server": lambda spans: (
        *spans, a_span(8, f"{6:016x}", "core", "SERVER", "mounted")
    ),
    "client-within-a-client": lambda spans: (
        *changed(6, parent_id=f"{8:016x}")(spans),
        a_span(8, f"{5:016x}", "api", "CLIENT", "urllib3"),
    ),
    "stranger-with-a-lost-parent": lambda spans: (
        *spans, replace(a_span(8, "f" * 16, "database", "SERVER", "SELECT"), version="")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_harmless_variation_has_no_findings(name: str) -> None:
    """What only looks different is not held against anybody."""
    assert judged(VARIATIONS[name](GOOD)).findings == ()


def known_of(spans: Sequence[Span], **known: Any) -> Chain:
    """A trace with what else is known of its request."""
    return Chain(tuple(spans), CHAIN, SENT, trace_id=TRACE_ID, **known)


def carried(span_id: int, **changes: Any) -> Call:
    """A request that carried the trace's ids."""
    header = f"00-{TRACE_ID}-{span_id:016x}-01"
    return Call(header, method="POST", status=200, **changes)


def test_a_wrong_parent_is_blamed_on_who_did_not_take_what_the_wire_carried() -> None:
    """The wire had the id of the api's client span, so core is to blame, and vice versa."""
    spans = changed(6, parent_id=f"{4:016x}")(GOOD)
    by_core = known_of(spans, calls={"core": (carried(5),)})
    by_api = known_of(spans, calls={"core": (carried(4),)})

    assert [f.where for f in structure(by_core)] == ["core, api -> core"]
    assert [f.where for f in structure(by_api)] == ["api, api -> core"]


def test_an_orphan_is_blamed_on_who_made_its_parents_id() -> None:
    """What came over the wire is the caller's, anything else the service's own."""
    spans = changed(6, parent_id="f" * 16)(GOOD)
    lost = known_of(spans, calls={"core": (carried(int("f" * 16, 16)),)})
    wrong = known_of(spans, calls={"core": (carried(5),)})

    assert [f.where.split()[0] for f in structure(lost) if f.rule == "orphan"] == ["api"]
    assert [f.where.split()[0] for f in structure(wrong) if f.rule == "orphan"] == ["core"]


def test_every_request_has_to_carry_the_trace() -> None:
    """Also the second one for the same thing; others may be nobody's question."""
    other = Call(None, path="/configuration")
    chain = known_of(GOOD, calls={"core": (carried(5), Call(None), other)})

    (finding,) = structure(chain)

    assert (finding.rule, finding.where) == ("propagation", "api, api -> core")


def test_what_a_span_says_is_what_the_wire_had() -> None:
    """A span that claims another method or status than the answer's is wrong."""
    calls = {"core": (Call(carried(5).traceparent, method="PUT", status=201),)}

    found = [f.rule for f in conventions(known_of(GOOD, calls=calls))]

    assert found == ["http-method", "http-status"] * 2  # the server's span and the client's


def test_times_far_from_the_request_are_found() -> None:
    """Spans in milliseconds, or by a clock that is an hour off, although they are nested."""
    hour_ns = 3_600_000_000_000

    chain = known_of(GOOD, window_ns=(hour_ns, hour_ns))

    assert [f.rule for f in structure(chain)] == ["time"] * 7
    assert list(structure(known_of(GOOD, window_ns=(0, 0)))) == []
    endless = changed(7, end_ns=hour_ns)(GOOD)
    assert [f.rule for f in structure(known_of(endless, window_ns=(0, 0)))] == ["time"]


def test_a_trace_is_whole_when_all_that_can_come_has_come() -> None:
    """A service that the wire did not carry the ids to is not waited for."""
    cut = without(6, 7)(GOOD)

    assert is_whole(known_of(GOOD))
    assert not is_whole(known_of(cut))
    assert not is_whole(known_of(cut, calls={"core": (carried(5),)}))
    assert is_whole(known_of(cut, calls={"core": (Call(None),)}))
    assert not is_whole(known_of(without(1)(GOOD)))
    assert not is_whole(known_of(changed(1, kind="INTERNAL")(GOOD)))
    assert not is_whole(known_of(without(2)(GOOD)))


def test_all_defects_are_reported_at_once() -> None:
    """Whoever fixes one thing knows of the others."""
    spans = changed(6, status="ERROR", parent_id="f" * 16)(changed(1, parent_id="")(GOOD))

    assert [each.rule for each in judged(spans).findings] == ["root", "orphan", "hop", "status"]


def test_a_service_that_is_missing_is_one_finding() -> None:
    """Its hops are not reported on top."""
    spans = changed(6, parent_id=f"{3:016x}")(without(4, 5)(GOOD))

    assert [each.rule for each in judged(spans).findings] == ["service"]


ids = st.integers(1, 5).map("{:016x}".format)


@given(
    st.lists(
        st.builds(
            Span,
            st.sampled_from([TRACE_ID, "f" * 32]),
            ids,
            ids | st.sampled_from(["", SENT]),
            st.sampled_from(["", *CHAIN]),
            st.just("x"),
            st.sampled_from(["SERVER", "CLIENT", "INTERNAL"]),
            st.just(1),
            st.just(2),
            st.sampled_from(["UNSET", "ERROR"]),
        ),
        max_size=8,
    )
)
def test_any_heap_of_spans_can_be_judged(spans: list[Span]) -> None:
    """Rings, duplicates and strangers in any mixture end in a verdict; rings are disjoint."""
    verdict = judged(spans)
    in_rings = [id(span) for ring in trace.cycles(spans) for span in ring]

    assert verdict.passed is (verdict.findings == ())
    assert len(in_rings) == len(set(in_rings))
    for ring in trace.cycles(spans):
        assert [span.parent_id for span in ring] == [s.span_id for s in (*ring[1:], ring[0])]


def test_a_traceparent_carries_ids_and_the_sampled_flag() -> None:
    """The example of the W3C recommendation, version 00."""
    assert traceparent(TRACE_ID, SENT) == f"00-{TRACE_ID}-{SENT}-01"


@pytest.mark.parametrize(
    ("trace_id", "span_id"),
    [
        (TRACE_ID.upper(), SENT),
        (TRACE_ID[:-1], SENT),
        ("0" * 32, SENT),
        (TRACE_ID, SENT + "0"),
        (TRACE_ID, "0" * 16),
        (TRACE_ID, "g" * 16),
        (TRACE_ID, SENT + "\n"),
    ],
)
def test_a_traceparent_that_would_be_ignored_is_not_made(trace_id: str, span_id: str) -> None:
    """Services would silently start a trace of their own."""
    with pytest.raises(ValueError, match="lower-case hex digits, not all zero"):
        traceparent(trace_id, span_id)


def test_new_trace_ids_are_new_and_valid() -> None:
    """Two calls share nothing."""
    one, other = new_trace_ids(), new_trace_ids()

    assert traceparent(*one) != traceparent(*other)
    assert not {*one} & {*other}
