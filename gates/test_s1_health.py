"""S1: every service builds, starts, stays healthy and ends when told; the root page renders."""

from __future__ import annotations

import pytest

from pytest_orchestrator.checks import check_ending, check_health, check_root_page, check_steady
from pytest_orchestrator.types import Lives, Plan

pytestmark = pytest.mark.gate("S1")

LANES = [pytest.param(name, marks=pytest.mark.lane(name)) for name in ("core", "api", "frontend")]


@pytest.mark.parametrize("name", LANES)
def test_service_is_healthy(name: str, lives: Lives, plan: Plan) -> None:
    """It builds, starts on the port it is given, and says for a while that it is healthy."""
    life = lives[name]

    (check_steady(life) + check_health(life, plan.services[name].health_says)).raise_for_findings()


@pytest.mark.parametrize("name", LANES)
def test_service_ends_when_it_is_told_to(name: str, lives: Lives) -> None:
    """After SIGTERM it and all it has started are gone in time, and its status says so."""
    check_ending(lives[name]).raise_for_findings()


@pytest.mark.lane("frontend")
def test_root_page_renders(lives: Lives, plan: Plan) -> None:
    """The frontend's root page is HTML, shows something and has the application's title."""
    title = plan.services["frontend"].title

    check_root_page(lives["frontend"], title).raise_for_findings()
