"""Carry out a runbook of AI coding agents with pytest: phases as fixtures, gates as tests.

Importing this starts nothing and imports no vendor, nor pytest: runner processes
import it too, and do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_orchestrator._domain.phase import PhaseResult
    from pytest_orchestrator.fixtures import phase_fixture

__all__ = ["PhaseResult", "phase_fixture"]


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for."""
    if name == "phase_fixture":
        from pytest_orchestrator.fixtures import phase_fixture  # noqa: PLC0415 - on demand

        return phase_fixture
    if name == "PhaseResult":
        from pytest_orchestrator._domain.phase import PhaseResult  # noqa: PLC0415 - on demand

        return PhaseResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
