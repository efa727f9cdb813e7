"""What people read about a run."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_orchestrator._domain.event import (
    WORKSPACE,
    AttemptFinished,
    AttemptNoticed,
    AttemptStarted,
    ContractPublished,
    ContractRead,
    Entry,
    Event,
    GateBlocked,
    GateOpened,
    GateTestFinished,
    NodeClaimed,
    PhaseFinished,
    Revision,
    RunCreated,
    SessionCancelled,
    SessionStarted,
    SourcesChanged,
    SourcesSealed,
    TaskParked,
)
from pytest_orchestrator._domain.state import RunState
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._report import (
    ADVICE_WIDTH,
    attempt_lines,
    event_line,
    left_undone,
    not_passed,
    summary_lines,
)
from tests.histories import claimed, finished, judged, small_plan, state_after

PLAN = small_plan()
LEFT = "left_phase1"
SESSION = SessionStarted(session="now", pid=1)
LINES: list[tuple[Event, str]] = [
    (RunCreated(identity="identity", agents="oracle"), ""),
    (SessionStarted(session="now", pid=1), ""),
    (SessionCancelled(session="now", reason="interrupted"), "stopping: interrupted"),
    (SourcesSealed(session="now", files={"gates/test_s1.py": "d"}), ""),
    (SourcesChanged(session="now", files=("gates/test_s1.py", "conftest.py")),
     "changed during the session: gates/test_s1.py, conftest.py"),
    (AttemptNoticed(session="now", by="left-one attempt 1", where="x.pth", what="Python runs it"),
     "attempt: x.pth: Python runs it"),
    (NodeClaimed(node=LEFT, session="now", worker="gw1"), "left_phase1: started for gw1"),
    (AttemptStarted(part=LEFT, task="left-one", attempt=1), ""),
    (AttemptFinished(part=LEFT, task="left-one", attempt=1, status="succeeded", seconds=1.26),
     "left_phase1: left-one done in 1.3 s"),
    (AttemptFinished(part=LEFT, task="left-one", attempt=2, status="failed", reason="a\nb"),
     "left_phase1: left-one attempt 2 failed: a"),
    (TaskParked(part=LEFT, task="left-one", reason="gate G1 is FAILED"),
     "left_phase1: left-one parked: gate G1 is FAILED"),
    (ContractPublished(name="api", revision=0, sha256="d", part=LEFT),
     "left_phase1: contract api published, draft"),
    (ContractPublished(name="api", revision=2, sha256="d", part=LEFT),
     "left_phase1: contract api published, revision 2"),
    (ContractPublished(name="api", revision=3, sha256="d", part=LEFT, effect="breaking"),
     "left_phase1: contract api published, revision 3, breaking"),
    (ContractRead(part=LEFT, task="left-one",
                  contract=Revision(name="api", revision=1, sha256="d")), ""),
    (PhaseFinished(part=LEFT, session="now", status="succeeded"), "left_phase1: succeeded"),
    (PhaseFinished(part=LEFT, session="now", status="parked", reason="a"), "left_phase1: parked"),
    (PhaseFinished(part=LEFT, session="now", status="failed", reason="a\nb"),
     "left_phase1: failed: a"),
    (GateOpened(gate="G1", key="key", tests=("a",)), ""),
    (GateTestFinished(gate="G1", key="key", test="a", outcome=Outcome.PASSED), ""),
    (GateBlocked(gate="G1", session="now", reason="S0 is FAILED: a\nb"), "G1: S0 is FAILED: a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "line"), LINES, ids=[f"{i}-{event.kind}" for i, (event, _) in enumerate(LINES)]
)
def test_event_is_told_in_one_line(event: Event, line: str) -> None:
    """What is worth telling while a run goes on, and nothing for what is not."""
    assert line == event_line(Entry(1, 0.0, event))


def test_every_kind_of_event_is_listed_above() -> None:
    """A new kind of event is told, or knowingly not told."""
    assert {type(event) for event, _ in LINES} == set(get_args(get_args(Event)[0]))


def test_summary_names_who_has_not_built_on_what_is_published() -> None:
    """Each contract with its revision, and consumers that are behind, with what that means."""
    held = Revision(name="api", revision=0, sha256="draft")
    state = state_after(
        ContractPublished(name="notes", revision=1, sha256="n", part="writer_phase0"),
        ContractPublished(name="api", revision=0, sha256="draft", part="writer_phase0"),
        AttemptStarted(part="right_phase2", task="right-two", attempt=1, contracts=(held,)),
        AttemptFinished(part="right_phase2", task="right-two", attempt=1, status="succeeded"),
        ContractPublished(
            name="api", revision=1, sha256="real", part="left_phase2", effect="breaking",
            effect_on_draft="breaking",
        ),
    )  # fmt: skip

    lines = summary_lines(PLAN, state, session="now", selected=())

    assert lines[-2:] == [
        "notes         revision 1",
        "api           revision 1    right built on draft, breaking",
    ]


def test_summary_of_a_run() -> None:
    """Phases in the plan's order with attempts and seconds, then gates, then what it cost."""
    state = state_after(
        SessionStarted(session="now", pid=1),
        claimed("writer_phase0"),
        AttemptStarted(part="writer_phase0", task="write-notes", attempt=1),
        AttemptFinished(
            part="writer_phase0", task="write-notes", attempt=1, status="succeeded", cost_usd=1.5
        ),
        finished("writer_phase0"),
        claimed("right_phase1"),
        claimed("left_phase1"),
        AttemptStarted(part="left_phase1", task="left-one", attempt=1),
        AttemptStarted(part="left_phase1", task="left-one", attempt=2),
        PhaseFinished(
            part="left_phase1", session="now", status="failed",
            reason="left/a.py: does not compile\nline 2\nline 3",
        ),
        PhaseFinished(part="left_phase2", session="now", status="parked", reason="G1 is FAILED"),
        *judged("G1", Outcome.FAILED),
        GateBlocked(gate="G2", session="now", reason="G1 is FAILED: G1 says so"),
    )  # fmt: skip

    assert summary_lines(PLAN, state, session="now") == [
        "writer_phase0  succeeded   1 attempt       3.0 s",
        "left_phase1    failed      2 attempts      3.0 s  left/a.py: does not compile line 2",
        "right_phase1   running",
        "left_phase2    parked                     11.0 s  G1 is FAILED",
        "G1             FAILED        G1 says so and more",
        "G2             BLOCKED       G1 is FAILED: G1 says so",
        "cost: 1.50 USD",
    ]


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "G1  NOT JUDGED    no test of it ran: no verdict"),
        ([GateOpened(gate="G1", key="key", tests=("test_a", "test_b")),
          GateTestFinished(gate="G1", key="key", test="test_a", outcome=Outcome.PASSED)],
         "G1  NOT JUDGED    1 test(s) ran, which is not all of them: no verdict"),
        (judged("G1", Outcome.PASSED), "G1  PASSED"),
        (judged("G1", Outcome.UNVERIFIABLE), "G1  UNVERIFIABLE  G1 says so and more"),
        ([*judged("G1", Outcome.PASSED), SESSION, judged("G1", Outcome.PASSED)[0]],
         "G1  PASSED        reused: nothing it judges has changed"),
        ([*judged("G1", Outcome.PASSED), SESSION], "G1  PASSED        in an earlier session"),
    ],
)  # fmt: skip
def test_gate_has_one_line_whatever_is_known(events: list[Event], line: str) -> None:
    """Its verdict and why, or whose it is, and above all that it has none."""
    told = summary_lines(PLAN, state_after(SESSION, *events), session="now", selected={"G1"})

    assert [line] == told


def test_gates_nobody_asked_for_are_left_out_of_a_selection() -> None:
    """Those this session has asked are told about in any case, and without a selection all are."""
    nothing = state_after(SESSION)
    asked = state_after(SESSION, *judged("G2", Outcome.PASSED))
    before = state_after(*judged("G2", Outcome.PASSED), SESSION)

    def told(state: RunState, *selected: str) -> list[str]:
        lines = summary_lines(PLAN, state, session="now", selected=selected)
        return [line.split()[0] for line in lines]

    assert ([], ["G2"], []) == (told(nothing), told(asked), told(before))
    assert ["G1", "G2"] == told(asked, "G1")
    assert len(summary_lines(PLAN, nothing, session="now")) == 2


def test_long_reason_is_cut() -> None:
    """A line of the summary stays a line; the whole reason is in the ledger."""
    reason = "x" * 1000
    state = state_after(SESSION, GateBlocked(gate="G1", session="now", reason=reason))

    (line,) = summary_lines(PLAN, state, session="now", selected={"G1"})

    assert line.endswith("x…")
    assert line.count("x") == ADVICE_WIDTH - 1


def test_attempts_are_told_once_each_and_by_whom() -> None:
    """What was left by whom, and what of the judge has changed in the latest session."""
    noticed = AttemptNoticed(session="now", by="left-one attempt 1", where="x.pth", what="runs")
    changed = SourcesChanged(session="now", files=("gates/test_s1.py",))
    state = state_after(SESSION, noticed, noticed, changed)

    assert attempt_lines(state) == [
        "attempts: 2 thing(s) that may reach the judge",
        "  x.pth: runs (left-one attempt 1)",
        "  gates/test_s1.py: judges, and changed during the session",
    ]
    tree = AttemptNoticed(session="now", by=WORKSPACE, where="x.pth", what="runs")
    later = SessionStarted(session="later", pid=2)
    assert attempt_lines(state_after(SESSION, tree, tree))[1:] == ["  x.pth: runs (workspace)"]
    assert not attempt_lines(state_after(SESSION, changed, tree, later))


def test_parts_that_are_left_undone_are_listed() -> None:
    """What failed or was parked in this session, and what a contract has broken since."""
    held = Revision(name="api", revision=0, sha256="draft")
    right = {"part": "right_phase2", "task": "right-two", "attempt": 1}
    state = state_after(
        claimed("left_phase1", "before"),
        finished("left_phase1", "failed", "before"),
        claimed("left_phase2"),
        finished("left_phase2", "failed"),
        claimed("right_phase1"),
        finished("right_phase1"),
        claimed("right_phase2"),
        AttemptStarted.model_validate(right | {"contracts": (held,)}),
        AttemptFinished.model_validate(right | {"status": "succeeded"}),
        finished("right_phase2"),
        ContractPublished(name="api", revision=0, sha256="draft", part="writer_phase0"),
        ContractPublished(
            name="api", revision=1, sha256="real", part="left_phase2", effect_on_draft="breaking"
        ),
    )

    assert left_undone(PLAN, state, "now") == (
        ("left_phase2", Outcome.FAILED),
        ("right_phase2", Outcome.FAILED),
    )


def test_gates_that_have_not_passed_are_listed() -> None:
    """Everything but PASSED keeps a session from being green, no verdict included."""
    state = state_after(*judged("G1", Outcome.PASSED), *judged("G2", Outcome.INFRA))

    assert ("G0", "G2") == not_passed(state, "now", {"G2", "G1", "G0"})
