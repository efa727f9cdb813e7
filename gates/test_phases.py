"""Every agent's part of every phase is done: once per run, by whoever gets to it first.

Each test asks for one phase fixture. What an agent built is judged by the gates;
here it only has to have come to an end.
"""

from __future__ import annotations

from pytest_orchestrator import PhaseResult

# Phase 0: agree on the shared models and draft core's API.


def test_orchestrator_phase0(orchestrator_phase0: PhaseResult) -> None:
    """Orchestrator has done its tasks of phase 0."""
    assert orchestrator_phase0.status == "succeeded"


# Phase 1: three scaffolds, side by side.


def test_core_phase1(core_phase1: PhaseResult) -> None:
    """Core has done its tasks of phase 1."""
    assert core_phase1.status == "succeeded"


def test_api_phase1(api_phase1: PhaseResult) -> None:
    """Api has done its tasks of phase 1."""
    assert api_phase1.status == "succeeded"


def test_frontend_phase1(frontend_phase1: PhaseResult) -> None:
    """Frontend has done its tasks of phase 1."""
    assert frontend_phase1.status == "succeeded"


# Phase 2: the domain, core's document published on the way.


def test_core_phase2(core_phase2: PhaseResult) -> None:
    """Core has done its tasks of phase 2."""
    assert core_phase2.status == "succeeded"


def test_api_phase2(api_phase2: PhaseResult) -> None:
    """Api has done its tasks of phase 2."""
    assert api_phase2.status == "succeeded"


def test_frontend_phase2(frontend_phase2: PhaseResult) -> None:
    """Frontend has done its tasks of phase 2."""
    assert frontend_phase2.status == "succeeded"


# Phase 3: integration against the published contracts.


def test_core_phase3(core_phase3: PhaseResult) -> None:
    """Core has done its tasks of phase 3."""
    assert core_phase3.status == "succeeded"


def test_api_phase3(api_phase3: PhaseResult) -> None:
    """Api has done its tasks of phase 3."""
    assert api_phase3.status == "succeeded"


def test_frontend_phase3(frontend_phase3: PhaseResult) -> None:
    """Frontend has done its tasks of phase 3."""
    assert frontend_phase3.status == "succeeded"


# Phase 4: tracing in all three services, and the stack to see it in.


def test_core_phase4(core_phase4: PhaseResult) -> None:
    """Core has done its tasks of phase 4."""
    assert core_phase4.status == "succeeded"


def test_api_phase4(api_phase4: PhaseResult) -> None:
    """Api has done its tasks of phase 4."""
    assert api_phase4.status == "succeeded"


def test_frontend_phase4(frontend_phase4: PhaseResult) -> None:
    """Frontend has done its tasks of phase 4."""
    assert frontend_phase4.status == "succeeded"


def test_orchestrator_phase4(orchestrator_phase4: PhaseResult) -> None:
    """Orchestrator has done its tasks of phase 4."""
    assert orchestrator_phase4.status == "succeeded"


# Phase 5: tests of the services, and the documentation.


def test_core_phase5(core_phase5: PhaseResult) -> None:
    """Core has done its tasks of phase 5."""
    assert core_phase5.status == "succeeded"


def test_api_phase5(api_phase5: PhaseResult) -> None:
    """Api has done its tasks of phase 5."""
    assert api_phase5.status == "succeeded"


def test_frontend_phase5(frontend_phase5: PhaseResult) -> None:
    """Frontend has done its tasks of phase 5."""
    assert frontend_phase5.status == "succeeded"


def test_orchestrator_phase5(orchestrator_phase5: PhaseResult) -> None:
    """Orchestrator has done its tasks of phase 5."""
    assert orchestrator_phase5.status == "succeeded"
