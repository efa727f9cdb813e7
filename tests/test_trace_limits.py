"""The embedded trace store under load, at its bounds, at its start and at its end."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from pytest_orchestrator._checks.traces import new_trace_ids
from pytest_orchestrator._stack.trace_otlp import Row, read_export
from pytest_orchestrator._stack.trace_search import TraceMemory
from pytest_orchestrator._stack.trace_store import TraceStore
from pytest_orchestrator.errors import Infra
from tests.trace_exports import (
    JSON,
    PROTOBUF,
    Encode,
    a_span,
    as_json,
    as_protobuf,
    fetched,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_small_body_that_unpacks_to_a_large_one_is_refused(
    http: httpx.Client, encoding: str
) -> None:
    """17 MiB of zeros pack into some KiB."""
    zeros = bytes(17 * MIB)
    bomb = gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros)

    answer = http.post(
        "/v1/traces", content=bomb, headers=PROTOBUF | {"Content-Encoding": encoding}
    )

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
