"""Why a service is missing in a trace, decided from evidence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._checks.traces.causes import findings
from pytest_orchestrator._domain.trace_cause import (
    Call,
    Evidence,
    Kind,
    Received,
    Refused,
    causes,
    read_traceparent,
)
from pytest_orchestrator._domain.trace_log import addresses_in

CHAIN = ("frontend", "api", "core")
TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "f" * 32
SENT = "b7ad6b7169203331"


def call(trace_id: str = TRACE, span_id: str = "1" * 16, flags: str = "01") -> Call:
    """A request with a traceparent."""
    return Call(f"00-{trace_id}-{span_id}-{flags}")


GOOD_CALLS = {"api": (call(),), "core": (call(span_id="2" * 16),)}


def evidence(seen: str, **known: Any) -> Evidence:
    """What is known of a trace in which some services were seen."""
    calls = {**GOOD_CALLS, **known.pop("calls", {})}
    return Evidence(CHAIN, TRACE, SENT, frozenset(seen.split()), calls, **known)


def came(service: str, trace_id: str = TRACE, source: str = "", kind: str = "SERVER") -> Received:
    """One span that came to the store."""
    return Received(source or service, service, trace_id, "3" * 16, kind)


CASES: dict[str, tuple[Evidence, list[tuple[Kind, str, str]]]] = {
    "all-there": (evidence("frontend api core"), []),
    "not-exported": (evidence("frontend api"), [(Kind.NOT_EXPORTED, "core", "")]),
    "only-its-health": (
        evidence("frontend api", received=(came("core", OTHER, kind="INTERNAL"),)),
        [(Kind.NOT_EXPORTED, "core", "got 1 span from it, none of this trace")],
    ),
    "not-asked": (
        evidence("frontend api", calls={"core": ()}),
        [(Kind.NOT_ASKED, "api", "no request of api to core was seen")],
    ),
    "frontend-does-not-inject": (
        evidence("frontend", calls={"api": (Call(None),), "core": (call(OTHER),)}),
        [(Kind.PROPAGATION, "frontend", "the wire carried no traceparent")],
    ),
    "b3-instead": (
        evidence("frontend api", calls={"core": (Call(None, ("b3",)),)}),
        [(Kind.PROPAGATION, "api", "the wire carried no traceparent, but b3")],
    ),
    "malformed": (
        evidence("frontend api", calls={"core": (Call(f"{TRACE}-{SENT}"),)}),
        [(Kind.PROPAGATION, "api", "which is no traceparent")],
    ),
    "api-does-not-inject": (
        evidence("frontend api", calls={"core": (Call(None),)}),
        [(Kind.PROPAGATION, "api", "no traceparent")],
    ),
    "api-begins-anew": (
        evidence("frontend", calls={"core": (call(OTHER),)}, received=(came("api", OTHER),)),
        [(Kind.PROPAGATION, "api", "began a trace of its own, ffff")],
    ),
    "api-begins-anew-and-keeps-it": (
        evidence("frontend", calls={"core": (call(OTHER),)}),
        [(Kind.PROPAGATION, "api", "went on with a trace of its own, ffff")],
    ),
    "core-begins-anew": (
        evidence("frontend api", received=(came("core", OTHER),)),
        [(Kind.PROPAGATION, "core", "began a trace of its own, ffff")],
    ),
    "api-records-and-sends-another-id": (
        evidence("frontend api", calls={"core": (call(OTHER),)}),
        [(Kind.PROPAGATION, "api", f"the wire carried the id {OTHER} of another trace")],
    ),
    "frontend-samples-nothing": (
        evidence("", calls={"api": (call(flags="00"),), "core": (call(flags="00"),)}),
        [(Kind.SAMPLED_OUT, "frontend", "the wire from it to api carried")],
    ),
    "frontend-orders-not-to-record": (
        evidence("frontend", calls={"api": (call(flags="00"),), "core": (call(flags="00"),)}),
        [(Kind.SAMPLED_OUT, "frontend", "its flags say not to record")],
    ),
    "api-samples-nothing": (
        evidence("frontend", calls={"core": (call(flags="00"),)}),
        [(Kind.SAMPLED_OUT, "api", "carried the trace's id with the flags 00")],
    ),
    "passed-on-unchanged": (
        evidence("api core", calls={"api": (call(span_id=SENT),)}),
        [(Kind.NOT_EXPORTED, "frontend", "passes the traceparent it was sent on unchanged")],
    ),
    "nothing-anywhere": (
        evidence(""),
        [(Kind.NOT_EXPORTED, name, "") for name in CHAIN],
    ),
    "late": (
        evidence("frontend api", late=(came("core"), came("core"))),
        [(Kind.EXPORTED_LATE, "core", "2 spans came only later, or when it was stopped")],
    ),
    "late-and-of-its-own": (
        evidence("frontend api", late=(came("core", OTHER),)),
        [(Kind.PROPAGATION, "core", "began a trace of its own")],
    ),
    "elsewhere": (
        evidence("frontend api", elsewhere={"core": ("127.0.0.1:4318 got spans of core, 2",)}),
        [(Kind.EXPORTED_ELSEWHERE, "core", "127.0.0.1:4318 got spans of core, 2")],
    ),
    "refused": (
        evidence("frontend api", refused=(Refused("core", "an export was answered 400: proto"),)),
        [(Kind.REFUSED, "core", "an export was answered 400: proto")],
    ),
    "refused-of-another": (
        evidence("frontend api", refused=(Refused("api", "an export was answered 400: proto"),)),
        [(Kind.NOT_EXPORTED, "core", "")],
    ),
    "misnamed": (
        evidence("frontend api", received=(came("backend", source="core"),)),
        [(Kind.MISNAMED, "core", "its spans are those of backend")],
    ),
    "nameless": (
        evidence("frontend api", received=(Received("core", "", TRACE, "3" * 16, "SERVER"),)),
        [(Kind.MISNAMED, "core", "its spans are those of (no service.name)")],
    ),
    "ingested-and-not-shown": (
        evidence("frontend api", received=(came("core"),)),
        [(Kind.NOT_SEARCHABLE, "core", "the store took 1 span of core into this trace")],
    ),
    "broken-mended-and-broken-again": (
        evidence("api", received=(came("frontend", OTHER),), calls={"core": (Call(None),)}),
        [(Kind.PROPAGATION, "frontend", "of its own"), (Kind.PROPAGATION, "api", "no traceparent")],
    ),
    "two-at-once": (
        evidence("api", received=(came("backend", source="core"),)),
        [(Kind.NOT_EXPORTED, "frontend", ""), (Kind.MISNAMED, "core", "backend")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_evidence_leads_to_its_cause(name: str) -> None:
    """One cause for each service that is missing for a reason of its own, with who is to blame."""
    known, expected = CASES[name]

    found = causes(known)

    assert [(cause.kind, cause.blamed) for cause in found] == [(k, b) for k, b, _ in expected]
    for cause, (_, _, said) in zip(found, expected, strict=True):
        assert said in cause.detail


def test_every_cause_is_seen() -> None:
    """No cause is named that no evidence leads to."""
    assert {kind for _, expected in CASES.values() for kind, _, _ in expected} == {*Kind}


@pytest.mark.parametrize("name", CASES)
def test_a_cause_is_a_finding_that_begins_with_who_is_to_blame(name: str) -> None:
    """Its rule is the cause, and it says what to do."""
    known, expected = CASES[name]

    found = findings(known)

    assert [(f.rule, f.where.partition(",")[0]) for f in found] == [(k, b) for k, b, _ in expected]
    assert all(each.cure and "{" not in str(each) for each in found)


headers = st.sampled_from(
    [None, "garbage", *(f"00-{t}-{s}-{f}" for t in (TRACE, OTHER) for s in (SENT, "2" * 16)
                        for f in ("00", "01"))]
)  # fmt: skip
spans = st.builds(
    Received,
    st.sampled_from(["", *CHAIN]),
    st.sampled_from(["", "backend", *CHAIN]),
    st.sampled_from([TRACE, OTHER]),
    st.just("3" * 16),
    st.sampled_from(["SERVER", "CLIENT"]),
)


@given(
    st.builds(
        Evidence,
        st.just(CHAIN),
        st.just(TRACE),
        st.sampled_from(["", SENT]),
        st.frozensets(st.sampled_from(CHAIN)),
        st.dictionaries(
            st.sampled_from(CHAIN), st.lists(st.builds(Call, headers), max_size=3).map(tuple)
        ),
        st.lists(spans, max_size=4).map(tuple),
        st.lists(spans, max_size=2).map(tuple),
        st.lists(st.builds(Refused, st.sampled_from(CHAIN), st.just("why")), max_size=2).map(tuple),
        st.dictionaries(st.sampled_from(CHAIN), st.just(("there",))),
    )
)
def test_there_is_a_cause_exactly_if_a_service_is_missing(known: Evidence) -> None:
    """Whatever the evidence: somebody of the chain is blamed, for a service that is missing."""
    found = causes(known)

    assert bool(found) is (known.seen != {*CHAIN})
    assert {cause.blamed for cause in found} <= {*CHAIN}
    assert not {cause.missing for cause in found} & known.seen
    assert len({cause.missing for cause in found}) == len(found)


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SENT}-01", True),
        (f"00-{TRACE}-{SENT}-00", False),
        (f"00-{TRACE}-{SENT}-03", True),
        (f" 00-{TRACE}-{SENT}-01\t", True),
        (f"cc-{TRACE}-{SENT}-01-what-comes-later", True),
    ],
)
def test_a_traceparent_is_read(header: str, sampled: bool) -> None:  # noqa: FBT001
    """Ids, and the flag that says to record, also of later versions."""
    assert read_traceparent(header) == (TRACE, SENT, sampled)


@pytest.mark.parametrize(
    "header",
    [
        None, "", f"ff-{TRACE}-{SENT}-01", f"00-{'0' * 32}-{SENT}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SENT}-01", f"00-{TRACE}-{SENT}", f"00-{TRACE}-{SENT}-1",
    ],
)  # fmt: skip
def test_a_traceparent_that_services_ignore_says_nothing(header: str | None) -> None:
    """As W3C Trace Context has it."""
    assert read_traceparent(header) is None


LOGS = {
    "python": (
        "Transient error HTTPConnectionPool(host='localhost', port=4318): Max retries exceeded",
        ("localhost:4318",),
    ),
    "python-grpc": (
        "StatusCode.UNAVAILABLE encountered while exporting traces to localhost:4317, retrying",
        ("localhost:4317",),
    ),
    "node": ("Error: connect ECONNREFUSED 127.0.0.1:4318", ("127.0.0.1:4318",)),
    "node-ipv6": ("Error: connect ECONNREFUSED ::1:4318", ("::1:4318",)),
    "dotnet": (
        "Exporter failed send data to collector to http://tempo:4317/ endpoint.", ("tempo:4317",)
    ),
    "go": ('traces export: Post "http://10.0.0.7:4318/v1/traces": dial', ("10.0.0.7:4318",)),
    "itself": ("Failed to export to http://127.0.0.1:4242/v1/traces", ()),
    "something-else": ("GET http://127.0.0.1:5000/api/query 200", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
def test_a_log_names_where_an_export_failed(name: str) -> None:
    """In the words of several SDKs; the address it was told is not elsewhere."""
    line, expected = LOGS[name]

    assert addresses_in(f"started\n{line}\n{line}\n", known=["127.0.0.1:4242"]) == expected


@given(st.text())
def test_any_log_can_be_read(log: str) -> None:
    """Whatever a service has written."""
    assert isinstance(addresses_in("export " + log), tuple)
