"""A made-up answer, to see the page before there is an API."""

from __future__ import annotations

import pages
from models import Citation, QueryResponse

RESPONSE = QueryResponse(
    status="answered",
    answer="This answer is made up.",
    citations=(Citation("example.md", 1, "example.md#1", 1.0),),
    interaction_id="00000000-0000-4000-8000-000000000000",
)


async def respond(question: str) -> pages.Page:
    """Answer every question alike."""
    return pages.answered(question, RESPONSE)
