"""What the public API answers, as docs/contracts/shared-models.md has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage an answer rests on; ``page`` is ``None`` if its document has no pages."""

    source_document: str
    page: float | None
    chunk_id: str
    relevance_score: float


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """What became of a question; ``answer`` is a text if, and only if, it was answered."""

    status: Literal["answered", "unknown", "error"]
    answer: str | None
    citations: tuple[Citation, ...]
    interaction_id: str
