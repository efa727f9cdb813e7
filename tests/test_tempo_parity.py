"""The embedded trace store against what Grafana Tempo was recorded to answer."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.wrappers_pb2 import BytesValue
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from pytest_orchestrator._checks.traces import TraceClient, check_chain
from pytest_orchestrator._stack.trace_store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDINGS = Path(__file__).parents[2] / "shared/recordings/tempo"
TEMPOS = ("v3.0.3-default", "v3.0.3-cutoff0-root", "v2.10.8-default")

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason=f"there are no recordings of Tempo in {RECORDINGS}"
)

BEFORE_ANY_EXPORT = {"trace-unknown", "search-empty"}
ANYTIME = {"ready", "echo", "buildinfo", "metrics-path-head", "root", "unknown-path"}
BY_TRACE_ID = {
    "trace-json-noaccept",
    "trace-json",
    "trace-protobuf",
    "trace-v2-json",
    "trace-v2-protobuf",
    "trace-window-hit",
    "trace-window-miss",
    "trace-uppercase-id",
    "trace-stripped-zero-id",
    "trace-prefix-16",
    "trace-unknown",
    "trace-unknown-protobuf",
    "trace-v2-unknown",
    "trace-malformed",
    "trace-v2-malformed",
    "trace-too-long",
    "trace-all-zero",
    "trace-odd-hex",
    "trace-empty-id",
    "trace-post",
}
SEARCHES = {
    "search-noparams",
    "search-tags-service",
    "search-tags-miss",
    "traceql-all",
    "traceql-svc",
    "traceql-trace-id",
    "traceql-miss",
    "search-traceql-nowindow",
}
BAD_SEARCHES = {
    "traceql-syntax-error",
    "search-bad-start",
    "search-start-after-end",
    "search-limit-0",
}
NOT_OFFERED_SEARCHES = {
    "search-tags-two",
    "search-tags-error",
    "search-duration",
    "traceql-status-error",
    "traceql-name-kind",
    "traceql-span-attr-int",
    "traceql-attr-unscoped",
    "traceql-root",
    "traceql-child",
    "traceql-count",
    "traceql-select",
    "traceql-event",
    "traceql-regex",
}
OTHER_MESSAGE = {
    "garbage-protobuf",
    "garbage-json",
    "json-base64-ids",
    "json-short-traceid",
    "bad-gzip",
}
"""Refusals whose text quotes the parser; only code and shape are compared."""

COMPARED_HEADERS = ("Content-Type", "Vary", "X-Content-Type-Options")
UNORDERED = ("batches", "resourceSpans", "scopeSpans", "spans", "attributes")


class Recording:
    """One recorded request with its answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        self.name: str = self.content["name"]
        self.phase: str = self.content.get("phase", "")
        self.answer: dict[str, Any] = self.content["response"]

    def __repr__(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    @property
    def found_by_search(self) -> bool:
        """Whether Tempo had got as far as to find the trace by search, 10 to 30 s after it came."""
        return self.phase.startswith("after")

    @property
    def body(self) -> bytes:
        """What was answered."""
        if "body_base64" in self.answer:
            return base64.b64decode(self.answer["body_base64"])
        return str(self.answer["body_text"]).encode()

    @property
    def headers(self) -> dict[str, str]:
        """Those of the answer that are compared."""
        return chosen(httpx.Headers([tuple(pair) for pair in self.answer["headers"]]))

    def replayed(self, client: httpx.Client) -> httpx.Response:
        """Ask somebody else the same."""
        asked = self.content["request"]
        packed = asked.get("body_base64")
        return client.request(
            asked["method"],
            asked["path"] + (f"?{asked['query']}" if asked.get("query") else ""),
            headers=asked["headers"],
            content=base64.b64decode(packed) if packed else asked.get("body"),
        )


def chosen(headers: httpx.Headers) -> dict[str, str]:
    """The headers that are compared."""
    return {name: headers[name] for name in COMPARED_HEADERS if name in headers}


def recordings(*names: str) -> list[Recording]:
    """All recordings of Tempo with one of the names; with none, all there are."""
    found = [Recording(p) for tempo in TEMPOS for p in sorted((RECORDINGS / tempo).glob("*.json"))]
    return [each for each in found if not names or each.name in names]


def receiver_recordings() -> list[Recording]:
    """The recordings of Tempo's OTLP receiver."""
    return [Recording(path) for path in sorted((RECORDINGS / "otlp-http").glob("*.json"))]


def manifest(tempo: str) -> dict[str, Any]:
    """What was sent to a recorded Tempo."""
    path = RECORDINGS / tempo / "payloads/manifest.json"
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


def client_of(store: TraceStore) -> httpx.Client:
    """A client that adds nothing of its own to a request."""
    client = httpx.Client(base_url=store.url, trust_env=False, timeout=30)
    client.headers.clear()
    return client


@pytest.fixture(scope="module")
def fresh() -> Iterator[httpx.Client]:
    """A store that nobody has exported to."""
    with TraceStore() as store, client_of(store) as client:
        yield client


@pytest.fixture(scope="module", params=["pb", "json"])
def loaded(request: pytest.FixtureRequest) -> Iterator[dict[str, httpx.Client]]:
    """For each recorded Tempo, a store that got the same exports, in either encoding."""
    media_type = {"pb": "application/x-protobuf", "json": "application/json"}[request.param]
    stores, clients = {}, {}
    for tempo in TEMPOS:
        stores[tempo] = TraceStore()
        stores[tempo].start()
        clients[tempo] = client_of(stores[tempo])
        for service in manifest(tempo)["order_sent"]:
            payload = RECORDINGS / tempo / f"payloads/{service}.otlp.{request.param}"
            clients[tempo].post(
                "/v1/traces", content=payload.read_bytes(), headers={"Content-Type": media_type}
            ).raise_for_status()
    yield clients
    for tempo in TEMPOS:
        clients[tempo].close()
        stores[tempo].stop()


def decoded(name: str, content_type: str, body: bytes) -> object:
    """A body in a form that can be compared."""
    if content_type == "application/protobuf":
        trace = BytesValue.FromString(body).value if "v2" in name else body
        return json_format.MessageToDict(TracesData.FromString(trace))
    return json.loads(body) if content_type == "application/json" else body


def normalised(value: Any, *, flags: bool, key: str = "") -> Any:
    """Take out what Tempo loses at its flush, what it counts, and orders without meaning."""
    if isinstance(value, dict):
        dropped = {"metrics"} if flags else {"metrics", "flags"}
        return {k: normalised(v, flags=flags, key=k) for k, v in value.items() if k not in dropped}
    if isinstance(value, list):
        items = [normalised(each, flags=flags) for each in value]
        return sorted(items, key=json.dumps) if key in UNORDERED else items
    return value


def same(recording: Recording, answer: httpx.Response) -> bool:
    """Whether the bodies say the same; right after the export even flags are compared."""
    content_type = recording.headers.get("Content-Type", "")
    flags = recording.phase == "immediate"
    ours, theirs = (
        normalised(decoded(recording.name, content_type, body), flags=flags)
        for body in (answer.content, recording.body)
    )
    return bool(json_sorted(ours) == json_sorted(theirs))


def json_sorted(value: object) -> object:
    """The order of keys has no meaning either, and decides the order of sorted items."""
    return value if isinstance(value, bytes) else json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("recording", recordings(*ANYTIME), ids=repr)
def test_status_paths_answer_like_tempo(fresh: httpx.Client, recording: Recording) -> None:
    """Status, headers and body are the same; the build is another one."""
    answer = recording.replayed(fresh)

    assert (answer.status_code, chosen(answer.headers)) == (
        recording.answer["status"],
        recording.headers,
    )
    if recording.name == "buildinfo":
        assert answer.json().keys() == json.loads(recording.body).keys()
    else:
        assert answer.content == recording.body


@pytest.mark.parametrize(
    "recording", [each for each in recordings() if each.phase == "empty"], ids=repr
)
def test_an_empty_store_answers_like_an_empty_tempo(
    fresh: httpx.Client, recording: Recording
) -> None:
    """An unknown trace and a search without a hit; listings of tags are not offered."""
    answer = recording.replayed(fresh)

    if "tag" in recording.name:
        assert answer.status_code == 404
    else:
        assert answer.status_code == recording.answer["status"]
        assert chosen(answer.headers) == recording.headers
        assert same(recording, answer)


@pytest.mark.parametrize("recording", recordings(*BY_TRACE_ID), ids=repr)
def test_queries_by_trace_id_answer_like_tempo(
    loaded: dict[str, httpx.Client], recording: Recording
) -> None:
    """Found, unknown, malformed: status, headers and body say the same, in every version."""
    answer = recording.replayed(loaded[recording.path.parent.name])

    assert answer.status_code == recording.answer["status"]
    assert chosen(answer.headers) == recording.headers
    assert same(recording, answer)


@pytest.mark.parametrize(
    "recording", [each for each in recordings(*SEARCHES) if each.found_by_search], ids=repr
)
def test_searches_answer_like_tempo(loaded: dict[str, httpx.Client], recording: Recording) -> None:
    """What Tempo finds once it has flushed is found, with the same spans and counts."""
    answer = recording.replayed(loaded[recording.path.parent.name])

    assert answer.status_code == recording.answer["status"]
    assert chosen(answer.headers) == recording.headers
    assert same(recording, answer)


@pytest.mark.parametrize("recording", recordings(*BAD_SEARCHES), ids=repr)
def test_bad_searches_are_refused_like_by_tempo(
    loaded: dict[str, httpx.Client], recording: Recording
) -> None:
    """The text is the same, but for what follows "invalid TraceQL query", and Go's names."""
    answer = recording.replayed(loaded[recording.path.parent.name])

    assert answer.status_code == recording.answer["status"]
    assert chosen(answer.headers) == recording.headers
    theirs = recording.body.decode().replace("ParseInt", "ParseUint")
    assert re.sub("(?<=TraceQL query: ).*", "", answer.text) == re.sub(
        "(?<=TraceQL query: ).*", "", theirs
    )


@pytest.mark.parametrize("recording", recordings(*NOT_OFFERED_SEARCHES), ids=repr)
def test_searches_beyond_the_subset_are_refused(
    loaded: dict[str, httpx.Client], recording: Recording
) -> None:
    """What Tempo understands and this store does not is refused, never answered wrongly."""
    answer = recording.replayed(loaded[recording.path.parent.name])

    assert answer.status_code == 400
    assert "this store" in answer.text


def test_every_recorded_query_is_accounted_for() -> None:
    """What is neither compared nor refused is named here, one by one."""
    known = ANYTIME | BY_TRACE_ID | SEARCHES | BAD_SEARCHES | NOT_OFFERED_SEARCHES
    others = {each.name for each in recordings() if each.phase != "empty"} - known

    assert {name for name in others if not re.match("tags|tag-values", name)} == {
        "status-version",
        "status-services",
        "trace-v1-llm",
        "metrics-query-range",
    }


@pytest.mark.parametrize("recording", receiver_recordings(), ids=repr)
def test_exports_are_taken_and_refused_like_by_tempo(
    fresh_receiver: httpx.Client, recording: Recording
) -> None:
    """Status, headers and body are the same; a parser's own words may differ."""
    answer = recording.replayed(fresh_receiver)

    assert answer.status_code == recording.answer["status"]
    assert chosen(answer.headers) == recording.headers
    if recording.name not in OTHER_MESSAGE:
        assert receiver_body(answer.content) == receiver_body(recording.body)
    elif "json" in answer.headers["Content-Type"]:
        assert answer.json().keys() == json.loads(recording.body).keys()
        assert answer.json()["code"] == json.loads(recording.body)["code"]
    else:
        assert answer.content[:3] == recording.body[:3] == b"\x08\x03\x12"


@pytest.fixture
def fresh_receiver() -> Iterator[httpx.Client]:
    """A store that has got nothing but this export."""
    with TraceStore() as store, client_of(store) as client:
        yield client


def receiver_body(body: bytes) -> object:
    """JSON without its blanks; anything else as it is."""
    return json.loads(body) if body.startswith(b"{") else body


@pytest.mark.parametrize("name", ["protobuf", "json", "protobuf-gzip", "json-enum-names"])
def test_accepted_exports_are_the_same_trace(name: str) -> None:
    """Whatever the encoding, the recorded export is found with the same spans."""
    (recording,) = (each for each in receiver_recordings() if each.name == name)
    trace_id = manifest("v3.0.3-cutoff0-root")["trace_id"]
    payload = RECORDINGS / "v3.0.3-cutoff0-root/payloads/api.otlp.pb"
    with TraceStore() as store, TraceClient(store.url) as traces, client_of(store) as client:
        client.post(
            "/v1/traces",
            content=gzip.compress(payload.read_bytes()),
            headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
        )
        expected = traces.spans(trace_id)
    with TraceStore() as store, TraceClient(store.url) as traces, client_of(store) as client:
        recording.replayed(client)

        assert traces.spans(trace_id) == expected

    assert len(expected) == 4


# ---------------------------------------------------------------- the same verdict of all answers


UNKNOWN = {"trace-unknown", "trace-unknown-protobuf", "trace-v2-unknown"}
FORMS: tuple[tuple[Literal[1, 2], str], ...] = (
    (1, "application/json"),
    (1, "application/protobuf"),
    (2, "application/json"),
    (2, "application/protobuf"),
)


class Replay:
    """Answers what Tempo was recorded to answer to the same path and the same ``Accept``."""

    def __init__(self, tempo: str, phase: str) -> None:
        self.recordings = [each for each in recordings() if (each.path.parent.name, each.phase) ==
                           (tempo, phase)]  # fmt: skip
        replay = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                replay.answer(self)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Look the answer up; what was not recorded is not found."""
        asked = (handler.path, "protobuf" in handler.headers.get("Accept", ""))
        found = next((each for each in self.recordings if self._asks(each) == asked), None)
        status = found.answer["status"] if found else 501
        handler.send_response(status)
        for name, value in (found.headers if found else {}).items():
            handler.send_header(name, value)
        body = found.body if found else b"not recorded"
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def _asks(recording: Recording) -> tuple[str, bool]:
        asked = recording.content["request"]
        headers = httpx.Headers(asked["headers"])
        path = asked["path"] + (f"?{asked['query']}" if asked.get("query") else "")
        return path, "protobuf" in headers.get("Accept", "")


@contextmanager
def replaying(tempo: str, phase: str) -> Iterator[str]:
    """A server of the recordings of one phase; its address."""
    replay = Replay(tempo, phase)
    thread = threading.Thread(target=replay.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield replay.url
    finally:
        replay.server.shutdown()
        replay.server.server_close()
        thread.join()


def sent_parent(tempo: str) -> str:
    """The span id that was sent with the recorded request; empty if the trace has its own root."""
    header = manifest(tempo).get("traceparent_sent") or manifest(tempo).get("traceparent")
    return header.split("-")[2] if header else ""


def phases(tempo: str) -> list[str]:
    """The phases in which a recorded Tempo had the trace."""
    found = {each.phase for each in recordings("trace-json") if each.path.parent.name == tempo}
    return sorted(found - {"empty"})


@pytest.mark.parametrize("tempo", TEMPOS)
def test_all_answers_of_a_trace_lead_to_the_same_verdict(tempo: str) -> None:
    """v1 and v2, JSON and protobuf, right after the export and after the flush."""
    trace_id = manifest(tempo)["trace_id"]
    seen = []
    for phase in phases(tempo):
        with replaying(tempo, phase) as url:
            for version, accept in FORMS:
                with TraceClient(url, version=version, accept=accept) as client:
                    spans = sorted(client.spans(trace_id), key=lambda span: span.span_id)
                seen.append(spans)
    verdicts = [
        {str(f) for f in check_chain(spans, services=("frontend", "api", "core"),
                                     parent_span_id=sent_parent(tempo)).findings}
        for spans in seen
    ]  # fmt: skip

    assert len(seen) >= 4 * 2
    assert all(len(spans) == len(seen[0]) > 0 for spans in seen)
    assert all(verdict == verdicts[0] for verdict in verdicts)
    assert all(spans == seen[0] for spans in seen)


@pytest.mark.parametrize("tempo", TEMPOS)
def test_the_embedded_store_leads_to_the_verdict_that_tempo_leads_to(tempo: str) -> None:
    """The same exports, the same findings, span by span."""
    trace_id = manifest(tempo)["trace_id"]
    with TraceStore() as store, client_of(store) as http, TraceClient(store.url) as client:
        for service in manifest(tempo)["order_sent"]:
            payload = RECORDINGS / tempo / f"payloads/{service}.otlp.pb"
            http.post("/v1/traces", content=payload.read_bytes(),
                      headers={"Content-Type": "application/x-protobuf"})  # fmt: skip
        ours = client.spans(trace_id)
    with replaying(tempo, phases(tempo)[-1]) as url, TraceClient(url) as client:
        theirs = client.spans(trace_id)

    by_id = [sorted(spans, key=lambda span: span.span_id) for spans in (ours, theirs)]
    assert by_id[0] == by_id[1]


@pytest.mark.parametrize(("version", "accept"), FORMS[:3])  # the fourth was not recorded
@pytest.mark.parametrize("tempo", TEMPOS)
def test_an_unknown_trace_has_no_spans_in_any_form(
    tempo: str, version: Literal[1, 2], accept: str
) -> None:
    """v1 says 404, v2 says 200 and shows an empty trace."""
    asked = {each.content["request"]["path"] for each in recordings(*UNKNOWN)}
    (trace_id,) = {path.rpartition("/")[2] for path in asked}

    with (
        replaying(tempo, phases(tempo)[0]) as url,
        TraceClient(url, version=version, accept=accept) as client,
    ):
        assert client.spans(trace_id) == ()
