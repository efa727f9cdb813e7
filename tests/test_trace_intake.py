"""What is noted of exports: by whom, what, and what could not be read; and where else they go."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pytest_orchestrator._checks.traces import TraceClient, new_trace_ids
from pytest_orchestrator._stack.trace_decoy import TraceDecoy
from pytest_orchestrator._stack.trace_store import TraceStore
from pytest_orchestrator._stack.trace_witness import ServiceWitness
from tests.small_services import HEALTHY, Project, wait_until
from tests.trace_exports import JSON, PROTOBUF, a_span, as_json, as_protobuf, fetched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPAN = a_span(new_trace_ids().trace_id, attributes={"http.route": "/infer"})


def export(url: str, body: bytes, headers: dict[str, str] = PROTOBUF) -> httpx.Response:
    """Post to a receiver."""
    return httpx.post(url + "/v1/traces", content=body, headers=headers, trust_env=False)


@pytest.fixture
def store() -> Iterator[TraceStore]:
    """A store of one's own."""
    with TraceStore() as started:
        yield started


@pytest.mark.parametrize(("encode", "headers"), [(as_protobuf, PROTOBUF), (as_json, JSON)])
def test_it_is_known_who_sent_a_span(store: TraceStore, encode: Any, headers: Any) -> None:
    """Every service has an address of its own, whatever name its spans have."""
    export(store.intake("api"), encode([SPAN]), headers)

    (noted,) = store.record.received()
    assert (noted.source, noted.service, noted.trace_id) == ("api", "core", SPAN.trace_id)
    assert (noted.kind, noted.path, noted.span_id) == ("SERVER", "/infer", SPAN.span_id)
    assert fetched(store, SPAN.trace_id) == (SPAN,)
    assert store.intake("api") == store.intake("api") != store.intake("core")


def test_a_repeated_export_is_noted_each_time(store: TraceStore) -> None:
    """The store shows a span once; who sends it twice can still be told."""
    for _ in range(2):
        export(store.intake("core"), as_protobuf([SPAN]))

    assert len(store.record.received()) == 2
    assert len(fetched(store, SPAN.trace_id)) == 1


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (b"garbage", PROTOBUF, "an export was answered 400: "),
        (b"[]", JSON, "an export was answered 400: "),
        (b"", {"Content-Type": "text/plain"}, "an export was answered 415: "),
        (b'{"spans":[]}', JSON, "an export of 12 bytes, application/json, had no span in it"),
    ],
)
def test_an_export_that_cannot_be_read_is_noted(
    store: TraceStore, body: bytes, headers: dict[str, str], why: str
) -> None:
    """With what it was answered, and by whom."""
    export(store.intake("core"), body, headers)

    (refused,) = store.record.refused()
    assert refused.source == "core"
    assert refused.why.startswith(why)
    assert store.record.received() == ()
    assert store.record.refused(refused.at_s + 1) == ()


def test_a_wrong_path_is_noted(store: TraceStore) -> None:
    """Metrics and logs are not taken either, but nobody meant them to be traces."""
    url = store.intake("core")
    for path in ("/v1/trace", "/v1/metrics", "/v1/logs"):
        assert httpx.post(url + path, content=b"x", trust_env=False).status_code == 404

    (refused,) = store.record.refused()
    assert refused.why == "an export was posted to /v1/trace, not to /v1/traces"


def test_an_exporter_that_speaks_grpc_is_told_apart(store: TraceStore) -> None:
    """It begins with the preface of HTTP/2, and the note says what to set."""
    url = httpx.URL(store.intake("core"))
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        connection.recv(4096)

    (refused,) = store.record.refused()
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in refused.why


def test_exports_are_handed_on_to_another_store(store: TraceStore) -> None:
    """They arrive there as they came, and are noted here."""
    with TraceStore(forward_to=store.url) as forwarding:
        answer = export(forwarding.intake("core"), as_protobuf([SPAN]))

        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/x-protobuf"
        assert [each.source for each in forwarding.record.received()] == ["core"]
        assert fetched(forwarding, SPAN.trace_id) == ()
    assert fetched(store, SPAN.trace_id) == (SPAN,)


def test_what_the_other_store_refuses_is_refused(store: TraceStore) -> None:
    """A receiver that is not there answers 502, and nothing counts as received."""
    url = store.url
    store.stop()
    with TraceStore(forward_to=url) as forwarding:
        answer = export(forwarding.intake("core"), as_protobuf([SPAN]))

        assert answer.status_code == 502
        assert forwarding.record.received() == ()
        assert "cannot be reached" in forwarding.record.refused()[0].why


def test_a_store_that_drops_what_it_took_says_so_in_its_record() -> None:
    """What was ingested and is not found can be told from what never came."""
    newer = a_span(new_trace_ids().trace_id)
    with TraceStore(max_spans=1) as store, TraceClient(store.url) as client:
        export(store.intake("core"), as_protobuf([SPAN]))
        export(store.intake("core"), as_protobuf([newer]))

        assert client.spans(SPAN.trace_id) == ()
        assert {each.trace_id for each in store.record.received()} == {
            SPAN.trace_id, newer.trace_id
        }  # fmt: skip


def test_a_store_that_is_stopped_has_no_address_for_anybody() -> None:
    """And says so."""
    with pytest.raises(Exception, match="it is not started"):
        TraceStore().intake("core")


# ---------------------------------------------------------------- elsewhere


EXPORTING = """
import socket, sys, urllib.request
def status():
    return 200
def export(port, body):
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/traces", body, {"Content-Type": "application/x-protobuf"}
    )
    urllib.request.urlopen(asked).close()
"""


def witness_of(project: Project, store: TraceStore, decoy: TraceDecoy) -> ServiceWitness:
    """Who looks at a project's services, all of them running."""
    runtime = project.runtime({name: store.intake(name) for name in project.services})
    runtime.start(*project.services)
    return ServiceWitness(project.plan(), runtime, store, decoy)


def test_spans_that_go_to_the_default_port_are_seen_there(
    tmp_path: Path, store: TraceStore
) -> None:
    """The decoy reads them, so that they can be told by their service.name."""
    with TraceDecoy(http_port=0, grpc_port=0) as decoy, Project(tmp_path) as project:
        main = EXPORTING + f"export({decoy.http_port}, {as_protobuf([SPAN])!r})\n" + HEALTHY
        project.add("core", main)
        project.add("api")
        witness = witness_of(project, store, decoy)

        assert witness.elsewhere("core") == (f"127.0.0.1:{decoy.http_port} got spans of core, 1",)
        assert witness.elsewhere("api") == ()


def test_a_connection_to_the_port_of_grpc_is_seen(tmp_path: Path, store: TraceStore) -> None:
    """Whose it was is known from the process that has the other end."""
    with TraceDecoy(http_port=0, grpc_port=0) as decoy, Project(tmp_path) as project:
        kept = f"held = socket.create_connection(('127.0.0.1', {decoy.grpc_port}))\n"
        project.add("core", EXPORTING + kept + HEALTHY)
        project.add("api")
        witness = witness_of(project, store, decoy)
        wait_until(lambda: bool(decoy.callers()))

        said = f"it called 127.0.0.1:{decoy.grpc_port}, the port of gRPC"
        assert witness.elsewhere("core") == (said,)
        assert witness.elsewhere("api") == ()


def test_a_failed_export_is_found_in_the_log(tmp_path: Path, store: TraceStore) -> None:
    """By the address that the SDK's message names."""
    line = "Exporting to http://localhost:4319/v1/traces failed: connection refused"
    with TraceDecoy(http_port=0, grpc_port=0) as decoy, Project(tmp_path) as project:
        project.add("core", f"print({line!r}, flush=True)\n" + HEALTHY)
        witness = witness_of(project, store, decoy)

        assert witness.elsewhere("core") == ("its log has a failed export to localhost:4319",)


def test_what_a_service_still_has_comes_when_it_is_stopped(
    tmp_path: Path, store: TraceStore
) -> None:
    """Spans that wait for a batch are sent at the end, and noted."""
    late = f"""
import signal
def end(*_):
    export(store_port, {as_protobuf([SPAN])!r})
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
"""
    with TraceDecoy(http_port=0, grpc_port=0) as decoy, Project(tmp_path) as project:
        port = httpx.URL(store.intake("core")).port
        project.add("core", EXPORTING + f"store_port = {port}\n" + late + HEALTHY)
        witness = witness_of(project, store, decoy)
        assert witness.received(0) == ()

        witness.flush(["core"])

        assert [each.span_id for each in witness.received(0)] == [SPAN.span_id]
        assert witness.elsewhere("core") == ()


def test_a_port_that_is_taken_is_left_to_who_has_it() -> None:
    """A collector of somebody else's is not in the way of a session."""
    with TraceDecoy(http_port=0, grpc_port=0) as first:
        ports = {"http_port": first.http_port or 0, "grpc_port": first.grpc_port or 0}
        with TraceDecoy(**ports) as second:
            assert (second.http_port, second.grpc_port) == (None, None)
            assert (second.received(), second.callers()) == ((), frozenset())
