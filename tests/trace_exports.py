"""Spans, as services export them and as gates fetch them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from pytest_orchestrator._checks.traces import TraceClient
from pytest_orchestrator._domain.trace import Span

if TYPE_CHECKING:
    from pytest_orchestrator._stack.trace_store import TraceStore

Encode = Callable[[Sequence[Span]], bytes]

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def a_span(trace_id: str, span_id: str = "00f067aa0ba902b7", **changes: Any) -> Span:
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
    """One export, a batch for each resource."""
    export = ExportTraceServiceRequest()
    for service, version in dict.fromkeys(map(resource_of, spans)):
        batch = export.resource_spans.add()
        batch.resource.attributes.append(attribute("service.name", service))
        if version:
            batch.resource.attributes.append(attribute("service.version", version))
        scoped = batch.scope_spans.add()
        scoped.scope.name = "tests"
        scoped.spans.extend(
            message(span) for span in spans if resource_of(span) == (service, version)
        )
    return export


def resource_of(span: Span) -> tuple[str, str]:
    """What tells resources apart."""
    return span.service, span.version


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
        events=[trace_pb2.Span.Event(name=name) for name in span.events],
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
        s for of in dict.fromkeys(map(resource_of, spans)) for s in spans if resource_of(s) == of
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
