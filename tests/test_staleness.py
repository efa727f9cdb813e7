"""Whose work rests on a revision that is not the latest any more."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain.change import Effect
from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptStarted,
    ContractPublished,
    ContractRead,
    Event,
    Revision,
)
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.staleness import stale, stale_work
from tests.histories import claimed, done, small_document, small_plan, state_after
from tests.strategies import calm, plan_of

PLAN = small_plan()
RIGHT = Part("right", 2)
EFFECTS: tuple[Effect, ...] = ("breaking", "compatible", "annotation")


def published(
    revision: int, effect: Effect | Literal[""] = "", on_draft: Effect | Literal[""] = "",
    digest: str = "",
) -> ContractPublished:  # fmt: skip
    """A revision of the contract, with bytes of its own."""
    return ContractPublished(
        name="api", revision=revision, sha256=digest or f"digest {revision}", part="left_phase2",
        effect=effect, effect_on_draft=on_draft,
    )  # fmt: skip


def worked(
    revision: int,
    status: Literal["succeeded", "failed"] = "succeeded",
    *,
    task: str = "right-two",
    told: tuple[str, ...] = (),
) -> tuple[Event, Event, Event]:
    """The consumer had a revision in hand, and came to an end."""
    held = Revision(name="api", revision=revision, sha256=f"digest {revision}")
    part = str(RIGHT)
    started = AttemptStarted(part=part, task=task, attempt=1, contracts=(held,), reconciles=told)
    ended = AttemptFinished(part=part, task=task, attempt=1, status=status)
    return claimed(part), started, ended


def effects_after(*events: Event) -> list[str]:
    """What the latest revision does to each consumer that is behind."""
    return [each.effect for each in stale(PLAN, state_after(*events))]


def test_work_on_the_latest_revision_is_not_stale() -> None:
    """Nor is that of anybody who has built on nothing."""
    assert [] == effects_after(published(1), *worked(1))
    assert [] == effects_after(published(1), published(2, "breaking"))


def test_work_on_the_draft_is_held_against_the_draft() -> None:
    """Whatever the steps in between were."""
    events = (published(0), *worked(0), published(1, "breaking", "breaking"))

    assert ["breaking"] == effects_after(*events)
    assert ["compatible"] == effects_after(*events, published(2, "breaking", "compatible"))


@calm
@given(effects=st.lists(st.sampled_from(EFFECTS), min_size=1, max_size=4))
def test_superseded_work_suffers_the_worst_of_all_that_came_since(effects: list[Effect]) -> None:
    """One revision that breaks it is enough, and what came before it does not count."""
    later = [published(number, effect) for number, effect in enumerate(effects, start=3)]

    found = effects_after(published(1), published(2, "breaking"), *worked(2), *later)

    assert [min(effects, key=EFFECTS.index)] == found


def test_what_is_not_known_is_taken_to_break() -> None:
    """A revision that was judged by nobody, as long as its bytes are others."""
    assert ["breaking"] == effects_after(published(1), *worked(1), published(2))
    assert ["breaking"] == effects_after(published(0), *worked(0), published(1))


def test_same_bytes_are_never_stale() -> None:
    """A draft that became final has changed for nobody."""
    assert [] == effects_after(published(0), *worked(0), published(1, digest="digest 0"))


def test_same_bytes_are_stale_if_what_they_refer_to_has_changed() -> None:
    """The words are the same, but not what they mean."""
    later = published(2, "breaking", digest="digest 1").model_copy(update={"files": {"a": "new"}})

    assert ["breaking"] == effects_after(published(1), *worked(1), later)


def test_attempt_that_failed_leaves_the_work_as_it_was() -> None:
    """What counts is what the work rests on that was good enough."""
    events = (published(1), *worked(1), published(2, "breaking"))

    told = ("api",)
    assert ["breaking"] == effects_after(*events, *worked(2, "failed", told=told))
    assert [] == effects_after(*events, *worked(2, told=told))


def test_another_task_does_not_mend_what_was_built_on_a_broken_revision() -> None:
    """It has the new one in hand, but nobody told it what to change of the old work."""
    events = (published(1), *worked(1), published(2, "breaking"), *worked(2, task="right-one"))

    assert ["breaking"] == effects_after(*events)


def test_another_task_takes_harmless_changes_along() -> None:
    """From then on the work rests on the later revision, and so on what was new in it."""
    events = (published(1), *worked(1), published(2, "compatible"), *worked(2, task="right-one"))

    assert [] == effects_after(*events)
    assert ["breaking"] == effects_after(*events, published(3, "breaking"))


@pytest.mark.parametrize(("seen", "expected"), [(2, []), (1, ["breaking"])])
def test_looking_up_a_revision_counts_if_it_is_a_later_one(seen: int, expected: list[str]) -> None:
    """Who looks back at an old one has the new one all the same, and the other way round."""
    *started, ended = worked(1)
    held = Revision(name="api", revision=seen, sha256=f"digest {seen}")
    read = ContractRead(part=str(RIGHT), task="right-two", contract=held)

    found = effects_after(published(1), published(2, "breaking"), *started, read, ended)

    assert expected == found
    *started, ended = worked(2)
    assert [] == effects_after(published(1), published(2, "breaking"), *started, read, ended)


@pytest.mark.parametrize("effect", EFFECTS)
def test_only_what_breaks_is_work(effect: Effect) -> None:
    """Of the part whose task built on it, and of no other."""
    state = state_after(published(1), *worked(1), published(2, effect))

    assert (effect == "breaking") == bool(stale_work(PLAN, state, RIGHT))
    assert not stale_work(PLAN, state, Part("left", 2))


def test_work_is_mended_where_its_agent_is_by_now() -> None:
    """In a later part that was begun, once something of it is done: that stands on it, too."""
    document = small_document()
    for number, name in enumerate(("right-three", "right-four"), start=3):
        document["tasks"][name] = {"agent": "right", "phase": number, "brief": "brief.md"}
    plan = plan_of(document)
    broken = (published(1), *worked(1), published(2, "breaking"))
    begun = (*broken, claimed("right_phase3"))
    further = (*begun, *done("right-three", "right_phase3"))

    def given_back(*events: Event) -> list[tuple[str, str]]:
        state = state_after(*events)
        return [
            (str(part), each.task) for part in plan.parts for each in stale_work(plan, state, part)
        ]

    assert [("right_phase2", "right-two")] == given_back(*broken)
    assert [] == given_back(*begun)
    assert [("right_phase3", "right-three")] == given_back(*further)
