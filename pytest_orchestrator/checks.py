"""What a gate can check; each check returns a verdict, and the gate raises it."""

from __future__ import annotations

from pytest_orchestrator._checks.answers import check_json, check_response, parse_json
from pytest_orchestrator._checks.documents import read_document
from pytest_orchestrator._checks.openapi import check_covers, check_openapi, check_serves
from pytest_orchestrator._checks.pages import check_page, page_fields
from pytest_orchestrator._checks.traces import check_chain, new_trace_ids
from pytest_orchestrator._domain.trace import traceparent
from pytest_orchestrator._domain.verdict import Finding, Outcome, Verdict

__all__ = [
    "Finding",
    "Outcome",
    "Verdict",
    "check_chain",
    "check_covers",
    "check_json",
    "check_openapi",
    "check_page",
    "check_response",
    "check_serves",
    "new_trace_ids",
    "page_fields",
    "parse_json",
    "read_document",
    "traceparent",
]
