"""The phases of the runbook, one line each: who, and which phase."""

from __future__ import annotations

from pytest_orchestrator import phase_fixture

orchestrator_phase0 = phase_fixture("orchestrator", 0)

core_phase1 = phase_fixture("core", 1)
api_phase1 = phase_fixture("api", 1)
frontend_phase1 = phase_fixture("frontend", 1)

core_phase2 = phase_fixture("core", 2)
api_phase2 = phase_fixture("api", 2)
frontend_phase2 = phase_fixture("frontend", 2)

core_phase3 = phase_fixture("core", 3)
api_phase3 = phase_fixture("api", 3)
frontend_phase3 = phase_fixture("frontend", 3)

core_phase4 = phase_fixture("core", 4)
api_phase4 = phase_fixture("api", 4)
frontend_phase4 = phase_fixture("frontend", 4)
orchestrator_phase4 = phase_fixture("orchestrator", 4)

core_phase5 = phase_fixture("core", 5)
api_phase5 = phase_fixture("api", 5)
frontend_phase5 = phase_fixture("frontend", 5)
orchestrator_phase5 = phase_fixture("orchestrator", 5)
