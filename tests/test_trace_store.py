"""What is exported to the embedded trace store, over real HTTP, and what it refuses."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1 import trace_pb2

from pytest_orchestrator._checks.traces import new_trace_ids
from pytest_orchestrator._domain.trace import Span
from pytest_orchestrator._stack.trace_store import TraceStore
from tests.trace_exports import (
    JSON,
    PROTOBUF,
    Encode,
    a_span,
    as_json,
    as_protobuf,
    encoded,
    exchange,
    fetched,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def store() -> Iterator[TraceStore]:
    """A store with the usual bounds; tests tell their traces apart by fresh ids."""
    with TraceStore() as started:
        yield started


@pytest.fixture(scope="module")
def http(store: TraceStore) -> Iterator[httpx.Client]:
    """A client that keeps its connection to the store."""
    with httpx.Client(base_url=store.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("encode", "headers"), [(as_protobuf, PROTOBUF), (as_json, JSON)], ids=["protobuf", "json"]
)
def test_an_export_is_found_by_its_trace_id(
    store: TraceStore,
    http: httpx.Client,
    encode: Encode,
    headers: dict[str, str],
    *,
    packed: bool,
) -> None:
    """What is posted in either encoding, packed or not, is what a gate sees."""
    trace_id, _ = new_trace_ids()
    spans = (a_span(trace_id, attributes={"http.route": "/infer", "n": 3}, status="ERROR"),)
    body = encode(spans)
    if packed:
        body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}

    answer = http.post("/v1/traces", content=body, headers=headers)

    assert answer.status_code == 200
    assert fetched(store, trace_id) == spans


@pytest.mark.parametrize("encoding", ["deflate", "zlib"])
def test_a_deflated_export_is_read(store: TraceStore, http: httpx.Client, encoding: str) -> None:
    """SDKs offer it beside gzip."""
    spans = (a_span(new_trace_ids().trace_id),)
    packed = zlib.compress(as_protobuf(spans))

    http.post("/v1/traces", content=packed, headers=PROTOBUF | {"Content-Encoding": encoding})

    assert fetched(store, spans[0].trace_id) == spans


def test_a_chunked_export_is_read(store: TraceStore, http: httpx.Client) -> None:
    """An exporter that does not know the length beforehand sends its body in chunks."""
    spans = (a_span(new_trace_ids().trace_id),)
    body = as_protobuf(spans)

    answer = http.post("/v1/traces", content=iter([body[:10], body[10:]]), headers=PROTOBUF)

    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert answer.status_code == 200
    assert fetched(store, spans[0].trace_id) == spans


def test_packed_members_one_after_another_are_one_body(
    store: TraceStore, http: httpx.Client
) -> None:
    """Gzip allows several members in a stream."""
    spans = (a_span(new_trace_ids().trace_id),)
    body = as_protobuf(spans)
    packed = gzip.compress(body[:10]) + gzip.compress(body[10:])

    http.post("/v1/traces", content=packed, headers=PROTOBUF | {"Content-Encoding": "gzip"})

    assert fetched(store, spans[0].trace_id) == spans


def test_a_trace_grows_with_every_export(store: TraceStore, http: httpx.Client) -> None:
    """The spans of several services, exported one by one, are one trace."""
    trace_id, _ = new_trace_ids()
    spans = [
        a_span(trace_id, f"{n:016x}", service=name)
        for n, name in enumerate(("frontend", "api", "core"), start=1)
    ]

    for span in spans:
        http.post("/v1/traces", content=as_protobuf([span]), headers=PROTOBUF)

    assert fetched(store, trace_id) == tuple(spans)


def test_an_export_of_several_traces_is_taken_apart(store: TraceStore, http: httpx.Client) -> None:
    """Spans go to their own trace, whatever they came with."""
    one, other = (a_span(new_trace_ids().trace_id) for _ in range(2))

    http.post("/v1/traces", content=as_protobuf([one, other]), headers=PROTOBUF)

    assert fetched(store, one.trace_id) == (one,)
    assert fetched(store, other.trace_id) == (other,)


def test_a_repeated_export_counts_once(store: TraceStore, http: httpx.Client) -> None:
    """An exporter repeats what was not acknowledged; one id in two kinds is two spans."""
    trace_id, _ = new_trace_ids()
    server, client = a_span(trace_id), a_span(trace_id, kind="CLIENT")

    for _ in range(2):
        http.post("/v1/traces", content=as_protobuf([server, client]), headers=PROTOBUF)

    assert fetched(store, trace_id) == (server, client)


def test_a_parent_of_zeros_is_no_parent(store: TraceStore, http: httpx.Client) -> None:
    """Some exporters fill the parent of a root span with zeros."""
    trace_id, _ = new_trace_ids()
    sent = a_span(trace_id, parent_id="0" * 16)

    http.post("/v1/traces", content=as_protobuf([sent]), headers=PROTOBUF)

    assert [span.parent_id for span in fetched(store, trace_id)] == [""]


def test_v2_shows_the_same_spans(http: httpx.Client) -> None:
    """Version 2 of the query wraps what version 1 shows; in JSON ids are base64."""
    trace_id = "0123456789abcdef0123456789abcdef"
    http.post("/v1/traces", content=as_protobuf([a_span(trace_id)]), headers=PROTOBUF)

    first = http.get(f"/api/traces/{trace_id}").json()
    second = http.get(f"/api/v2/traces/{trace_id}").json()

    assert second == {"trace": {"resourceSpans": first["batches"]}, "metrics": {}}
    assert first["batches"][0]["scopeSpans"][0]["spans"][0]["traceId"] == "ASNFZ4mrze8BI0VniavN7w=="


def test_an_unknown_trace_in_v2_as_protobuf_is_an_empty_trace(http: httpx.Client) -> None:
    """Both fields of the answer are there, without content."""
    answer = http.get("/api/v2/traces/abc", headers={"Accept": "application/protobuf"})

    assert (answer.status_code, answer.content) == (200, b"\x0a\x00\x12\x00")


def hostile_documents() -> list[Any]:
    """JSON documents that are not exports."""
    ids = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}

    def with_span(span: object) -> object:
        return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}

    return [
        [],
        7,
        None,
        "text",
        {"resourceSpans": "text"},
        {"resourceSpans": [7]},
        {"resourceSpans": {"a": 1}},
        with_span("text"),
        with_span({"traceId": 7, "spanId": ids["spanId"]}),
        with_span({"traceId": ["0"], "spanId": {}}),
        with_span(ids | {"startTimeUnixNano": "soon"}),
        with_span(ids | {"startTimeUnixNano": "-1"}),
        with_span(ids | {"name": "\ud800"}),
        with_span(ids | {"attributes": [{"key": "a", "value": {"intValue": "x"}}]}),
        with_span(ids | {"traceId": "0" * 32}),
        with_span(ids | {"spanId": "0" * 16}),
        with_span(ids | {"spanId": "ab"}),
        with_span(ids | {"parentSpanId": "zz"}),
        with_span({"traceId": ids["traceId"]}),
    ]


@pytest.mark.parametrize("document", hostile_documents(), ids=lambda each: json.dumps(each)[-60:])
def test_a_json_document_that_is_no_export_is_refused(http: httpx.Client, document: object) -> None:
    """The answer is 400 with OTLP's code and a reason."""
    answer = http.post("/v1/traces", content=json.dumps(document).encode(), headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert answer.json()["message"]


def test_json_nested_without_end_is_refused(http: httpx.Client) -> None:
    """A document deeper than the parser goes is an answer, not a crash."""
    answer = http.post("/v1/traces", content=b'{"a":' * 100_000, headers=JSON)

    assert answer.status_code == 400


def test_parent_ids_of_another_length_are_refused(http: httpx.Client) -> None:
    """Half a parent id would make an orphan that nobody can explain."""
    export = encoded([a_span(new_trace_ids().trace_id)])
    export.resource_spans[0].scope_spans[0].spans[0].parent_span_id = b"\x01\x02"

    answer = http.post("/v1/traces", content=export.SerializeToString(), headers=PROTOBUF)

    assert answer.status_code == 400
    assert b"parent span ids must be 64 bit, received 16 bits" in answer.content


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (b"\xff\xff\xff", PROTOBUF, b"proto: "),
        (b"{nope", JSON, b"json: "),
        (b"notgzip", PROTOBUF | {"Content-Encoding": "gzip"}, b"gzip: "),
        (gzip.compress(b"x" * 99)[:20], JSON | {"Content-Encoding": "gzip"}, b"gzip: "),
        (b"notzlib", JSON | {"Content-Encoding": "deflate"}, b"deflate: "),
        (zlib.compress(b"x" * 99)[:9], JSON | {"Content-Encoding": "deflate"}, b"deflate: "),
        (b"x", JSON | {"Content-Encoding": "br"}, b"unsupported Content-Encoding: br"),
    ],
    ids=["protobuf", "json", "gzip", "half-gzip", "deflate", "half-deflate", "brotli"],
)
def test_an_unreadable_body_is_refused_with_a_reason(
    http: httpx.Client, body: bytes, headers: dict[str, str], said: bytes
) -> None:
    """The answer is 400 in the encoding of the request."""
    answer = http.post("/v1/traces", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == headers["Content-Type"]
    assert said in answer.content


def test_a_refused_export_leaves_nothing_behind(store: TraceStore, http: httpx.Client) -> None:
    """One span with a bad id, and none of the export is kept."""
    trace_id, _ = new_trace_ids()
    export = encoded([a_span(trace_id), a_span(trace_id, "00f067aa0ba902b8")])
    export.resource_spans[0].scope_spans[0].spans[1].span_id = b""

    http.post("/v1/traces", content=export.SerializeToString(), headers=PROTOBUF)

    assert fetched(store, trace_id) == ()


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"Content-Length: -1\r\n\r\n", b"400"),
        (b"Content-Length: many\r\n\r\n", b"400"),
        (b"Content-Length: 10\r\n\r\nshort", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\nA-Trailer: 1\r\n\r\n", b"200"),
    ],
)
def test_a_body_that_is_not_framed_as_announced_is_refused(
    store: TraceStore, framing: bytes, status: bytes
) -> None:
    """The connection is closed after the answer: nobody knows where the next request begins."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"

    answer = exchange(store, head + framing)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert (b"Connection: close" in answer) is (status == b"400")


def test_two_requests_on_one_connection_are_both_answered(store: TraceStore) -> None:
    """A refused body is read to its end, so that the next request is understood."""
    refused = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /"
    next_one = b"GET /api/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = exchange(store, refused + next_one)

    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.endswith(b"echo\n")


def test_a_client_that_goes_away_does_no_harm(
    store: TraceStore, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged as an error, and the next request is answered."""
    url = urlsplit(store.url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf")

    assert http.get("/ready").text == "ready\n"
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
times_ns = st.integers(0, 2**64 - 1)
drafts = st.fixed_dictionaries(
    {
        "parent_id": st.integers(1, 2**64 - 1).map("{:016x}".format) | st.just(""),
        "service": texts,
        "name": texts,
        "kind": st.sampled_from(trace_pb2.Span.SpanKind.keys()).map(lambda k: k[10:]),
        "start_ns": times_ns,
        "end_ns": times_ns,
        "status": st.sampled_from(["UNSET", "OK", "ERROR"]),
        "status_message": texts,
        "attributes": st.dictionaries(texts, values, max_size=3),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    drafted=st.dictionaries(
        st.integers(1, 2**64 - 1).map("{:016x}".format), drafts, min_size=1, max_size=6
    ),
    in_json=st.booleans(),
    packed=st.booleans(),
)
def test_whatever_is_exported_is_what_is_queried(
    store: TraceStore,
    http: httpx.Client,
    *,
    drafted: dict[str, Any],
    in_json: bool,
    packed: bool,
) -> None:
    """Encoding, posting, querying and decoding give back the same spans."""
    trace_id, _ = new_trace_ids()
    spans = [Span(trace_id, span_id, **fields) for span_id, fields in drafted.items()]
    headers = dict(JSON if in_json else PROTOBUF)
    body = as_json(spans) if in_json else as_protobuf(spans)
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"

    answer = http.post("/v1/traces", content=body, headers=headers)

    assert answer.status_code == 200, answer.content
    in_order = sorted(fetched(store, trace_id), key=lambda span: span.span_id)
    assert in_order == sorted(spans, key=lambda span: span.span_id)
