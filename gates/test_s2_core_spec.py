"""S2: core's OpenAPI document is published, valid, as agreed, and what the service keeps to."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from pytest_orchestrator.checks import (
    check_built_on,
    check_conforms,
    check_covers,
    check_fits_draft,
    check_generated,
    check_models,
    check_served,
    check_still_fits,
)
from pytest_orchestrator.types import Agreement, Consumption, Contracts, Plan, Services

pytestmark = pytest.mark.gate("S2")
lane = pytest.mark.lane("core")

NAME = "core-api"


@lane
def test_document_is_valid(contracts: Contracts) -> None:
    """What is published is a valid OpenAPI document."""
    contracts[NAME].check().raise_for_findings()


@lane
def test_document_covers_what_the_runbook_names(contracts: Contracts) -> None:
    """Every operation and parameter the runbook asks for is described."""
    contract = contracts[NAME]

    check_covers(
        contract.document(), contract.operations, contract.path, parameters=contract.parameters
    ).raise_for_findings()


@lane
def test_document_has_the_shared_models(contracts: Contracts) -> None:
    """The bodies the runbook names are the shared models, however they are written."""
    contract = contracts[NAME]

    check_models(
        contract.document(),
        contracts.models(),
        contract.path,
        requests=contract.requests,
        responses=contract.responses,
    ).raise_for_findings()


@lane
def test_document_fits_its_draft(contracts: Contracts) -> None:
    """Whoever has built on the draft is right with what is published."""
    check_fits_draft(contracts[NAME]).raise_for_findings()


@lane
def test_service_serves_what_is_published(
    contracts: Contracts, services: Services, plan: Plan, http: httpx.Client
) -> None:
    """The running service shows the same document, wording and order aside."""
    url = services.start("core")["core"].url

    served = http.get(url + (plan.services["core"].openapi or ""))

    check_served(contracts[NAME], served, name="core").raise_for_findings()


@lane
def test_service_keeps_to_what_is_published(contracts: Contracts, services: Services) -> None:
    """Real answers to generated requests, right ones and wrong ones, are as documented."""
    url = services.start("core")["core"].url

    check_conforms(
        contracts[NAME], url, name="core", models=contracts.models()
    ).raise_for_findings()


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
