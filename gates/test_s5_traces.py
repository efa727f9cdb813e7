"""S5: one request is one unbroken trace through all services it passes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import httpx
import pytest

from pytest_orchestrator.round_trip import ask_by_form
from pytest_orchestrator.types import Services, Traces

pytestmark = pytest.mark.gate("S5")

QUESTION = "How do bees keep warm in winter?"
CHAIN = ("frontend", "api", "core")
AT_ONCE = 4

Ask = Callable[[httpx.Client, dict[str, str], dict[str, str]], httpx.Response]


@pytest.fixture
def application(services: Services) -> dict[str, str]:
    """The addresses of the three services, all running."""
    return {name: service.url for name, service in services.start(*reversed(CHAIN)).items()}


def ask_page(
    http: httpx.Client, application: dict[str, str], headers: dict[str, str]
) -> httpx.Response:
    """Send the page's form, as a browser without JavaScript would."""
    return ask_by_form(http, application["frontend"] + "/", QUESTION, headers)


def ask_api(
    http: httpx.Client, application: dict[str, str], headers: dict[str, str]
) -> httpx.Response:
    """Put a question to the api, as a program would."""
    url = application["api"] + "/api/query"
    return http.post(url, json={"question": QUESTION}, headers=headers)


@pytest.mark.parametrize("continued", [True, False], ids=["continued", "begun"])
@pytest.mark.parametrize(
    ("ask", "chain"), [(ask_page, CHAIN), (ask_api, CHAIN[1:])], ids=["page", "api"]
)
def test_question_is_one_trace(
    ask: Ask,
    chain: tuple[str, ...],
    continued: bool,  # noqa: FBT001 - pytest passes it by name
    http: httpx.Client,
    application: dict[str, str],
    traces: Traces,
) -> None:
    """A question leaves one trace: the one it is sent with, or one its first service begins."""
    traces.judge(
        partial(ask, http, application), services=chain, continued=continued
    ).raise_for_findings()


def test_questions_at_once_are_one_trace_each(
    http: httpx.Client, application: dict[str, str], traces: Traces
) -> None:
    """Questions that are answered at the same time keep their traces apart."""
    traces.judge_at_once(
        partial(ask_page, http, application), services=CHAIN, count=AT_ONCE
    ).raise_for_findings()
