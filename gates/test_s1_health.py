"""S1: every service builds, starts and answers its health check, and the root page renders."""

from __future__ import annotations

import httpx
import pytest

from pytest_orchestrator.checks import check_page, check_response
from pytest_orchestrator.types import Plan, Services

pytestmark = pytest.mark.gate("S1")

LANES = [pytest.param(name, marks=pytest.mark.lane(name)) for name in ("core", "api", "frontend")]


@pytest.mark.parametrize("name", LANES)
def test_service_is_healthy(name: str, services: Services, plan: Plan, http: httpx.Client) -> None:
    """The service builds, starts on the port it is given, and says that it is healthy."""
    url = services.start(name)[name].url + plan.services[name].health

    answer = http.get(url)

    check_response(
        answer, status=200, media_type="application/json", name=f"{name} /health"
    ).raise_for_findings()


@pytest.mark.lane("frontend")
def test_root_page_renders(services: Services, plan: Plan, http: httpx.Client) -> None:
    """The frontend's root page is HTML and carries the application's title."""
    url = services.start("frontend")["frontend"].url

    page = http.get(url + "/")

    check_response(page, status=200, media_type="text/html", name="frontend /").raise_for_findings()
    title = plan.services["frontend"].title
    check_page(page.text, title=title, name="frontend /").raise_for_findings()
