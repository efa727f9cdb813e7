"""The types of the fixtures, for annotations in gates."""

from __future__ import annotations

from pytest_orchestrator._checks.contracts import Agreement, Consumption, Contracts
from pytest_orchestrator._checks.traces.inquiry import Traces
from pytest_orchestrator._domain.hop import HangUp, Hop, Reply, Request
from pytest_orchestrator._domain.life import Life
from pytest_orchestrator._domain.phase import PhaseResult
from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._stack.browser import Browser, Visit
from pytest_orchestrator._stack.lives import Lives
from pytest_orchestrator._stack.process import ProcessRuntime as Services
from pytest_orchestrator._stack.relay import Hops

__all__ = [
    "Agreement",
    "Browser",
    "Consumption",
    "Contracts",
    "HangUp",
    "Hop",
    "Hops",
    "Ledger",
    "Life",
    "Lives",
    "PhaseResult",
    "Plan",
    "Reply",
    "Request",
    "Services",
    "Traces",
    "Visit",
]
