"""What the embedded trace store answers: OTLP/HTTP in, Tempo's query paths out.

Status codes, content types and texts are those of Tempo 3.0, recorded.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_orchestrator._stack import trace_otlp as otlp
from pytest_orchestrator._stack.trace_record import IntakeRecord
from pytest_orchestrator._stack.trace_search import BadQuery, TraceMemory, read_query, search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

_TEXT: Final = "text/plain; charset=utf-8"
_NO_SNIFFING: Final = (("X-Content-Type-Options", "nosniff"),)
_VARIES: Final = (("Vary", "Accept-Encoding"),)
_TRACE_ID_DIGITS: Final = 32
_FIRST_REFUSAL: Final = 300
_OTHER_SIGNALS: Final = frozenset({"/v1/metrics", "/v1/logs", "/v1development/profiles"})


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked.

    Attributes:
        method: Upper case, e.g. ``"POST"``.
        path: Decoded, without the query.
        params: The query's parameters; of several of one name, the first.
        headers: Looked up without regard to case.
        body: Complete, as it came: perhaps compressed.
        source: Who was told to come this way; empty if nobody was.
    """

    method: str
    path: str
    params: Mapping[str, str]
    headers: Message
    body: bytes = b""
    source: str = ""

    def header(self, name: str) -> str:
        """A header's value, lower case and without parameters; empty if it is not there."""
        return self.headers.get(name, "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; without a content type, the header is left out."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


Forward: TypeAlias = "Callable[[Request], Answer]"

_BUILD_INFO: Final = dict.fromkeys(
    ("version", "revision", "branch", "buildUser", "buildDate", "goVersion"), ""
)
_FIXED: Final = {
    "/ready": Answer(200, b"ready\n", _TEXT, _NO_SNIFFING),
    "/api/echo": Answer(200, b"echo\n", _TEXT, _NO_SNIFFING),
    "/api/status/buildinfo": Answer(
        200, otlp.as_json(_BUILD_INFO | {"version": "embedded"}) + b"\n", otlp.JSON
    ),
}


class BodyTooLarge(ValueError):
    """A body, perhaps after unpacking, is larger than this store reads."""


class TraceAnswers:
    """The store without its socket.

    Args:
        memory: Where spans go, and are found.
        max_body_bytes: The largest export that is read, also after unpacking.
        record: Where it is noted what came.
        forward: Hands an export that was read on to another store, and gives that
            one's answer; ``None``: it is kept here.
    """

    def __init__(
        self,
        memory: TraceMemory,
        *,
        max_body_bytes: int,
        record: IntakeRecord | None = None,
        forward: Forward | None = None,
    ) -> None:
        self._memory = memory
        self._max_body_bytes = max_body_bytes
        self.record = record or IntakeRecord()
        self._forward = forward

    def answer(self, request: Request) -> Answer:
        """Answer one request; never raises for what is in it."""
        if (fixed := _FIXED.get(request.path)) is not None:
            return fixed
        match request.path.split("/")[1:]:
            case ["v1", "traces"]:
                return self._export(request)
            case ["api", "search"]:
                return self._search(request)
            case ["api", "traces", trace_id] if trace_id:
                return self._trace(trace_id, request, version=1)
            case ["api", "v2", "traces", trace_id] if trace_id:
                return self._trace(trace_id, request, version=2)
            case _:
                self._note_stray(request)
                return Answer(404, b"404 page not found\n", _TEXT, _NO_SNIFFING)

    def _note_stray(self, request: Request) -> None:
        """Somebody may have got the path of exports wrong; other signals have paths of theirs."""
        if request.method == "POST" and request.path not in _OTHER_SIGNALS:
            what = f"an export was posted to {request.path[:100]}, not to /v1/traces"
            self.record.refuse(request.source, what)

    def _export(self, request: Request) -> Answer:
        answer = self._taken(request)
        if answer.status >= _FIRST_REFUSAL:
            said = answer.body.decode(errors="replace")[:200]
            self.record.refuse(request.source, f"an export was answered {answer.status}: {said}")
        return answer

    def _taken(self, request: Request) -> Answer:
        if request.method != "POST":
            return Answer(405, b"405 method not allowed, supported: [POST]", "text/plain")
        media_type = request.header("Content-Type")
        if media_type not in (otlp.JSON, otlp.PROTOBUF):
            supported = f"{otlp.JSON}, {otlp.PROTOBUF}"
            text = f"415 unsupported media type, supported: [{supported}]"
            return Answer(415, text.encode(), "text/plain")
        try:
            rows = otlp.read_export(self._unpacked(request), media_type)
        except BodyTooLarge as error:
            return too_large(error)
        except otlp.UnreadableExport as error:
            return Answer(400, otlp.refused(media_type, str(error)), media_type)
        answer = (
            self._forward(request)
            if self._forward is not None
            else Answer(200, self._kept(rows, media_type), media_type)
        )
        if answer.status < _FIRST_REFUSAL:
            self.record.take(request.source, rows)
            if request.body and not rows:
                what = f"an export of {len(request.body)} bytes, {media_type}, had no span in it"
                self.record.refuse(request.source, what)
        return answer

    def _kept(self, rows: list[otlp.Row], media_type: str) -> bytes:
        rejected = self._memory.add(rows)
        reason = f"a trace has more than {self._memory.max_spans} spans; the rest was not kept"
        return otlp.accepted(media_type, rejected=rejected, reason=reason)

    def _unpacked(self, request: Request) -> bytes:
        match request.header("Content-Encoding"):
            case "" | "identity":
                return request.body
            case "gzip":
                return _gunzip(request.body, self._max_body_bytes)
            case "deflate" | "zlib":
                return _inflate(request.body, self._max_body_bytes)
            case other:
                raise otlp.UnreadableExport(f"unsupported Content-Encoding: {other}; use gzip")

    def _search(self, request: Request) -> Answer:
        try:
            query = read_query(request.params)
        except BadQuery as error:
            return _bad_request(error)
        found = search(self._memory.traces(), query)
        return Answer(200, otlp.as_json(found), otlp.JSON, _VARIES)

    def _trace(self, trace_id: str, request: Request, *, version: int) -> Answer:
        try:
            rows = self._memory.trace(_full_trace_id(trace_id))
        except BadQuery as error:
            return _bad_request(error)
        if version == 1 and not rows:
            return Answer(404, headers=_VARIES)
        if "application/protobuf" in request.headers.get("Accept", ""):
            trace = otlp.trace_protobuf(rows)
            body = trace if version == 1 else otlp.enveloped(trace)
            return Answer(200, body, "application/protobuf", _VARIES)
        return Answer(200, otlp.as_json(_shown(rows, version)), otlp.JSON, _VARIES)


def too_large(error: BodyTooLarge) -> Answer:
    """Refuse a body for its size."""
    return Answer(413, str(error).encode(), _TEXT)


def _bad_request(error: BadQuery) -> Answer:
    return Answer(400, str(error).encode(), _TEXT, _VARIES)


def _shown(rows: tuple[otlp.Row, ...], version: int) -> dict[str, object]:
    batches = otlp.trace_json(rows)
    if version == 1:
        return {"batches": batches}
    # For a trace it does not know, Tempo's v2 says 200 and shows an empty one.
    return {"trace": {"resourceSpans": batches} if batches else {}, "metrics": {}}


def _full_trace_id(text: str) -> str:
    if stray := re.search(r"[^0-9a-fA-F]", text):
        raise BadQuery(
            "trace IDs can only contain hex characters: "
            f"invalid character '{stray[0]}' at position {stray.start() + 1}"
        )
    if len(text) > _TRACE_ID_DIGITS:
        raise BadQuery("trace IDs can't be larger than 128 bits")
    return text.lower().zfill(_TRACE_ID_DIGITS)


def _gunzip(packed: bytes, max_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            plain = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise otlp.UnreadableExport(f"gzip: {error}") from error
    return _bounded(plain, max_bytes)


def _inflate(packed: bytes, max_bytes: int) -> bytes:
    """Unpack what HTTP calls deflate, which is zlib's format."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise otlp.UnreadableExport(f"deflate: {error}") from error
    if not stream.eof and len(plain) <= max_bytes:
        raise otlp.UnreadableExport("deflate: the body ends too early")
    return _bounded(plain, max_bytes)


def _bounded(plain: bytes, max_bytes: int) -> bytes:
    if len(plain) > max_bytes:
        raise BodyTooLarge(
            f"413 the body unpacks to more than {max_bytes} bytes; export in smaller batches"
        )
    return plain
