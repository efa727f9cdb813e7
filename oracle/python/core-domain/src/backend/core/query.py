"""The internal API: one question in, what became of it out."""

from __future__ import annotations

import problems
from answering import Assistant
from fastapi import APIRouter, Response
from models import InternalQuery, QueryResponse


def routes(assistant: Assistant) -> APIRouter:
    """The operations of an assistant."""
    router = APIRouter(responses=problems.RESPONSES)

    @router.post("/internal/query", operation_id="query")
    def query(asked: InternalQuery, response: Response) -> QueryResponse:
        """Answer a question from the documents."""
        response.headers["X-Interaction-Id"] = str(asked.interaction_id)
        return assistant.answer(asked.question, asked.interaction_id)

    return router
