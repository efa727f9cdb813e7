"""The answer to a question, as docs/contracts/shared-models.md has it."""

from __future__ import annotations

from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel


class Citation(BaseModel):
    """A passage an answer rests on."""

    source_document: str
    page: float | None
    chunk_id: str
    relevance_score: float


class QueryResponse(BaseModel):
    """What became of a question."""

    status: Literal["answered", "unknown", "error"]
    answer: str | None
    citations: list[Citation]
    interaction_id: UUID

    @classmethod
    def failed(cls, interaction_id: UUID) -> Self:
        """The response for a question that could not be put to core."""
        return cls(status="error", answer=None, citations=[], interaction_id=interaction_id)
