"""What may be published as a contract, and what a new revision does to consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.change import Change
from pytest_orchestrator._run.registry import Document, Judged

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Contract


class ContractReferee:
    """Judges contracts with the checks of this package, in processes with limits."""

    def check(self, contract: Contract, document: Document, *, draft: bool) -> Judged:
        """Whether a document is valid and, unless it is a draft, covers what the runbook names."""
        from pytest_orchestrator._checks.confined.process import judge_contract  # noqa: PLC0415 - on demand

        operations = () if draft else contract.operations
        judged = judge_contract(
            document.root, document.path, kind=contract.kind, operations=operations
        )
        return Judged(judged.verdict, frozenset(judged.made_of))

    def changes(self, contract: Contract, old: Document, new: Document) -> tuple[Change, ...]:
        """How two revisions differ; what cannot be compared is taken to break everybody."""
        from pytest_orchestrator._checks.confined.judgement import Place  # noqa: PLC0415 - on demand
        from pytest_orchestrator._checks.confined.process import (  # noqa: PLC0415 - on demand
            compare_contracts,
        )

        found, verdict = compare_contracts(Place(*old), Place(*new), kind=contract.kind)
        return found + tuple(
            Change("breaking", "", f"cannot be compared: {finding}") for finding in verdict.findings
        )

    def schema(self, contract: Contract, page: bytes) -> bytes | None:
        """The JSON Schema that is generated from a page of shared models."""
        from pytest_orchestrator._checks.models.document import schema_bytes  # noqa: PLC0415 - on demand

        schema, verdict = schema_bytes(page, contract.path)
        return schema if verdict.passed else None
