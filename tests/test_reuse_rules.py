"""What is answered from the ledger, decided from the plan, the state and the keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from _pytest.mark.expression import Expression
from hypothesis import given, settings

from pytest_orchestrator._domain.event import GateTestFinished
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.reuse import (
    gates_in_question,
    has_passed,
    is_answered,
    is_done,
    may_select,
)
from pytest_orchestrator._domain.scheduler import Reuse, decide
from pytest_orchestrator._domain.state import RunState
from pytest_orchestrator._domain.verdict import Outcome
from tests.histories import claimed, finished, judged, situations, small_plan, state_after
from tests.strategies import calm

PLAN = small_plan()
LEFT_ONE = Part("left", 1)
PASSED = (*judged("G1", Outcome.PASSED), *judged("G2", Outcome.PASSED))
KEY = judged("G1", Outcome.PASSED)[0].key
KEYS = dict.fromkeys(PLAN.gates, KEY)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.PASSED])
def test_only_a_pass_is_reused(outcome: Outcome) -> None:
    """FAILED, and whatever else kept a gate from passing, is judged again."""
    assert has_passed(state_after(*judged("G1", Outcome.PASSED)), "G1", KEY)
    assert not has_passed(state_after(*judged("G1", outcome)), "G1", KEY)


def test_pass_is_reused_only_for_the_very_same() -> None:
    """Another key, or none, is not answered; nor is a gate of which a test is missing."""
    state = state_after(*judged("G1", Outcome.PASSED))
    opened, _ = judged("G1", Outcome.PASSED)
    more = opened.model_copy(update={"tests": (*opened.tests, "test_more")})

    assert not has_passed(state, "G1", "another")
    assert not has_passed(state, "G1", None)
    assert not has_passed(state, "G2", KEY)
    assert not has_passed(state_after(*judged("G1", Outcome.PASSED), more), "G1", KEY)


def test_later_failure_takes_a_pass_back() -> None:
    """What was judged again and failed is not green any more, although nothing has changed."""
    _, passed = judged("G1", Outcome.PASSED)
    failed = GateTestFinished(gate="G1", key=KEY, test=passed.test, outcome=Outcome.FAILED)

    assert not has_passed(state_after(*judged("G1", Outcome.PASSED), failed), "G1", KEY)


def test_gates_before_are_in_question_too() -> None:
    """A gate is answered only if those before it are."""
    assert gates_in_question(PLAN, ["G2"]) == ("G1", "G2")
    assert is_answered(PLAN, state_after(*PASSED), KEYS, gates={"G2"}, parts=())

    without = state_after(*judged("G2", Outcome.PASSED))
    assert not is_answered(PLAN, without, KEYS, gates={"G2"}, parts=())
    unknown = KEYS | {"G1": None}
    assert not is_answered(PLAN, state_after(*PASSED), unknown, gates={"G2"}, parts=())


def test_parts_that_are_asked_for_must_stand() -> None:
    """A phase that is not done, or failed, has to be carried out."""
    done = (claimed("left_phase1"), finished("left_phase1"))
    failed = finished("left_phase1").model_copy(update={"status": "failed"})

    assert is_answered(PLAN, state_after(*done), {}, gates=(), parts={LEFT_ONE})
    assert not is_answered(PLAN, RunState(), {}, gates=(), parts={LEFT_ONE})
    assert not is_answered(PLAN, state_after(*done, failed), {}, gates=(), parts={LEFT_ONE})


@settings(calm, max_examples=40)
@given(state=situations(PLAN))
def test_what_is_done_would_not_be_carried_out(state: RunState) -> None:
    """No session without workers starts an agent: what counts as done is reused by everyone."""
    for part in PLAN.parts:
        if is_done(PLAN, state, part):
            decision = decide(PLAN, state, part, session="now", open_gates=frozenset(PLAN.gates))
            assert isinstance(decision, Reuse)


@pytest.mark.parametrize(
    ("expression", "markers", "expected"),
    [
        ("phase2", ("gate", "phase2"), True),
        ("phase2", ("gate", "phase3"), False),
        ("phase1 or phase2", ("gate", "phase1"), True),
        ("not slow", ("gate", "phase1"), True),
        ("not gate", ("gate", "phase1"), False),
        ("phase2 and mine", ("gate", "phase2"), True),
        ("phase2 and not mine", ("gate", "phase2"), True),
        ("mine", ("gate", "phase2"), True),
        ("mine and phase3", ("gate", "phase2"), False),
        ("a or b or c or d or e or f or g", ("phase2",), True),
    ],
)
def test_markers_nobody_knows_yet_may_be_there(
    expression: str, markers: tuple[str, ...], *, expected: bool
) -> None:
    """Before anything is collected, whatever might be selected is taken to be selected."""
    compiled = Expression.compile(expression)

    def evaluate(has: Callable[[str], bool]) -> bool:
        return compiled.evaluate(lambda name, /, **_: has(name))

    assert may_select(evaluate, expression, markers) is expected
