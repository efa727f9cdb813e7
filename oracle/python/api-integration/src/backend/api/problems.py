"""How the API refuses a request: 400 with a problem document, RFC 9457."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.responses import JSONResponse
from validators import Rule

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "reason"],
                "properties": {"name": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


class ProblemResponse(JSONResponse):
    """A problem document on its way."""

    media_type = "application/problem+json"


def refuse(broken: Sequence[Rule]) -> ProblemResponse:
    """Name every rule a request breaks."""
    errors = [{"name": rule.field, "reason": rule.reason} for rule in broken]
    return ProblemResponse(
        {"type": "about:blank", "title": "Bad Request", "status": 400, "errors": errors}, 400
    )
