"""What may happen next, decided from the plan and the state of the run alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptStarted,
    ContractPublished,
    Event,
    GateBlocked,
    GateOpened,
    Revision,
)
from pytest_orchestrator._domain.plan import Part, Plan
from pytest_orchestrator._domain.scheduler import (
    Decision,
    Need,
    Reuse,
    Run,
    Wait,
    decide,
    gates_before,
    is_decided,
    missing_for,
    standing,
    why_blocked,
)
from pytest_orchestrator._domain.state import RunState, fold
from pytest_orchestrator._domain.verdict import Outcome
from tests.histories import (
    SESSIONS,
    claimed,
    done,
    finished,
    happened,
    judged,
    situations,
    small_document,
    small_plan,
    state_after,
)
from tests.strategies import calm, plan_of, runbooks

if TYPE_CHECKING:
    from pytest_orchestrator._domain.event import Entry

PLAN = small_plan()
LEFT_ONE, LEFT_TWO = Part("left", 1), Part("left", 2)
RIGHT_ONE, RIGHT_TWO = Part("right", 1), Part("right", 2)
NOTES = Part("writer", 0)
DRAFT = ContractPublished(name="api", revision=0, sha256="digest", part="writer_phase0")
# Each example asks about every part of a plan, in every session.
some = settings(calm, max_examples=15)


@dataclass(frozen=True)
class Asked:
    """A question, and what the scheduler says to it."""

    plan: Plan
    state: RunState
    part: Part
    session: str
    open_gates: frozenset[str]

    @property
    def decision(self) -> Decision:
        """What to do about the part."""
        return decide(
            self.plan, self.state, self.part, session=self.session, open_gates=self.open_gates
        )

    def is_decided(self, part: Part) -> bool:
        """Whether a part is over, as far as the session goes."""
        return is_decided(self.plan, self.state, part, session=self.session)


@st.composite
def questions(draw: st.DrawFn) -> list[Asked]:
    """Any plan, in any situation, asked about each part by sessions that judge any gates."""
    plan = draw(runbooks())
    state = draw(situations(plan))
    open_gates = frozenset(gate for gate in plan.gates if draw(st.booleans()))
    return [Asked(plan, state, p, s, open_gates) for p in plan.parts for s in SESSIONS]


@some
@given(questions=questions())
def test_nothing_runs_before_what_it_needs_is_decided(questions: list[Asked]) -> None:
    """A part is run only if it is not over, and all parts and gates it needs are."""
    for asked in questions:
        if asked.decision == Run():
            parts, gates = asked.plan.needed_by(asked.part)
            assert not asked.is_decided(asked.part)
            assert all(asked.is_decided(needed) for needed in parts)
            assert not gates & asked.open_gates


@some
@given(questions=questions())
def test_what_is_over_is_reused_and_nothing_else(questions: list[Asked]) -> None:
    """A part that succeeded is never run again; one that did not is over for its session."""
    for asked in questions:
        phase = asked.state.phase(asked.part)
        ended_here = phase.status in {"failed", "parked"} and phase.session == asked.session
        is_over = phase.status == "succeeded" or ended_here
        assert is_over == (Reuse(phase) == asked.decision)


@some
@given(questions=questions())
def test_need_names_what_is_needed_and_open(questions: list[Asked]) -> None:
    """What has to be decided first is part of what the plan says, not empty, and not decided."""
    for asked in questions:
        needed = asked.decision
        if isinstance(needed, Need):
            parts, gates = asked.plan.needed_by(asked.part)
            assert needed.parts <= parts
            assert needed.gates <= gates & asked.open_gates
            assert needed.parts or needed.gates
            assert not any(asked.is_decided(part) for part in needed.parts)


@some
@given(questions=questions())
def test_only_a_claim_of_this_session_is_waited_for(questions: list[Asked]) -> None:
    """What another session has left running is dead, since a run has one session at a time."""
    for asked in questions:
        phase = asked.state.phase(asked.part)
        is_ours = phase.status == "running" and phase.session == asked.session
        assert is_ours == (asked.decision == Wait())


@some
@given(plan=runbooks(), seed=st.integers(0, 99))
def test_asking_again_and_again_carries_out_every_part_once(plan: Plan, seed: int) -> None:
    """From an empty ledger, every part is run exactly once, whatever comes out of the others."""
    random = Random(seed)  # noqa: S311 - no secret
    history: list[Entry] = []
    open_gates = frozenset(plan.gates)
    ran: list[Part] = []
    while len(ran) < len(plan.parts) or open_gates:
        state = fold(history)
        ready = [
            part
            for part in plan.parts
            if decide(plan, state, part, session="now", open_gates=open_gates) == Run()
        ]
        judgeable = {gate for gate in open_gates if _can_be_judged(plan, state, gate, open_gates)}
        assert ready or judgeable, "nothing can happen any more"
        open_gates -= judgeable
        for part in random.sample(ready, min(len(ready), 1)):
            ran.append(part)
            status = random.choice(["succeeded", "failed", "parked"])
            events = [entry.event for entry in history]
            history = happened(*events, claimed(str(part)), finished(str(part), status))

    assert sorted(plan.parts) == sorted(ran)


def _can_be_judged(plan: Plan, state: RunState, gate: str, open_gates: frozenset[str]) -> bool:
    parts, gates = plan.needed_by_gate(gate)
    return not gates & open_gates and all(
        is_decided(plan, state, part, session="now") for part in parts
    )


def test_two_parts_of_a_lane_are_never_under_way_at_once() -> None:
    """Neither does a later one begin while an earlier one is mended, nor the other way round."""
    document = small_document()
    document["tasks"]["right-three"] = {"agent": "right", "phase": 3, "brief": "brief.md"}
    plan = plan_of(document)
    three = Part("right", 3)
    held = Revision(name="api", revision=1, sha256="one")
    right = {"part": "right_phase2", "task": "right-two", "attempt": 1}
    one = ContractPublished(name="api", revision=1, sha256="one", part="left_phase2")
    two = one.model_copy(update={"revision": 2, "sha256": "two", "effect": "breaking"})
    broken = (
        claimed("right_phase1"),
        finished("right_phase1"),
        one,
        claimed("right_phase2"),
        AttemptStarted.model_validate(right | {"contracts": (held,)}),
        AttemptFinished.model_validate(right | {"status": "succeeded"}),
        finished("right_phase2"),
        two,
    )

    def decisions(*events: Event) -> tuple[Decision, Decision]:
        state = state_after(*broken, *events)
        asked = [Asked(plan, state, part, "now", frozenset()) for part in (RIGHT_TWO, three)]
        return asked[0].decision, asked[1].decision

    assert decisions() == (Run(), Need(frozenset({RIGHT_TWO}), frozenset()))
    mended, later = decisions(claimed("right_phase2"))
    assert (mended, later) == (Wait(), Need(frozenset({RIGHT_TWO}), frozenset()))
    before, under_way = decisions(claimed("right_phase3"))
    assert isinstance(before, Reuse)
    assert under_way == Wait()


# ---------------------------------------------------------------- gates


def test_verdict_is_none_any_more_once_a_part_was_done_again() -> None:
    """It was about what is there no longer, and says which part that is."""
    built = {"left_phase1": "left_phase1 now"}
    opened = GateOpened(gate="G1", key="key", tests=("test_a",), built=built)
    _, passed = judged("G1", Outcome.PASSED)
    before = (claimed("left_phase1"), finished("left_phase1"), opened, passed)
    again = finished("left_phase1").model_copy(update={"commit": "other"})

    assert standing(state_after(*before), "G1", session="now")[0] is Outcome.PASSED
    outcome, reason = standing(state_after(*before, again), "G1", session="now")

    assert outcome is Outcome.BLOCKED
    assert reason == "left_phase1 was done again after it was judged; run it again"


@some
@given(plan=runbooks())
def test_gates_before_a_gate_are_all_it_rests_on(plan: Plan) -> None:
    """Every gate that is needed by something that is needed, in the order of the plan."""
    nodes: list[Part | str] = [*plan.gates, *plan.parts]
    for node in nodes:
        before = _reached(plan, node) - {node}
        assert [gate for gate in plan.gates if gate in before] == list(gates_before(plan, node))


def _reached(plan: Plan, node: Part | str) -> set[Part | str]:
    parts, gates = plan.rests_on(node) if isinstance(node, Part) else plan.needed_by_gate(node)
    below: set[Part | str] = {*parts, *gates}
    return below.union(*(_reached(plan, needed) for needed in below))


@some
@given(questions=questions(), session=st.sampled_from(SESSIONS))
def test_gate_can_judge_only_if_all_gates_before_it_have_passed(
    questions: list[Asked], session: str
) -> None:
    """There is a reason why a gate is blocked exactly when one before it has not passed."""
    plan, state = questions[0].plan, questions[0].state

    for gate in plan.gates:
        outcomes = [standing(state, g, session=session)[0] for g in gates_before(plan, gate)]
        passed = all(outcome is Outcome.PASSED for outcome in outcomes)
        assert passed == (why_blocked(plan, state, gate, session=session) == "")


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([], "G1 has not been judged"),
        ([GateOpened(gate="G1", key="key", tests=("test_a",))], "G1 has not been judged"),
        (judged("G1", Outcome.FAILED), "G1 is FAILED: G1 says so"),
        (judged("G1", Outcome.INFRA), "G1 is INFRA: G1 says so"),
        (judged("G1", Outcome.PASSED), ""),
        ([GateBlocked(gate="G1", session="now", reason="no tests\nat all")],
         "G1 is BLOCKED: no tests"),
        ([GateBlocked(gate="G1", session="before", reason="no tests")], "G1 has not been judged"),
    ],
)  # fmt: skip
def test_blocked_gate_says_by_whom_and_why(events: list[Event], why: str) -> None:
    """One line: the gate that stands in the way, and the first line of its reason."""
    assert why == why_blocked(PLAN, state_after(*events), "G2", session="now")


def test_gate_before_a_blocked_one_is_named_as_the_cause() -> None:
    """Of a chain of blocked gates, the one that has itself been judged is what people mend."""
    blocked = GateBlocked(gate="G1", session="now", reason="by something before it")
    plan = small_plan().model_copy(deep=True)
    zero = plan.gates["G1"].model_copy(update={"name": "G0", "needs": ("write-notes",)})
    one = plan.gates["G1"].model_copy(update={"needs": ("G0",)})
    plan = plan.model_copy(update={"gates": {"G1": one, "G0": zero, "G2": plan.gates["G2"]}})

    state = state_after(blocked, *judged("G0", Outcome.FAILED))

    assert "G0 is FAILED: G0 says so" == why_blocked(plan, state, "G2", session="now")


def test_first_gate_is_never_blocked() -> None:
    """A gate with no gate before it can always judge."""
    assert why_blocked(PLAN, RunState(), "G1", session="now") == ""


# ---------------------------------------------------------------- decisions, one by one


def decided(part: Part, *events: Event, open_gates: frozenset[str] = frozenset()) -> Decision:
    """What to do about a part of the small plan after these events."""
    state = state_after(*events)
    return decide(PLAN, state, part, session="now", open_gates=open_gates)


def test_first_part_can_run_at_once() -> None:
    """A part that needs nothing is run."""
    assert Run() == decided(NOTES)


def test_part_waits_for_its_lane_and_for_open_gates() -> None:
    """The lane's part before it is needed, and so is a gate that is judged in this session."""
    needed = decided(LEFT_TWO, open_gates=frozenset({"G1", "G2"}))

    assert Need(frozenset({LEFT_ONE}), frozenset({"G1"})) == needed
    before = finished("left_phase1")
    only_gate = decided(LEFT_TWO, before, open_gates=frozenset({"G1", "G2"}))
    assert Need(frozenset(), frozenset({"G1"})) == only_gate
    assert Run() == decided(LEFT_TWO, before, open_gates=frozenset({"G2"}))


def test_contract_with_a_draft_is_not_waited_for() -> None:
    """The part that publishes it may still be running."""
    ran = decided(RIGHT_TWO, finished("right_phase1"), claimed("left_phase2"))

    assert Run() == ran


def test_part_that_failed_does_not_hold_up_what_comes_after_it() -> None:
    """It is decided for this session; whether its follower can do anything, its tasks say."""
    assert Run() == decided(LEFT_TWO, finished("left_phase1", "failed"))
    again = decided(LEFT_TWO, finished("left_phase1", "failed", "before"))
    assert Need(frozenset({LEFT_ONE}), frozenset()) == again


# ---------------------------------------------------------------- tasks


@pytest.mark.parametrize(
    ("task", "events", "missing"),
    [
        ("write-notes", [], ""),
        ("left-one", [], "contract notes is not published, and there is no draft of it"),
        ("left-one", done("write-notes", "writer_phase0"),
         "contract notes is not published, and there is no draft of it"),
        ("left-one",
         [ContractPublished(name="notes", revision=1, sha256="d", part="writer_phase0")], ""),
        ("left-two", [], "gate G1 is not judged"),
        ("left-two", judged("G1", Outcome.FAILED), "gate G1 is FAILED: G1 says so"),
        ("left-two", judged("G1", Outcome.PASSED), ""),
        ("left-spec", [], "task left-two is not done"),
        ("left-spec", done("left-two", "left_phase2"), ""),
        ("right-two", judged("G1", Outcome.PASSED),
         "contract api is not published, and there is no draft of it"),
        ("right-two", [*judged("G1", Outcome.PASSED), DRAFT], ""),
    ],
)  # fmt: skip
def test_task_says_what_it_waits_for(task: str, events: list[Event], missing: str) -> None:
    """A gate that has not passed, a task that is not done, a contract that is not there."""
    state = state_after(*events)

    assert missing == missing_for(PLAN, state, PLAN.tasks[task], session="now")


@pytest.mark.parametrize(
    ("status", "missing"),
    [("succeeded", ""), ("parked", ""), ("failed", "task left-one is not done")],
)
def test_task_of_another_part_counts_when_that_part_is_handed_over(
    status: str, missing: str
) -> None:
    """A task that was done in a part that failed, or is not over, has not been handed over."""
    plan = small_plan()
    asking = plan.tasks["right-two"].model_copy(update={"needs": ("left-one",)})
    was_done = done("left-one", "left_phase1")

    under_way = state_after(*was_done)
    over = state_after(*was_done, finished("left_phase1", status))

    assert missing_for(plan, under_way, asking, session="now") == "task left-one is not done"
    assert missing == missing_for(plan, over, asking, session="now")


def test_contract_of_the_same_part_is_there_once_its_task_is_done() -> None:
    """A part's contracts are published at its end, which its own tasks do not wait for."""
    plan = small_plan()
    asking = plan.tasks["left-two"].model_copy(update={"needs": ("api",)})
    missing = "contract api is not published, and there is no draft of it"

    before, after = RunState(), state_after(*done("left-spec", "left_phase2"))

    assert missing == missing_for(plan, before, asking, session="now")
    assert missing_for(plan, after, asking, session="now") == ""


def test_task_that_is_given_back_is_missing_again() -> None:
    """Between a gate's objection and the next good attempt, the task is not done."""
    again = AttemptStarted(part="left_phase2", task="left-two", attempt=2)
    state = state_after(*done("left-two", "left_phase2"), again)

    told = missing_for(PLAN, state, PLAN.tasks["left-spec"], session="now")

    assert told == "task left-two is not done"


@some
@given(questions=questions(), session=st.sampled_from(SESSIONS))
def test_task_that_misses_nothing_has_all_it_needs(questions: list[Asked], session: str) -> None:
    """Every gate has passed, every contract is there, every task is done."""
    plan, state = questions[0].plan, questions[0].state

    for task in plan.tasks.values():
        if missing_for(plan, state, task, session=session) == "":
            assert all(_is_met(plan, state, name, session, task.part) for name in task.needs)


def _is_met(plan: Plan, state: RunState, name: str, session: str, asking: Part) -> bool:
    if name in plan.gates:
        return standing(state, name, session=session)[0] is Outcome.PASSED
    if name in plan.tasks:
        return name in state.tasks_done
    own = plan.publishing_task(name)
    return name in state.contracts or (own.part == asking and own.name in state.tasks_done)
