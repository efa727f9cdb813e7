"""Carry out a runbook of AI coding agents with pytest: phases as fixtures, gates as tests.

Importing this starts nothing and imports no vendor.
"""

from __future__ import annotations

from pytest_orchestrator._domain.phase import PhaseResult
from pytest_orchestrator.fixtures import phase_fixture

__all__ = ["PhaseResult", "phase_fixture"]
