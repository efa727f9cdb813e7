"""From a question to an answer with citations: retrieve, then compose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from models import Citation, QueryResponse
from ranking import Passage

Retrieve = Callable[[str], Sequence[Passage]]
Compose = Callable[[str, Sequence[Passage]], tuple[str, Sequence[Passage]]]
"""From a question and at least one passage to an answer and the passages it rests on."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """Answers questions; how is given by its two parts."""

    retrieve: Retrieve
    compose: Compose

    def answer(self, question: str, interaction_id: UUID) -> QueryResponse:
        """Answer from the documents, or say that they do not say."""
        passages = self.retrieve(question)
        if not passages:
            return QueryResponse(
                status="unknown", answer=None, citations=[], interaction_id=interaction_id
            )
        answer, used = self.compose(question, passages)
        return QueryResponse(
            status="answered",
            answer=answer,
            citations=[cite(passage) for passage in used],
            interaction_id=interaction_id,
        )


def cite(passage: Passage) -> Citation:
    """Name the place of a passage."""
    return Citation(
        source_document=passage.chunk.source_document,
        page=passage.chunk.page,
        chunk_id=passage.chunk.chunk_id,
        relevance_score=round(passage.relevance, 3),
    )


def best_passage(_question: str, passages: Sequence[Passage]) -> tuple[str, Sequence[Passage]]:
    """Answer with the best passage as it stands."""
    return passages[0].chunk.text, passages[:1]
