"""Whether the api hands on what core said: nothing added, dropped, changed or made up."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.round_trip.meaning import same_id
from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Far below what anybody shows, far above what a 32-bit number loses.
_SAME_SCORE = 2e-7


def differences(said: Any, handed_on: Any, *, where: str, by: str) -> Iterator[Finding]:
    """What of an answer is not what it was before it was handed on.

    Args:
        said: The QueryResponse a service gave.
        handed_on: The QueryResponse that its asker made of it.
        where: For findings: who has handed it on.
        by: For findings: who has given it, e.g. ``"core"``.

    Returns:
        At most one finding each for status, answer and interaction, and those of citations.
        Fields that the shared models do not know are not looked at.
    """
    for name in ("status", "answer"):
        if said[name] != handed_on[name]:
            what = f"{by} said {name} {_told(said[name])}, handed on is {_told(handed_on[name])}"
            yield Finding(where, what, name)
    if not same_id(said["interaction_id"], handed_on["interaction_id"]):
        what = (
            f"{by} answered interaction {said['interaction_id']}, handed on is "
            f"{handed_on['interaction_id']}"
        )
        yield Finding(where, what, "interaction-id")
    yield from _citations(said["citations"], handed_on["citations"], where, by)


def _citations(said: Sequence[Any], given: Sequence[Any], where: str, by: str) -> Iterator[Finding]:
    if len(said) == len(given) and all(map(_same, said, given)):
        return
    missing = [c for c in said if not any(_same(c, other) for other in given)]
    invented = [c for c in given if not any(_same(c, other) for other in said)]
    for citation in missing:
        yield Finding(where, f"{by}'s citation {_told(citation)} is not handed on", "citations")
    for citation in invented:
        yield Finding(where, f"{by} did not cite {_told(citation)}", "citations")
    if not missing and not invented:
        ids = [[c["chunk_id"] for c in citations] for citations in (said, given)]
        what = f"{by} cited {ids[0]}, in this order; handed on is {ids[1]}"
        yield Finding(where, what, "citations")


def _same(one: Any, other: Any) -> bool:
    pages = one["page"], other["page"]
    return bool(
        one["source_document"] == other["source_document"]
        and one["chunk_id"] == other["chunk_id"]
        and (pages[0] == pages[1])
        and isclose(one["relevance_score"], other["relevance_score"], abs_tol=_SAME_SCORE)
    )


def _told(value: object) -> str:
    return shortened(repr(value))
