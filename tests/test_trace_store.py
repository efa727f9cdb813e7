"""The embedded trace store, over real HTTP."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from pytest_orchestrator._checks.traces import TraceClient, new_trace_ids
from pytest_orchestrator._domain.trace import Span
from pytest_orchestrator._stack.trace_otlp import Row, read_export
from pytest_orchestrator._stack.trace_search import TraceMemory
from pytest_orchestrator._stack.trace_store import TraceStore
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Encode = Callable[[Sequence[Span]], bytes]

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024


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


def a_span(trace_id: str, span_id: str = "00f067aa0ba902b7", **changes: Any) -> Span:  # noqa: ANN401 -- any field
    """A span in which only what a test is about is said."""
    fields: dict[str, Any] = {
        "parent_id": "",
        "service": "core",
        "name": "POST /infer",
        "kind": "SERVER",
        "start_ns": 1_795_330_848_000_000_000,
        "end_ns": 1_795_330_848_250_000_000,
        "status": "UNSET",
    }
    return Span(trace_id, span_id, **fields | changes)


def encoded(spans: Sequence[Span]) -> ExportTraceServiceRequest:
    """One export, a batch for each service."""
    export = ExportTraceServiceRequest()
    for service in dict.fromkeys(span.service for span in spans):
        batch = export.resource_spans.add()
        batch.resource.attributes.append(attribute("service.name", service))
        scoped = batch.scope_spans.add()
        scoped.scope.name = "tests"
        scoped.spans.extend(message(span) for span in spans if span.service == service)
    return export


def message(span: Span) -> trace_pb2.Span:
    """A span as OTLP has it."""
    return trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Value(f"SPAN_KIND_{span.kind}"),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        status=trace_pb2.Status(
            code=trace_pb2.Status.StatusCode.Value(f"STATUS_CODE_{span.status}"),
            message=span.status_message,
        ),
        attributes=[attribute(key, value) for key, value in span.attributes.items()],
    )


def attribute(key: str, value: object) -> KeyValue:
    """A key with a value of its kind."""
    return KeyValue(key=key, value=any_value(value))


def any_value(value: object) -> AnyValue:
    """A value of whatever kind."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(each) for each in value]))
        case _:
            return AnyValue(string_value=str(value))


def as_json(spans: Sequence[Span]) -> bytes:
    """An export in OTLP's JSON: ids in hex."""
    document = json_format.MessageToDict(encoded(spans), use_integers_for_enums=True)
    messages = [s for b in document["resourceSpans"] for c in b["scopeSpans"] for s in c["spans"]]
    regrouped = [
        s for name in dict.fromkeys(s.service for s in spans) for s in spans if s.service == name
    ]
    for fields, span in zip(messages, regrouped, strict=True):
        fields |= {"traceId": span.trace_id, "spanId": span.span_id, "parentSpanId": span.parent_id}
    return json.dumps(document).encode()


def as_protobuf(spans: Sequence[Span]) -> bytes:
    """An export in protobuf."""
    return encoded(spans).SerializeToString()


def fetched(store: TraceStore, trace_id: str) -> tuple[Span, ...]:
    """What a gate would see."""
    with TraceClient(store.url) as client:
        return client.spans(trace_id)


def exchange(store: TraceStore, sent: bytes) -> bytes:
    """Send bytes and read until the store closes the connection."""
    url = urlsplit(store.url)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


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
        (b"x", JSON | {"Content-Encoding": "br"}, b"unsupported Content-Encoding: br"),
    ],
    ids=["protobuf", "json", "gzip", "half-gzip", "brotli"],
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


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual_s)


@pytest.mark.usefixtures("hasty_threads")
def test_exports_of_eight_threads_are_all_found(store: TraceStore) -> None:
    """Threads that post to one trace and to their own lose nothing."""
    shared, _ = new_trace_ids()

    def post_fifty(thread: int) -> tuple[str, set[int]]:
        own, _ = new_trace_ids()
        numbers = range(1_000 * thread + 1, 1_000 * thread + 501)
        spans = [a_span(t, f"{n:016x}") for n in numbers for t in (shared, own)]
        bodies = [as_protobuf(spans[at : at + 20]) for at in range(0, len(spans), 20)]
        with httpx.Client(base_url=store.url, trust_env=False, timeout=60) as client:
            posts = [client.post("/v1/traces", content=b, headers=PROTOBUF) for b in bodies]
        assert len(posts) == 50
        return own, {post.status_code for post in posts}

    with ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(post_fifty, range(8)))

    assert {status for _, statuses in posted for status in statuses} == {200}
    assert len(fetched(store, shared)) == 8 * 500
    assert [len(fetched(store, own)) for own, _ in posted] == [500] * 8


def test_an_export_is_seen_whole_or_not_at_all() -> None:
    """Who asks while an export is being kept waits for its end."""
    trace_id, _ = new_trace_ids()
    spans = [a_span(trace_id, f"{n:016x}") for n in (1, 2, 3)]
    memory = TraceMemory(max_spans=10)
    seen: list[Row] = []
    reader = threading.Thread(target=lambda: seen.extend(memory.trace(trace_id)))

    def slowly() -> Iterator[Row]:
        for n, row in enumerate(read_export(as_protobuf(spans), PROTOBUF["Content-Type"])):
            if n == 1:
                reader.start()
                reader.join(0.2)  # ample for a reader that does not wait
            yield row

    memory.add(slowly())
    reader.join()

    assert len(seen) == 3


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(http: httpx.Client) -> None:
    """17 MiB of zeros pack into some KiB."""
    bomb = gzip.compress(bytes(17 * MIB))

    answer = http.post("/v1/traces", content=bomb, headers=PROTOBUF | {"Content-Encoding": "gzip"})

    assert len(bomb) < MIB
    assert answer.status_code == 413
    assert "16777216 bytes" in answer.text


def test_unpacking_stops_at_the_limit() -> None:
    """What is refused for its size never was in memory."""
    bomb = gzip.compress(bytes(32 * MIB))
    with TraceStore(max_body_bytes=MIB) as small:
        tracemalloc.start()
        try:
            answer = httpx.post(
                f"{small.url}/v1/traces",
                content=bomb,
                headers=PROTOBUF | {"Content-Encoding": "gzip"},
                trust_env=False,
            )
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert answer.status_code == 413
    assert peak_bytes < 16 * MIB


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_over_the_limit_is_refused_with_an_answer(*, chunked: bool) -> None:
    """The client is told, and its connection goes on."""
    body = bytes(3_000)
    with (
        TraceStore(max_body_bytes=1_000) as small,
        httpx.Client(base_url=small.url, trust_env=False) as client,
    ):
        answer = client.post(
            "/v1/traces", content=iter([body]) if chunked else body, headers=PROTOBUF
        )
        after = client.post("/v1/traces", content=b"", headers=PROTOBUF)

    assert (answer.status_code, after.status_code) == (413, 200)
    assert "more than 1000 bytes" in answer.text


def test_a_body_far_over_the_limit_is_not_read_to_its_end() -> None:
    """Whoever goes on sending after four times the limit is cut off."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n"
    with TraceStore(max_body_bytes=1_000) as small:
        url = urlsplit(small.url)
        with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
            # One piece is 64 KiB: with it the store has seen enough.
            connection.sendall(head + bytes(65_536))
            answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"Connection: close" in answer


def test_the_trace_written_to_longest_ago_makes_room() -> None:
    """Beyond the limit a whole trace goes, not single spans of many."""
    first, second, third = (new_trace_ids().trace_id for _ in range(3))
    with TraceStore(max_spans=4) as small, httpx.Client(trust_env=False) as client:
        for trace_id, span_id in (
            (first, "01"),
            (second, "02"),
            (second, "03"),
            (first, "04"),
            (third, "05"),
        ):
            body = as_protobuf([a_span(trace_id, span_id.zfill(16))])
            client.post(f"{small.url}/v1/traces", content=body, headers=PROTOBUF)
        kept = [len(fetched(small, each)) for each in (first, second, third)]

    assert kept == [2, 0, 1]


def test_a_repeated_export_takes_no_more_room() -> None:
    """However often a span is sent, it counts as one of those that are kept."""
    first, second = (a_span(new_trace_ids().trace_id) for _ in range(2))
    with (
        TraceStore(max_spans=2) as small,
        httpx.Client(base_url=small.url, trust_env=False) as client,
    ):
        for span in (first, second, second, second):
            client.post("/v1/traces", content=as_protobuf([span]), headers=PROTOBUF)

        assert fetched(small, first.trace_id) == (first,)


@pytest.mark.parametrize(
    ("encode", "headers"), [(as_protobuf, PROTOBUF), (as_json, JSON)], ids=["protobuf", "json"]
)
def test_a_trace_larger_than_the_store_is_taken_in_part(
    encode: Encode, headers: dict[str, str]
) -> None:
    """The exporter is told how many spans were not kept, as OTLP provides for."""
    trace_id, _ = new_trace_ids()
    spans = [a_span(trace_id, f"{n:016x}") for n in range(1, 6)]
    with TraceStore(max_spans=3) as small:
        answer = httpx.post(
            f"{small.url}/v1/traces", content=encode(spans), headers=headers, trust_env=False
        )
        kept = fetched(small, trace_id)

    assert answer.status_code == 200
    response = (
        json_format.Parse(answer.text, ExportTraceServiceResponse())
        if headers is JSON
        else ExportTraceServiceResponse.FromString(answer.content)
    )
    assert response.partial_success.rejected_spans == 2
    assert "more than 3 spans" in response.partial_success.error_message
    assert kept == tuple(spans[:3])


def searched(http: httpx.Client, **params: str) -> list[Any]:
    """The traces a search finds."""
    answer = http.get("/api/search", params=params)
    assert answer.status_code == 200, answer.text
    traces: list[Any] = answer.json()["traces"]
    return traces


@pytest.fixture(scope="module")
def library() -> Iterator[httpx.Client]:
    """A store of its own with three traces, a minute apart, for searches."""
    with (
        TraceStore() as store,
        httpx.Client(base_url=store.url, trust_env=False) as client,
    ):
        for n, service in enumerate(("core", "my api", "core")):
            span = a_span(
                f"{n + 1:032x}",
                service=service,
                start_ns=(1_000 + 60 * n) * 10**9,
                end_ns=(1_010 + 60 * n) * 10**9,
            )
            client.post("/v1/traces", content=as_protobuf([span]), headers=PROTOBUF)
        yield client


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["3", "2", "1"]),
        ({"q": "{}"}, ["3", "2", "1"]),
        ({"q": '{resource.service.name="core"}'}, ["3", "1"]),
        ({"q": '{ resource.service.name = "cor" }'}, []),
        ({"q": '{ trace:id = "2" }'}, ["2"]),
        ({"q": '{ trace:id = "' + "0" * 31 + '2" }'}, ["2"]),
        ({"tags": "service.name=core"}, ["3", "1"]),
        ({"tags": 'service.name="my api"'}, ["2"]),
        ({"limit": "1"}, ["3"]),
        ({"start": "1011"}, ["3", "2"]),
        ({"start": "1010", "end": "1060"}, ["2", "1"]),
        ({"end": "999"}, []),
        ({"start": "1010", "end": "1010"}, ["1"]),
    ],
)
def test_a_search_finds_by_service_trace_id_and_time(
    library: httpx.Client, params: dict[str, str], found: list[str]
) -> None:
    """The latest trace comes first; bounds of time are inclusive; ids lose their zeros."""
    assert [trace["traceID"] for trace in searched(library, **params)] == found


def test_a_search_lists_three_spans_unless_told(http: httpx.Client) -> None:
    """``spss`` says how many; ``matched`` counts them all."""
    trace_id, _ = new_trace_ids()
    spans = [a_span(trace_id, f"{n:016x}") for n in range(1, 6)]
    http.post("/v1/traces", content=as_protobuf(spans), headers=PROTOBUF)
    query = f'{{ trace:id = "{trace_id}" }}'

    listed = [
        searched(http, q=query, **more)[0]["spanSet"] for more in ({}, {"spss": "1"}, {"spss": "9"})
    ]

    assert [len(each["spans"]) for each in listed] == [3, 1, 5]
    assert [each["matched"] for each in listed] == [5, 5, 5]


def test_a_search_copes_with_spans_without_times(http: httpx.Client) -> None:
    """What is zero is left out, as in all of protobuf's JSON."""
    trace_id, _ = new_trace_ids()
    body = as_protobuf([a_span(trace_id, start_ns=0, end_ns=0, name="", service="")])
    http.post("/v1/traces", content=body, headers=PROTOBUF)

    (trace,) = searched(http, q=f'{{ trace:id = "{trace_id}" }}')

    assert trace["spanSet"]["spans"] == [{"spanID": "00f067aa0ba902b7"}]
    assert "startTimeUnixNano" not in trace


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"q": "{ status = error }"}, "understands {}, "),
        ({"q": '{ resource.service.name = "a" } >> {}'}, "invalid TraceQL query: "),
        ({"q": '{ resource.service.name = "a\\"b" }'}, "invalid TraceQL query: "),
        ({"tags": "http.route=/infer"}, "understands service.name=..."),
        ({"tags": "service.name=a b=c"}, "understands service.name=..."),
        ({"q": "{}", "tags": "service.name=a"}, "can't specify tags and q"),
        ({"minDuration": "1ms"}, "does not search by minDuration"),
        ({"limit": "x"}, "invalid limit: must be a positive number"),
        ({"spss": "-1"}, "invalid spss: must be a positive number"),
        ({"start": "-1"}, 'invalid start: strconv.ParseUint: parsing "-1"'),
        ({"start": "2", "end": "1"}, "start must be before end. received start=2 end=1"),
    ],
)
def test_a_search_it_cannot_answer_is_refused(
    http: httpx.Client, params: dict[str, str], said: str
) -> None:
    """A wrong answer would be worse than none: 400, with a sentence."""
    answer = http.get("/api/search", params=params)

    assert answer.status_code == 400
    assert said in answer.text


def test_stopping_closes_every_connection() -> None:
    """A client that kept its connection finds nobody afterwards."""
    store = TraceStore()
    store.start()
    with httpx.Client(base_url=store.url, trust_env=False) as client:
        assert client.get("/ready").status_code == 200

        store.stop()

        with pytest.raises(httpx.TransportError):
            client.get("/ready")


def test_starting_and_stopping_twice_does_nothing_more() -> None:
    """The second time finds it as it should be; a new start begins empty."""
    trace_id, _ = new_trace_ids()
    store = TraceStore()
    store.start()
    url = store.url
    store.start()
    assert store.url == url
    httpx.post(f"{url}/v1/traces", content=as_protobuf([a_span(trace_id)]), headers=PROTOBUF)
    store.stop()
    store.stop()

    with store:
        assert fetched(store, trace_id) == ()


def test_a_store_that_is_not_started_has_no_url() -> None:
    """The message says what to do."""
    with pytest.raises(Infra, match=r"it is not started; call start\(\) first"):
        _ = TraceStore().url


def test_a_taken_port_is_an_infra_error(store: TraceStore) -> None:
    """The message names the port and the cure."""
    port = urlsplit(store.url).port
    assert port

    with pytest.raises(Infra, match=rf"cannot listen on port {port} .* free one with port 0"):
        TraceStore(port=port).start()


def test_only_the_loopback_interface_is_listened_on(store: TraceStore) -> None:
    """Nobody else on the network can export to it."""
    assert urlsplit(store.url).hostname == "127.0.0.1"


def test_importing_the_store_loads_neither_protobuf_nor_a_server() -> None:
    """Sessions that judge no traces pay nothing."""
    code = (
        "import sys, pytest_orchestrator._stack.trace_store\n"
        "heavy = {'google.protobuf', 'opentelemetry', 'http.server'}\n"
        "print(sorted(heavy & {*sys.modules}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


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
