"""What core is asked and what it answers, as docs/contracts/shared-models.md has it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, StringConstraints

Question = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class InternalQuery(BaseModel):
    """A question, and the interaction it belongs to."""

    question: Question
    interaction_id: UUID


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
