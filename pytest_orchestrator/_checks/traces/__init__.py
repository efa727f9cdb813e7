"""Fetch a trace from Tempo's HTTP API, or whatever speaks like it, and judge it."""

from __future__ import annotations

from pytest_orchestrator._checks.traces.client import TraceClient
from pytest_orchestrator._checks.traces.inquiry import Traces, check_chain, new_trace_ids

__all__ = ["TraceClient", "Traces", "check_chain", "new_trace_ids"]
