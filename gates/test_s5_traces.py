"""S5: one request is one unbroken trace through all three services."""

from __future__ import annotations

import httpx
import pytest

from pytest_orchestrator.checks import check_chain, new_trace_ids, traceparent
from pytest_orchestrator.types import Services, Traces

pytestmark = pytest.mark.gate("S5")

QUESTION = "How do bees keep warm in winter?"
TIMEOUT_S = 15.0


@pytest.fixture(scope="module")
def application(services: Services) -> dict[str, str]:
    """The addresses of the three services, all running."""
    running = services.start("core", "api", "frontend")
    return {name: service.url for name, service in running.items()}


def test_request_through_the_page_is_one_trace(
    http: httpx.Client, application: dict[str, str], traces: Traces
) -> None:
    """A question asked on the page leaves one chain: frontend, api, core."""
    ids = new_trace_ids()
    sent = {"traceparent": traceparent(ids.trace_id, ids.span_id)}

    http.post(application["frontend"] + "/", data={"question": QUESTION}, headers=sent)

    chain = ("frontend", "api", "core")
    spans = traces.wait_for(ids.trace_id, chain, timeout_s=TIMEOUT_S)
    check_chain(spans, services=chain, parent_span_id=ids.span_id).raise_for_findings()


def test_request_to_the_api_is_one_trace(
    http: httpx.Client, application: dict[str, str], traces: Traces
) -> None:
    """A question asked of the api directly leaves one chain: api, core."""
    ids = new_trace_ids()
    sent = {"traceparent": traceparent(ids.trace_id, ids.span_id)}

    http.post(application["api"] + "/api/query", json={"question": QUESTION}, headers=sent)

    chain = ("api", "core")
    spans = traces.wait_for(ids.trace_id, chain, timeout_s=TIMEOUT_S)
    check_chain(spans, services=chain, parent_span_id=ids.span_id).raise_for_findings()
