"""The one door to opentelemetry-proto: exports in, traces out, both as OTLP messages."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BytesValue
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"

_INVALID_ARGUMENT: Final = 3
_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_ID_BYTES: Final = {
    "traceId": _TRACE_ID_BYTES,
    "spanId": _SPAN_ID_BYTES,
    "parentSpanId": _SPAN_ID_BYTES,
}


class UnreadableExport(ValueError):
    """What was posted is not an OTLP export; the message says where it breaks."""


class Row(NamedTuple):
    """One span, with the resource and the scope it was sent under."""

    resource: Resource
    scope: InstrumentationScope
    span: Span
    service: str
    """The resource's ``service.name``; empty if it has none."""

    @property
    def trace_id(self) -> str:
        """32 hex digits, lower case."""
        return self.span.trace_id.hex()


def read_export(body: bytes, media_type: str) -> list[Row]:
    """Decode one export.

    Args:
        body: The request's body, not compressed.
        media_type: ``JSON`` or ``PROTOBUF``.

    Raises:
        UnreadableExport: ``body`` is not an export, or a span's ids are not
            16 and 8 bytes long.
    """
    export = _from_json(body) if media_type == JSON else _from_protobuf(body)
    rows = list(_rows(export))
    for row in rows:
        _check_ids(row.span)
    return rows


def accepted(media_type: str, *, rejected: int = 0, reason: str = "") -> bytes:
    """The body of the answer to an export that was taken.

    Args:
        media_type: That of the request.
        rejected: How many of its spans were not kept.
        reason: Why; empty if all were kept.
    """
    response = ExportTraceServiceResponse()
    response.partial_success.SetInParent()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = reason
    if media_type == JSON:
        return as_json(json_format.MessageToDict(response))
    return response.SerializeToString()


def refused(media_type: str, reason: str) -> bytes:
    """The body of the answer to an export that could not be read: a ``google.rpc.Status``."""
    if media_type == JSON:
        return as_json({"code": _INVALID_ARGUMENT, "message": reason})
    # google.rpc.Status is not among OTLP's messages; this one has the same
    # fields on the wire: 1 is a number, 2 is a text.
    status = ExportTracePartialSuccess(rejected_spans=_INVALID_ARGUMENT, error_message=reason)
    return status.SerializeToString()


def trace_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The spans as Tempo shows them: protobuf's JSON, ids in base64."""
    shown: dict[str, list[dict[str, Any]]] = json_format.MessageToDict(_regroup(rows))
    return shown.get("resourceSpans", [])


def trace_protobuf(rows: Sequence[Row]) -> bytes:
    """The spans as one ``TracesData``."""
    return _regroup(rows).SerializeToString()


def enveloped(trace: bytes) -> bytes:
    """Tempo's v2 answer: field 1 is the trace, field 2 its metrics, here without content."""
    # A message of our own would need a compiler; this one has bytes as field 1.
    field_1 = BytesValue(value=trace).SerializeToString() or b"\x0a\x00"
    return field_1 + b"\x12\x00"


def as_json(value: object) -> bytes:
    """Encode compactly, as Tempo does."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _from_protobuf(body: bytes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise UnreadableExport(f"proto: {error}") from error


def _from_json(body: bytes) -> ExportTraceServiceRequest:
    try:
        return json_format.ParseDict(
            _object(json.loads(body, object_hook=_with_base64_ids)),
            ExportTraceServiceRequest(),
            ignore_unknown_fields=True,
        )
    # The converter trusts the kinds of what it is given: a text where an object
    # should be makes it stumble over an attribute or an operator.
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableExport(f"json: {error}") from error
    except RecursionError as error:
        raise UnreadableExport("json: the document is nested too deeply") from error


def _object(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise TypeError(f"an export is an object, not {str(document)[:40]!r}")
    return document


def _with_base64_ids(fields: dict[str, Any]) -> dict[str, Any]:
    """OTLP's JSON has ids in hex where protobuf's JSON has base64."""
    for name, size in _ID_BYTES.items():
        if text := fields.get(name):
            fields[name] = base64.b64encode(_unhex(name, text, size)).decode()
    return fields


def _unhex(name: str, text: object, size: int) -> bytes:
    try:
        raw = bytes.fromhex(str(text))
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise ValueError(f"{name} must be {2 * size} hex digits, received {str(text)[:64]!r}")
    return raw


def _rows(export: ExportTraceServiceRequest) -> Iterator[Row]:
    for batch in export.resource_spans:
        resource = batch.resource
        service = _service(resource)
        for scoped in batch.scope_spans:
            scope = scoped.scope
            for span in scoped.spans:
                yield Row(resource, scope, span, service)


def _service(resource: Resource) -> str:
    named = (a.value.string_value for a in resource.attributes if a.key == "service.name")
    return next(named, "")


def _check_ids(span: Span) -> None:
    """Refuse spans nobody could find again; an id of zeros is an id that is not there."""
    if not any(span.parent_span_id):
        span.ClearField("parent_span_id")
    else:
        _check_id("parent span", span.parent_span_id, _SPAN_ID_BYTES)
    _check_id("trace", span.trace_id, _TRACE_ID_BYTES)
    _check_id("span", span.span_id, _SPAN_ID_BYTES)


def _check_id(what: str, raw: bytes, size: int) -> None:
    bits = 8 * len(raw) if any(raw) else 0
    if bits != 8 * size:
        raise UnreadableExport(f"{what} ids must be {8 * size} bit, received {bits} bits")


def _regroup(rows: Iterable[Row]) -> TracesData:
    """Put spans that came together under one resource and one scope again."""
    data = TracesData()
    batch, scoped, last = ResourceSpans(), ScopeSpans(), None
    for row in rows:
        if last is None or row.resource is not last.resource:
            batch = data.resource_spans.add(resource=row.resource)
        if last is None or row.scope is not last.scope:
            scoped = batch.scope_spans.add(scope=row.scope)
        scoped.spans.append(row.span)
        last = row
    return data
