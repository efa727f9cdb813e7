"""Whether answers to questions that were asked at once went to whoever asked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.round_trip.journey import shown_on
from pytest_orchestrator._checks.round_trip.meaning import same_id
from pytest_orchestrator._checks.round_trip.support import says_of
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_orchestrator._checks.round_trip.journey import Journey
    from pytest_orchestrator._checks.round_trip.questions import Known


def check_not_mixed_up(journeys: Sequence[Journey]) -> Verdict:
    """Whether each of several questions asked at once got its own answer and interaction.

    Args:
        journeys: Of questions that were asked at once; core's answers differ in their texts.

    Returns:
        A finding for each answer that was another question's, with the lane that mixed them
        up; and for each interaction that two questions had.
    """
    return Verdict("at-once", (*_ids(journeys), *_mixed(journeys)))


def check_core_at_once(
    asked: Sequence[tuple[Known, str]], answers: Sequence[Any], name: str
) -> Verdict:
    """Whether core gave each of several questions asked at once its own answer.

    Args:
        asked: The questions, and the interactions they were asked with.
        answers: QueryResponses, in the same order.
        name: What findings call core.
    """
    return Verdict("at-once", tuple(_mixed_by_core(asked, answers, name)))


def _ids(journeys: Sequence[Journey]) -> Iterator[Finding]:
    given = Counter(
        str(hop.asked.get("interaction_id")).lower()
        for journey in journeys
        for hop in journey.asked_core[-1:]
        if isinstance(hop.asked, dict)
    )
    for interaction, count in given.items():
        if count > 1:
            what = f"gives {count} questions the interaction {interaction}"
            yield Finding("api POST /api/query", what, "interaction-id")


def _mixed(journeys: Sequence[Journey]) -> Iterator[Finding]:
    by_core = {j.question: _text(j.asked_core[-1].answer) for j in journeys if j.asked_core}
    by_api = {j.question: _text(_by_api(j)) for j in journeys}
    yield from _swapped(by_core, by_api, "api POST /api/query")
    pages = {j.question: _on_page(j) for j in journeys if j.at == "frontend"}
    yield from _swapped(by_api, pages, "frontend page")


def _swapped(given: dict[str, str], handed_on: dict[str, str], where: str) -> Iterator[Finding]:
    owners = {answer: question for question, answer in given.items() if answer}
    for question, answer in handed_on.items():
        owner = owners.get(answer)
        if owner is not None and owner != question and answer != given.get(question):
            what = (
                f"answers {shortened(repr(question), 100)} with what belongs to "
                f"{shortened(repr(owner), 100)}, asked at the same time"
            )
            yield Finding(where, what, "mixed-up")


def _mixed_by_core(
    asked: Sequence[tuple[Known, str]], answers: Sequence[Any], name: str
) -> Iterator[Finding]:
    for (known, interaction), answer in zip(asked, answers, strict=True):
        if not same_id(answer["interaction_id"], interaction):
            what = f"was asked interaction {interaction}, and answers {answer['interaction_id']}"
            yield Finding(name, what, "interaction-id")
        if says_of(known, answer["answer"] or ""):
            continue
        others = [k for k, _ in asked if k is not known and says_of(k, answer["answer"] or "")]
        belongs = f", which belongs to {shortened(repr(others[0].question), 80)}" if others else ""
        what = (
            f"answers {shortened(repr(known.question), 100)}, asked at once with others, "
            f"with {shortened(repr(answer['answer']), 100)}{belongs}"
        )
        yield Finding(name, what, "mixed-up" if others else "not-answered")


def _by_api(journey: Journey) -> Any:
    if journey.at == "api":
        return journey.heard.json
    return journey.asked_api[-1].answer if journey.asked_api else None


def _text(answer: Any) -> str:
    text = answer.get("answer") if isinstance(answer, dict) else None
    return "".join(text.split()) if isinstance(text, str) else ""


def _on_page(journey: Journey) -> str:
    return "".join("".join(shown_on(journey.heard.text).answers[:1]).split())
