"""What a QueryResponse means beyond its schema, as shared-models.md says it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pytest_orchestrator._checks.answers import check_json
from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_query_response(response: Any, schema: object, name: str) -> Verdict:
    """Whether a value is a QueryResponse, and says what its status means.

    Args:
        response: From JSON.
        schema: The schema of the shared models; has the definition ``QueryResponse``.
        name: Where it comes from, e.g. ``"core POST /internal/query"``.

    Returns:
        What the schema does not allow; if it allows all, a finding for each contradiction:
        an answer without a citation, an unknown question with an answer, citations out of order.
    """
    if response is None:
        return Verdict("query-response", (Finding(name, "the body is not JSON", "json"),))
    verdict = check_json(response, schema, name, definition="QueryResponse")
    if not verdict.passed:
        return verdict
    return Verdict("query-response", tuple(_contradictions(response, name)))


def _contradictions(response: Any, name: str) -> Iterator[Finding]:
    status, answer, citations = response["status"], response["answer"], response["citations"]
    if status == "answered":
        if not (answer or "").strip():
            yield Finding(name, "is answered, and has no answer", "meaning")
        if not citations:
            yield Finding(name, "is answered, and cites nothing it rests on", "meaning")
        scores = [citation["relevance_score"] for citation in citations]
        if any(first < second for first, second in pairwise(scores)):
            what = f"does not cite the most relevant first: {scores}"
            yield Finding(name, what, "order")
        return
    if answer is not None:
        what = f"is {status}, and yet has the answer {shortened(answer)!r}"
        yield Finding(name, what, "meaning")
    if citations:
        yield Finding(name, f"is {status}, and yet has {len(citations)} citation(s)", "meaning")


def same_id(one: object, other: object) -> bool:
    """Whether two texts are one uuid, however they are written."""
    try:
        return UUID(str(one)) == UUID(str(other))
    except ValueError:
        return False
