"""Which verdict speaks for several, what a session ends with, and what is said of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptStarted,
    Event,
    GateBlocked,
    GateOpened,
    GateTestFinished,
    PhaseFinished,
    SessionStarted,
)
from pytest_orchestrator._domain.scheduler import (
    BRIEF,
    how_to_unblock,
    over_budget,
    why_blocked,
    why_over_budget,
)
from pytest_orchestrator._domain.verdict import (
    PRECEDENCE,
    ExitStatus,
    Finding,
    Outcome,
    exit_status,
    worst,
)
from pytest_orchestrator._report import SHOWN, exit_line, summary_lines, verdict_lines
from tests.histories import claimed, small_document, small_plan, state_after
from tests.strategies import plan_of

PLAN = small_plan()
OUTCOMES = st.sampled_from(Outcome)
ALL = st.lists(st.one_of(st.none(), OUTCOMES))
SESSION = SessionStarted(session="now", pid=1)
TOO_LONG = "attempt 2 of left-one took longer than max_wall_s = 60 s and was ended after 60.2 s"


def test_every_outcome_has_its_place() -> None:
    """None is forgotten, or counts twice."""
    assert sorted(PRECEDENCE) == sorted(Outcome)


@given(ALL)
def test_exit_status_is_0_only_if_all_passed(outcomes: list[Outcome | None]) -> None:
    """Whatever else is among them, once or often, in any order."""
    assert (exit_status(outcomes) == 0) == (set(outcomes) <= {Outcome.PASSED})


@given(ALL)
def test_exit_status_names_something_that_is_there(outcomes: list[Outcome | None]) -> None:
    """It is never made up; ``NOT_JUDGED`` stands for what was not."""
    names = {outcome.name if outcome else "NOT_JUDGED" for outcome in outcomes}

    assert exit_status(outcomes).name in names | {"PASSED"}


@given(ALL, ALL)
def test_exit_status_hides_no_cause(some: list[Outcome | None], more: list[Outcome | None]) -> None:
    """A failure always shows; what is blocked or left undone hides nothing that explains it."""
    both = exit_status([*some, *more])

    if Outcome.FAILED in (*some, *more):
        assert both is ExitStatus.FAILED
    if exit_status(some) not in {ExitStatus.PASSED, ExitStatus.BLOCKED, ExitStatus.NOT_JUDGED}:
        assert both not in {ExitStatus.BLOCKED, ExitStatus.NOT_JUDGED}
    assert both is exit_status([*more, *some])


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], 0),
        ([Outcome.PASSED, Outcome.BLOCKED], 10),
        ([Outcome.BLOCKED, None], 14),
        ([Outcome.INFRA, None, Outcome.BLOCKED], 12),
        # Whoever tries again on 12 alone does not try in vain.
        ([Outcome.INFRA, Outcome.UNVERIFIABLE], 11),
        ([Outcome.INFRA, Outcome.BUDGET], 13),
        ([Outcome.UNVERIFIABLE, Outcome.BUDGET], 11),
        ([Outcome.UNVERIFIABLE, Outcome.FAILED], 1),
    ],
)
def test_exit_status_of_a_session(outcomes: list[Outcome | None], status: int) -> None:
    """Its numbers are promised, and so is which of them wins."""
    assert exit_status(outcomes) == status


@given(st.lists(OUTCOMES, min_size=1))
def test_gate_says_what_its_worst_test_says(outcomes: list[Outcome]) -> None:
    """The same order holds within a gate as among gates."""
    tests = tuple(f"test_{n}" for n in range(len(outcomes)))
    events = [
        GateTestFinished(gate="G1", key="k", test=test, outcome=outcome)
        for test, outcome in zip(tests, outcomes, strict=True)
    ]

    record = state_after(GateOpened(gate="G1", key="k", tests=tests), *events).gate("G1").record

    assert record is not None
    assert record.verdict() is worst(outcomes)


def spent(part: str = "left_phase1", key: str = "max_wall_s") -> list[Event]:
    """A part whose last attempt was ended by its budget."""
    attempt = {"part": part, "task": "left-one", "attempt": 2}
    return [
        claimed(part),
        AttemptStarted.model_validate(attempt),
        AttemptFinished.model_validate(
            attempt | {"status": "failed", "reason": TOO_LONG, "overspent": key}
        ),
        PhaseFinished(
            part=part, session="now", status="failed", reason=TOO_LONG, overspent=key
        ),
    ]  # fmt: skip


def test_gate_over_unfinished_work_says_what_was_spent_and_what_to_raise() -> None:
    """It names the part, what it has taken, and the key with its table."""
    state = state_after(SESSION, *spent())

    told = why_over_budget(PLAN, state, "G1")

    assert told == (
        f"left_phase1 has spent its budget unfinished: {TOO_LONG}; "
        "raise max_wall_s in [budget] of the runbook"
    )
    assert told == over_budget(PLAN, state, PLAN.parts[1])


def test_budget_to_raise_is_the_agents_own_if_it_has_one() -> None:
    """Raising the one for everybody would change nothing."""
    document = small_document()
    document["agents"]["left"]["budget"] = {"max_wall_s": 5}
    plan = plan_of(document)

    told = why_over_budget(plan, state_after(SESSION, *spent()), "G1")

    assert told.endswith("raise max_wall_s in [agents.left.budget] of the runbook")


def test_part_that_just_failed_has_not_spent_its_budget() -> None:
    """Nor has one whose last attempt was a better try than the one that took too long."""
    better = [
        *spent()[:3],
        AttemptStarted(part="left_phase1", task="left-one", attempt=3),
        AttemptFinished(part="left_phase1", task="left-one", attempt=3, status="failed"),
    ]
    failed = PhaseFinished(part="left_phase1", session="now", status="failed", reason="wrong")

    assert not why_over_budget(PLAN, state_after(SESSION, claimed("left_phase1"), failed), "G1")
    assert not state_after(SESSION, *better).phase("left_phase1").overspent
    assert not why_over_budget(PLAN, state_after(SESSION, *better, failed), "G1")


def test_way_out_has_every_phase_that_is_missing() -> None:
    """One run of the command is enough, however many gates are between."""
    command = "pytest --agents=off"

    def told(**known: Outcome | None) -> str:
        return how_to_unblock(PLAN, "G2", known, command=command)

    assert told(G1=None) == 'run pytest --agents=off -m "phase1 or phase2"'
    assert told(G1=Outcome.BLOCKED) == told(G1=None)
    assert told(G1=Outcome.FAILED) == f"see to that, then {told(G1=None)}"
    assert told(G1=Outcome.PASSED) == 'run pytest --agents=off -m "phase2"'


def test_reason_within_a_reason_is_brief() -> None:
    """What has to be done about it is still to come."""
    state = state_after(
        SESSION,
        GateBlocked(gate="G1", session="now", outcome=Outcome.INFRA, reason="x" * 500 + "\ny"),
    )

    told = why_blocked(PLAN, state, "G2", session="now")

    assert told == f"G1 is INFRA: {'x' * (BRIEF - 1)}…"


def test_gate_that_could_not_judge_says_in_which_way() -> None:
    """A spent budget or broken machinery is not called blocked."""
    reason = "left_phase1 has spent its budget"
    blocked = GateBlocked(gate="G1", session="now", outcome=Outcome.BUDGET, reason=reason)

    lines = summary_lines(PLAN, state_after(SESSION, blocked), session="now", selected={"G1"})

    assert lines == [f"G1  BUDGET        {reason}"]


def failed(found: int) -> list[Event]:
    """G1 has judged, and found something."""
    findings = tuple(Finding(f"left /{n}", "is wrong", "status", "mend it") for n in range(found))
    return [
        SESSION,
        GateOpened(gate="G1", key="key", tests=("a", "b"), basis={"tree": "t", "tools": {"x": 1}}),
        GateTestFinished(
            gate="G1", key="key", test="a", outcome=Outcome.FAILED, findings=findings,
            reason="\n".join(map(str, findings)),
        ),
        GateTestFinished(gate="G1", key="key", test="b", outcome=Outcome.PASSED),
    ]  # fmt: skip


def test_summary_has_the_first_findings() -> None:
    """Each on a line, and how to see the others."""
    lines = summary_lines(PLAN, state_after(*failed(5)), session="now", selected={"G1"})

    assert lines == [
        "G1  FAILED        left /0: is wrong [status]; mend it",
        "    left /1: is wrong [status]; mend it",
        "    left /2: is wrong [status]; mend it",
        f"    … {5 - SHOWN} more: python -m pytest_orchestrator verdict G1",
    ]


def test_verdict_is_told_with_all_findings_and_with_what_was_judged() -> None:
    """By test, and what the key stands for one thing on a line."""
    assert verdict_lines(state_after(*failed(2)), "G1") == [
        "G1 FAILED: left /0: is wrong [status]; mend it",
        "  a FAILED",
        "    left /0: is wrong [status]; mend it",
        "    left /1: is wrong [status]; mend it",
        "  b PASSED",
        "judged:",
        "  key: key",
        "  tree: t",
        "  tools.x: 1",
    ]
    assert verdict_lines(state_after(SESSION), "G1") == ["G1 NOT JUDGED"]


def test_exit_status_is_spelled_out_where_it_is_ours() -> None:
    """With the gates it stands for; what pytest itself ends with needs no words."""
    verdicts = {"G1": Outcome.INFRA, "G2": Outcome.BLOCKED, "G3": None}

    assert exit_line(12, verdicts) == "exit status 12: INFRA G1"
    assert exit_line(14, verdicts) == "exit status 14: NOT JUDGED G3"
    assert [exit_line(status, verdicts) for status in range(6)] == [""] * 6
