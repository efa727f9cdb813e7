"""How two revisions of an OpenAPI document differ, and for whom that matters."""

from pytest_orchestrator._checks.changes.document import changes
from pytest_orchestrator._domain.change import Change, is_breaking, told

__all__ = ["Change", "changes", "is_breaking", "told"]
