"""How traces are found in the embedded trace store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pytest_orchestrator._checks.traces import new_trace_ids
from pytest_orchestrator._stack.trace_store import TraceStore
from tests.trace_exports import (
    PROTOBUF,
    a_span,
    as_protobuf,
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
