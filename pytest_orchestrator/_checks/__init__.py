"""Checks: each compares one thing with one rule and returns a verdict.

Importing them is cheap; what is heavy is imported by the first check that needs it.
"""

from __future__ import annotations

from pytest_orchestrator._checks.answers import check_json, check_response, parse_json
from pytest_orchestrator._checks.openapi import check_covers, check_openapi, check_serves
from pytest_orchestrator._checks.pages import check_page, page_fields
from pytest_orchestrator._checks.reading.documents import read_document

__all__ = [
    "check_covers",
    "check_json",
    "check_openapi",
    "check_page",
    "check_response",
    "check_serves",
    "page_fields",
    "parse_json",
    "read_document",
]
