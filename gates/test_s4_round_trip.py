"""S4: a question travels from the page through the api to core, and its answer comes back."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from pytest_orchestrator.checks import (
    check_built_on,
    check_generated,
    check_json,
    check_page,
    check_response,
    check_still_fits,
    page_fields,
)
from pytest_orchestrator.types import Agreement, Consumption, Contracts, Hops, Services

pytestmark = pytest.mark.gate("S4")

KNOWN = "How do bees keep warm in winter?"
UNKNOWN = "Which spacecraft first landed on the moon of Saturn?"


@pytest.fixture(scope="module")
def application(services: Services) -> dict[str, str]:
    """The addresses of the three services, all running."""
    running = services.start("core", "api", "frontend")
    return {name: service.url for name, service in running.items()}


def ask_page(http: httpx.Client, application: dict[str, str], question: str) -> httpx.Response:
    """Send the page's form, as a browser without JavaScript would."""
    return http.post(application["frontend"] + "/", data={"question": question})


def test_page_shows_an_answer(http: httpx.Client, application: dict[str, str]) -> None:
    """A question the documents answer comes back answered, with its sources."""
    page = ask_page(http, application, KNOWN)

    check_response(page, status=200, media_type="text/html", name="frontend /").raise_for_findings()
    check_page(page.text, title=None, name="frontend /").raise_for_findings()
    fields = page_fields(page.text)
    assert fields["status"] == ["answered"]
    assert all(fields["answer"])
    assert fields["citation"]


def test_page_says_when_it_does_not_know(http: httpx.Client, application: dict[str, str]) -> None:
    """A question the documents do not answer is unknown, not invented."""
    fields = page_fields(ask_page(http, application, UNKNOWN).text)

    assert fields["status"] == ["unknown"]
    assert not fields.get("citation")


@pytest.mark.parametrize("question", [KNOWN, UNKNOWN])
def test_answer_fits_the_shared_models(
    question: str, http: httpx.Client, application: dict[str, str], contracts: Contracts
) -> None:
    """What the api answers is a QueryResponse, formats included."""
    answer = http.post(application["api"] + "/api/query", json={"question": question})

    check_response(
        answer, status=200, media_type="application/json", name="api /api/query"
    ).raise_for_findings()
    check_json(
        answer.json(),
        contracts["shared-models"].schema(),
        "api /api/query",
        definition="QueryResponse",
    ).raise_for_findings()


def test_bad_question_is_refused_with_reasons(
    http: httpx.Client, application: dict[str, str]
) -> None:
    """An empty question is a client's error, described as problem details."""
    answer = http.post(application["api"] + "/api/query", json={"question": ""})

    check_response(
        answer, status=400, media_type="application/problem+json", name="api /api/query"
    ).raise_for_findings()
    assert answer.json()["errors"]


def test_interaction_id_is_the_same_at_every_hop(
    http: httpx.Client, application: dict[str, str], hops: Hops
) -> None:
    """The page, the api and core speak of one and the same interaction."""
    hops.clear()

    page = ask_page(http, application, KNOWN)

    shown = page_fields(page.text)["interaction_id"]
    answered = [hop.answer["interaction_id"] for hop in hops if hop.path.endswith("/query")]
    assert [hop.service for hop in hops] == ["core", "api"], "core answers first, then the api"
    assert answered == shown * 2


def test_consumer_is_not_broken_by_what_is_published(consumption: Consumption) -> None:
    """Whoever was built on a draft or an earlier revision still fits what is published."""
    check_still_fits(consumption).raise_for_findings()


def test_consumer_generated_what_is_published(agreement: Agreement, workspace: Path) -> None:
    """A consumer has built on what is published, and its generator makes just its files of that."""
    contract, consumer = agreement.contract, agreement.consumer

    check_built_on(
        contract.name, consumer, built_on=agreement.built_on, published=agreement.published
    ).raise_for_findings()
    check_generated(
        contract, agreement.generated, workspace, consumer=consumer, known=agreement.known
    ).raise_for_findings()
