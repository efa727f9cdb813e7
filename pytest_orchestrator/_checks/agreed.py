"""What is published agrees with what was agreed before: the shared models, and the draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.comparison.outline import Outline
from pytest_orchestrator._checks.nodes import place, shortened
from pytest_orchestrator._checks.openapi import check_serves
from pytest_orchestrator._checks.reading.documents import read_document
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator.errors import Unverifiable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from pytest_orchestrator._checks.contracts import PublishedContract


def check_models(
    document: object,
    models: object,
    name: str,
    *,
    requests: Mapping[str, str],
    responses: Mapping[str, str],
) -> Verdict:
    """Whether the bodies of operations are the shared models they are to be.

    Compared in the normal form of ``check_serves``. Fine are properties the shared model
    does not name, unless a request must have them; a bound of the shared model that is not
    repeated; a bound of an answer that the shared model does not have; and the formats of
    numbers.

    Args:
        document: An OpenAPI document.
        models: The JSON Schema of the shared models, with ``$defs``.
        name: What findings call the document.
        requests: Names of shared models by operation, for its request body.
        responses: The same for all its answers of the 200s.

    Returns:
        A finding for each difference, with its place in the shared model and both
        values; and one where there is no such model, or no such body.
    """
    # Most sessions compare nothing.
    from pytest_orchestrator._checks.comparison.models import model_faults  # noqa: PLC0415

    faults = model_faults(Outline(document), Outline(models), requests, responses)
    findings = [told(place(name, f.pointer), f.what, f.rule, f.cure) for f in faults]
    return Verdict("models", tuple(findings))


def check_served(contract: PublishedContract, answer: httpx.Response, *, name: str) -> Verdict:
    """Whether what a service shows as its own document is what is published.

    Args:
        contract: What is published.
        answer: What came back from where the service shows its document.
        name: What findings call the service: the lane to blame, e.g. ``"core"``.

    Returns:
        The findings of ``check_serves``; or one, if there is no document.

    Raises:
        GateFailed: The contract is not published, or cannot be read.
    """
    called = f"{name}: {contract.path} (as served)"
    if answer.status_code != 200:  # noqa: PLR2004 - the only status that has the document
        what = f"answers with status {answer.status_code}; body: {shortened(answer.text)!r}"
        cure = "serve the document where the runbook's openapi says"
        return Verdict("serves", (told(called, what, "status", cure),))
    document, verdict = read_document(answer.content, called)
    return (
        verdict
        if not verdict.passed
        else check_serves(contract.document(), document, contract.path)
    )


def check_fits_draft(contract: PublishedContract) -> Verdict:
    """Whether what is published still holds for whoever has built on the draft.

    Returns:
        A finding for each change from the draft that breaks a consumer; nothing for a
        contract without a draft.

    Raises:
        GateFailed: It is not published.
        Unverifiable: The runbook names a draft, and the tree has none.

    Source:
        docs/reference/breaking-changes.md.
    """
    contract.read()
    if contract.draft is None:
        return Verdict("draft")
    if not contract.drafts():
        raise Unverifiable(
            f"{contract.draft} is not there, so nobody knows whether {contract.path} fits it; "
            f"put the draft back, or take it out of [contracts.{contract.name}]"
        )
    # Comparing starts a process, and only this check does so.
    from pytest_orchestrator._checks.confined.judgement import Place  # noqa: PLC0415
    from pytest_orchestrator._checks.confined.process import compare_contracts  # noqa: PLC0415

    old, new = contract.tree / contract.draft, contract.tree / contract.path
    compared = compare_contracts(
        Place(old.parent, old.name), Place(new.parent, new.name), kind=contract.kind
    )
    cure = f"keep to {contract.draft}, on which others may have built already"
    findings = [
        told(place(contract.path, change.pointer), change.what, "draft", cure)
        for change in compared.changes
        if change.effect == "breaking"
    ]
    return Verdict("draft", (*compared.verdict.findings, *findings))
