"""S2: core's OpenAPI document is published, valid, complete, and what the service serves."""

from __future__ import annotations

import httpx
import pytest

from pytest_orchestrator.checks import check_covers, check_serves, read_document
from pytest_orchestrator.types import Contracts, Plan, Services

pytestmark = [pytest.mark.gate("S2"), pytest.mark.lane("core")]

NAME = "core-api"


def test_document_is_valid(contracts: Contracts) -> None:
    """What is published is a valid OpenAPI document."""
    contracts[NAME].check().raise_for_findings()


def test_document_covers_what_the_runbook_names(contracts: Contracts, plan: Plan) -> None:
    """Every operation the runbook asks for is described."""
    contract = contracts[NAME]
    operations = plan.contracts[NAME].operations

    check_covers(contract.document(), operations, contract.path).raise_for_findings()


def test_service_serves_what_is_published(
    contracts: Contracts, services: Services, plan: Plan, http: httpx.Client
) -> None:
    """The running service shows the same document, wording and order aside."""
    contract = contracts[NAME]
    service = services.start("core")["core"]

    served = http.get(service.url + (plan.services["core"].openapi or ""))

    document, verdict = read_document(served.content, f"{contract.path} (as served)")
    verdict.raise_for_findings()
    check_serves(contract.document(), document, contract.path).raise_for_findings()
