"""What may be published as a contract, and what a new revision does to consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.change import Change
from pytest_orchestrator._run.registry import Document, Judged

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Contract


class ContractReferee:
    """Judges contracts with the checks of this package."""

    def check(self, contract: Contract, document: Document, *, draft: bool) -> Judged:
        """Whether a document is valid and, unless it is a draft, covers what the runbook names."""
        from pytest_orchestrator._checks.documents import read_document  # noqa: PLC0415 - on demand
        from pytest_orchestrator._checks.models import check_models  # noqa: PLC0415 - on demand
        from pytest_orchestrator._checks.openapi import (  # noqa: PLC0415 - on demand
            check_covers,
            check_openapi,
        )

        data = (document.root / document.path).read_bytes()
        made_of = frozenset({document.path})
        if contract.kind == "models":
            return Judged(check_models(data, document.path), made_of)
        read, verdict = read_document(data, document.path)
        if verdict.passed:
            verdict += check_openapi(read, document.path)
        if verdict.passed and not draft:
            verdict += check_covers(read, contract.operations, document.path)
        return Judged(verdict, made_of)

    def changes(self, contract: Contract, old: Document, new: Document) -> tuple[Change, ...]:
        """How two revisions differ; what cannot be compared is taken to break everybody."""
        from pytest_orchestrator._checks.changes import changes  # noqa: PLC0415 - on demand
        from pytest_orchestrator._checks.documents import read_document  # noqa: PLC0415 - on demand
        from pytest_orchestrator._checks.model_changes import (  # noqa: PLC0415 - on demand
            model_changes,
        )
        from pytest_orchestrator._checks.models import read_models  # noqa: PLC0415 - on demand

        data = [((d.root / d.path).read_bytes(), d.path) for d in (old, new)]
        if contract.kind == "models":
            before, after = (read_models(*each)[0] for each in data)
            return model_changes(before or {}, after or {})
        return changes(*(read_document(*each)[0] for each in data))

    def schema(self, contract: Contract, page: bytes) -> bytes | None:
        """The JSON Schema that is generated from a page of shared models."""
        from pytest_orchestrator._checks.models import schema_bytes  # noqa: PLC0415 - on demand

        schema, verdict = schema_bytes(page, contract.path)
        return schema if verdict.passed else None
