"""The agent that does nothing, and says that it is done: gates must say no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.agent import AgentResult

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_orchestrator._domain.agent import Assignment


class Nop:
    """Leaves everything as it is."""

    name = "nop"

    def __init__(self, root: Path) -> None:
        del root  # it does not even look

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Do nothing."""
        del assignment
        return AgentResult("succeeded")

    def fingerprint(self) -> str:
        """Always the same."""
        return "nop"
