"""Tempo's answers to a question for one trace: v1 and v2, JSON and protobuf."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from pytest_orchestrator._domain.trace import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

PROTOBUF: Final = "application/protobuf"
_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES: Final = ("UNSET", "OK", "ERROR")
_TRACE_ID_DIGITS: Final = 32
_SPAN_ID_DIGITS: Final = 16


class NotATrace(ValueError):
    """An answer cannot be read as a trace."""


def decode(body: bytes, content_type: str, *, version: int) -> tuple[Span, ...]:
    """Read the spans of one answer, in its order.

    Args:
        body: Complete, not compressed.
        content_type: Of the answer; what does not say protobuf is read as JSON.
        version: Of the path that was asked: 1 for ``/api/traces``, 2 for ``/api/v2/traces``.

    Returns:
        The spans; none for an answer without a trace.

    Raises:
        NotATrace: The body is something else.
    """
    try:
        if "protobuf" in content_type:
            return tuple(_of_protobuf(body, version))
        return tuple(_of_json(json.loads(body), version))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotATrace(str(error)) from error


# ---------------------------------------------------------------- protobuf


def _of_protobuf(body: bytes, version: int) -> Iterator[Span]:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 -- loaded by who needs it
    from google.protobuf.wrappers_pb2 import BytesValue  # noqa: PLC0415
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData  # noqa: PLC0415

    try:
        # The answer of v2 has the trace as field 1; so has this message its bytes.
        trace = BytesValue.FromString(body).value if version > 1 else body
        batches = TracesData.FromString(trace).resource_spans
    except DecodeError as error:
        raise NotATrace(f"proto: {error}") from error
    for batch in batches:
        yield from _of_batch(batch)


def _of_batch(batch: ResourceSpans) -> Iterator[Span]:
    resource = {pair.key: _plain(pair.value) for pair in batch.resource.attributes}
    for scoped in batch.scope_spans:
        for message in scoped.spans:
            yield _of_message(message, resource)


def _of_message(message: SpanMessage, resource: dict[str, object]) -> Span:
    return Span(
        trace_id=message.trace_id.hex(),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex(),
        service=_text(resource, "service.name"),
        name=message.name,
        kind=_named(message.kind, _KINDS),
        start_ns=message.start_time_unix_nano,
        end_ns=message.end_time_unix_nano,
        status=_named(message.status.code, _STATUSES),
        attributes={pair.key: _plain(pair.value) for pair in message.attributes},
        status_message=message.status.message,
        version=_text(resource, "service.version"),
        events=tuple(event.name for event in message.events),
    )


def _plain(value: Any) -> object:
    """An ``AnyValue`` as a value of Python's."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
        case field:
            plain: object = getattr(value, field)
            return plain


# ---------------------------------------------------------------- JSON


def _of_json(document: dict[str, Any], version: int) -> Iterator[Span]:
    trace = document.get("trace", {}) if version > 1 else document
    batches = trace.get("batches")
    if batches is None:
        batches = trace.get("resourceSpans")
    if batches is None and (version == 1 or "trace" not in document):
        raise NotATrace("it has neither batches nor resourceSpans")
    for batch in batches or ():
        resource = _attributes(batch.get("resource", {}))
        for scoped in _scopes(batch):
            for fields in scoped.get("spans", ()):
                yield _span(fields, resource)


def _scopes(batch: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """By the present name, and by the one that older stores write."""
    found: Iterable[dict[str, Any]] = batch.get("scopeSpans") or batch.get(
        "instrumentationLibrarySpans", ()
    )
    return found


def _span(fields: dict[str, Any], resource: dict[str, object]) -> Span:
    status = fields.get("status", {})
    return Span(
        trace_id=_hex(fields["traceId"], _TRACE_ID_DIGITS),
        span_id=_hex(fields["spanId"], _SPAN_ID_DIGITS),
        parent_id=_hex(fields.get("parentSpanId", ""), _SPAN_ID_DIGITS),
        service=_text(resource, "service.name"),
        name=fields.get("name", ""),
        kind=_named(fields.get("kind", 0), _KINDS, "SPAN_KIND_"),
        start_ns=int(fields.get("startTimeUnixNano", 0)),
        end_ns=int(fields.get("endTimeUnixNano", 0)),
        status=_named(status.get("code", 0), _STATUSES, "STATUS_CODE_"),
        attributes=_attributes(fields),
        status_message=status.get("message", ""),
        version=_text(resource, "service.version"),
        events=tuple(event.get("name", "") for event in fields.get("events", ())),
    )


def _hex(text: str, digits: int) -> str:
    """An id as hex digits: Tempo shows it in base64, OTLP's own JSON in hex."""
    if not text:
        return ""
    if len(text) == digits:
        try:
            return bytes.fromhex(text).hex()
        except ValueError:
            pass  # 16 or 32 characters of base64 are too many for an id
    try:
        return base64.b64decode(text, validate=True).hex().zfill(digits)
    except binascii.Error as error:
        raise NotATrace(f"{text!r} is no id: {error}") from error


def _named(value: object, names: tuple[str, ...], prefix: str = "") -> str:
    """An enum's value, given by number or by name; the first name for what is not known."""
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else names[0]
    name = str(value).removeprefix(prefix)
    return name if name in names else names[0]


def _text(attributes: dict[str, object], key: str) -> str:
    value = attributes.get(key)
    return value if isinstance(value, str) else ""


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
