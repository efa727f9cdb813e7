"""What the events of a run add up to."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptStarted,
    ContractPublished,
    Entry,
    Event,
    GateBlocked,
    GateOpened,
    GateTestFinished,
    RunCreated,
    SessionCancelled,
    SessionStarted,
    TaskParked,
    parse_event,
)
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.scheduler import is_decided
from pytest_orchestrator._domain.state import GateRecord, RunState, fold
from pytest_orchestrator._domain.verdict import Outcome
from tests.histories import claimed, done, finished, happened, histories, small_plan, state_after
from tests.strategies import calm

PLAN = small_plan()
LEFT = "left_phase1"
LEFT_ONE = Part.parse(LEFT)
NOT_PASSED = [outcome for outcome in Outcome if outcome is not Outcome.PASSED]


def gate_record(*events: Event) -> GateRecord:
    """What is known of ``G1`` after these events, for its current key."""
    record = state_after(*events).gate("G1").record
    assert record is not None
    return record


def outcome_of(test: str, outcome: Outcome, key: str = "key", reason: str = "") -> GateTestFinished:
    """A test of ``G1`` is over."""
    return GateTestFinished(gate="G1", key=key, test=test, outcome=outcome, reason=reason)


@calm
@given(entries=histories(PLAN), cuts=st.lists(st.integers(0, 30)))
def test_cutting_the_events_changes_nothing(entries: list[Entry], cuts: list[int]) -> None:
    """Folding piece by piece gives the same state as folding all at once, and never raises."""
    state = RunState()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(entries)], strict=True):
        state = fold(entries[start:end], state)

    assert fold(entries) == state


@calm
@given(entries=histories(PLAN))
def test_state_knows_the_last_event_it_has_seen(entries: list[Entry]) -> None:
    """The number to read on from is that of the last event; 0 before the first one."""
    assert fold(entries).last_id == (entries[-1].id if entries else 0)


@calm
@given(entries=histories(PLAN))
def test_what_was_known_before_is_left_alone(entries: list[Entry]) -> None:
    """Folding more events into a state does not change the state that was there."""
    half = len(entries) // 2
    before = fold(entries[:half])

    fold(entries[half:], before)

    assert fold(entries[:half]) == before


@calm
@given(entries=histories(PLAN))
def test_every_event_comes_back_from_its_json(entries: list[Entry]) -> None:
    """Writing an event and reading it back gives the same event."""
    for entry in entries:
        assert entry.event == parse_event(entry.event.model_dump_json())


def test_histories_have_every_kind_of_event() -> None:
    """The properties above hold for all events there are, so none is missing from them."""
    kinds = set(get_args(get_args(Event)[0]))

    found = {type(entry.event) for entry in _many_histories()}

    assert kinds == found


def _many_histories() -> list[Entry]:
    seen: list[Entry] = []

    @settings(calm, max_examples=500)
    @given(entries=histories(PLAN))
    def collect(entries: list[Entry]) -> None:
        seen.extend(entries)

    collect()
    return seen


def test_name_that_is_no_unicode_can_be_written_down() -> None:
    """A reason that names such a file spells out its bytes instead of breaking the ledger."""
    event = TaskParked(part=LEFT, task="left-one", reason="\udcff.txt is in the way")

    assert "\\udcff.txt is in the way" == event.reason
    assert event == parse_event(event.model_dump_json())


# ---------------------------------------------------------------- gates


def test_verdict_needs_every_test() -> None:
    """With a test missing there is no verdict, however many have passed."""
    record = GateRecord("key", tests=("a", "b"), outcomes={"a": Outcome.PASSED})

    assert record.verdict() is None


def test_all_tests_passed_is_a_pass() -> None:
    """A gate has passed when each of its tests has."""
    record = GateRecord("key", ("a", "b"), {"a": Outcome.PASSED, "b": Outcome.PASSED})

    assert Outcome.PASSED is record.verdict()


def test_one_failed_test_decides_at_once() -> None:
    """A failed test is a failed gate, whatever is missing and whatever else there is."""
    others = {outcome.name: outcome for outcome in Outcome}
    record = GateRecord("key", ("missing", *others), others)

    assert Outcome.FAILED is record.verdict()


@pytest.mark.parametrize("outcome", NOT_PASSED)
def test_anything_but_a_pass_ranks_before_a_pass(outcome: Outcome) -> None:
    """One test that could not judge keeps the gate from passing, though all others passed."""
    record = GateRecord("key", ("a", "b"), {"a": Outcome.PASSED, "b": outcome})

    assert outcome is record.verdict()


@given(
    tests=st.lists(st.sampled_from("abc"), unique=True).map(tuple),
    outcomes=st.dictionaries(st.sampled_from("abcd"), st.sampled_from(Outcome)),
)
def test_gate_passes_only_if_every_known_test_passed(
    tests: tuple[str, ...], outcomes: dict[str, Outcome]
) -> None:
    """PASSED means: the tests are known, all of them have passed, and nothing else was seen."""
    passed = GateRecord("key", tests, outcomes).verdict() is Outcome.PASSED

    assert passed == (
        bool(tests)
        and all(outcomes.get(test) is Outcome.PASSED for test in tests)
        and set(outcomes.values()) == {Outcome.PASSED}
    )


def test_gate_whose_tests_are_unknown_does_not_pass() -> None:
    """As long as nobody has seen all of its tests, some passing ones prove nothing."""
    record = gate_record(
        GateOpened(gate="G1", key="key", tests=()), outcome_of("a", Outcome.PASSED)
    )

    assert record.verdict() is None


def test_latest_outcome_of_a_test_counts() -> None:
    """A test that failed and then passed has passed, and the other way round."""
    opened = GateOpened(gate="G1", key="key", tests=("a",))
    failed, passed = outcome_of("a", Outcome.FAILED), outcome_of("a", Outcome.PASSED)

    assert Outcome.PASSED is gate_record(opened, failed, passed).verdict()
    assert Outcome.FAILED is gate_record(opened, passed, failed).verdict()


def test_outcomes_under_another_key_do_not_count() -> None:
    """What a gate said of another tree says nothing of this one, but is kept."""
    state = state_after(
        GateOpened(gate="G1", key="old", tests=("a",)),
        outcome_of("a", Outcome.PASSED, key="old"),
        GateOpened(gate="G1", key="new", tests=("a",)),
    )

    gate = state.gate("G1")
    assert gate.record is not None
    assert gate.record.verdict() is None
    assert Outcome.PASSED is gate.records["old"].verdict()


def test_opening_a_gate_without_its_tests_keeps_those_that_are_known() -> None:
    """Somebody who has collected only some of the tests does not make the others go away."""
    opened = GateOpened(gate="G1", key="key", tests=("a", "b"))

    record = gate_record(opened, GateOpened(gate="G1", key="key", tests=()))

    assert ("a", "b") == record.tests


def test_reason_is_that_of_the_first_test_that_decided() -> None:
    """Which reason is told depends neither on the order of events nor on tests that passed."""
    events = [
        outcome_of("c", Outcome.FAILED, reason="c is wrong"),
        outcome_of("a", Outcome.BLOCKED, reason="a waits"),
        outcome_of("b", Outcome.FAILED, reason="b is wrong"),
    ]

    assert "b is wrong" == gate_record(*events).reason() == gate_record(*events[::-1]).reason()


def test_gate_that_passed_has_no_reason() -> None:
    """What a test that passed had to say is no reason for anything."""
    opened = GateOpened(gate="G1", key="key", tests=("a",))

    assert gate_record(opened, outcome_of("a", Outcome.PASSED, reason="a remark")).reason() == ""


def test_blocked_gate_is_open_again_when_it_judges() -> None:
    """A gate that could not judge is no longer blocked once it is opened."""
    blocked = GateBlocked(gate="G1", session="now", reason="wait")

    assert ("now", "wait") == state_after(blocked).gate("G1").blocked
    opened = GateOpened(gate="G1", key="key", tests=("a",))
    assert state_after(blocked, opened).gate("G1").blocked is None


# ---------------------------------------------------------------- claims and parts


def test_latest_claim_is_the_one_that_counts() -> None:
    """The token of a node is the number of its last claim."""
    state = state_after(claimed(LEFT), claimed("G1"), claimed(LEFT))

    assert {LEFT: (3, "gw0"), "G1": (2, "gw0")} == state.claims


def test_deaths_are_counted_within_a_session() -> None:
    """A claim over one that never ended is a death; the next session counts anew."""
    assert state_after(claimed(LEFT)).phase(LEFT).died == 0
    assert state_after(claimed(LEFT), claimed(LEFT), claimed(LEFT)).phase(LEFT).died == 2

    later = [claimed(LEFT, "before"), claimed(LEFT, "before"), claimed(LEFT, "now")]
    assert state_after(*later).phase(LEFT).died == 0


def test_part_that_ended_did_not_die() -> None:
    """Doing a part once more after it has failed is no death."""
    state = state_after(claimed(LEFT, "before"), finished(LEFT, "failed", "before"), claimed(LEFT))

    assert ("running", 0) == (state.phase(LEFT).status, state.phase(LEFT).died)


def test_whoever_takes_over_from_the_dead_is_told() -> None:
    """The next attempt learns that a process died, unless something better is known."""
    died = state_after(claimed(LEFT), claimed(LEFT)).phase(LEFT)
    assert "the process that carried it out for gw0 ended before it was done" == died.reason

    told = AttemptFinished(part=LEFT, task="left-one", attempt=1, status="failed", reason="a bug")
    assert "a bug" == state_after(claimed(LEFT), told, claimed(LEFT)).phase(LEFT).reason


@pytest.mark.parametrize("status", ["failed", "parked"])
def test_part_that_did_not_succeed_is_over_only_for_its_session(status: str) -> None:
    """Another session does it again."""
    state = state_after(claimed(LEFT), finished(LEFT, status))

    assert is_decided(PLAN, state, LEFT_ONE, session="now")
    assert not is_decided(PLAN, state, LEFT_ONE, session="later")


def test_part_that_succeeded_is_over_for_everybody() -> None:
    """What is done is not done again, in no session."""
    state = state_after(claimed(LEFT), finished(LEFT))

    assert is_decided(PLAN, state, LEFT_ONE, session="now")
    assert is_decided(PLAN, state, LEFT_ONE, session="later")


@pytest.mark.parametrize("events", [[], [claimed(LEFT)]])
def test_part_that_nobody_has_ended_is_not_over(events: list[Event]) -> None:
    """Neither what is pending nor what is running is decided."""
    assert not is_decided(PLAN, state_after(*events), LEFT_ONE, session="now")


@pytest.mark.parametrize(("status", "is_done"), [("succeeded", True), ("failed", False)])
def test_task_is_done_if_its_last_attempt_succeeded(
    status: Literal["succeeded", "failed"], *, is_done: bool
) -> None:
    """A task that is given back is not done until it succeeds again."""
    again = AttemptStarted(part=LEFT, task="left-one", attempt=2)
    ended = AttemptFinished(part=LEFT, task="left-one", attempt=2, status=status)

    first = done("left-one", LEFT)
    assert {"left-one"} == state_after(*first).tasks_done
    assert not state_after(*first, again).tasks_done
    assert is_done == ("left-one" in state_after(*first, again, ended).tasks_done)


def test_what_was_built_is_remembered_when_its_runner_dies() -> None:
    """The commit of the last good attempt survives a failed attempt and a new claim."""
    good = AttemptFinished(part=LEFT, task="left-one", attempt=1, status="succeeded", commit="good")
    bad = AttemptFinished(part=LEFT, task="left-two", attempt=1, status="failed")

    phase = state_after(claimed(LEFT), good, bad, claimed(LEFT)).phase(LEFT)

    assert ("good", "") == (phase.built, phase.commit)


def test_attempts_are_counted_over_all_claims() -> None:
    """The number of attempts so far does not depend on who made them."""
    started = [AttemptStarted(part=LEFT, task="left-one", attempt=n) for n in (1, 2)]

    state = state_after(claimed(LEFT), started[0], claimed(LEFT), started[1])

    assert {"left-one": 2} == state.phase(LEFT).attempts


def test_parked_tasks_are_forgotten_by_the_next_claim() -> None:
    """What a task waited for is looked at anew."""
    parked = TaskParked(part=LEFT, task="left-two", reason="G1")

    assert {"left-two": "G1"} == state_after(claimed(LEFT), parked).phase(LEFT).parked
    assert not state_after(claimed(LEFT), parked, claimed(LEFT)).phase(LEFT).parked


# ---------------------------------------------------------------- the run


def test_run_remembers_who_it_is_and_what_it_cost() -> None:
    """Identity, back-end, session, contracts, cancellation and cost are in the state."""
    contract = ContractPublished(name="api", revision=1, sha256="digest", part=LEFT)
    attempt = AttemptFinished(
        part=LEFT, task="left-one", attempt=1, status="succeeded", cost_usd=0.25
    )
    state = fold(
        happened(
            RunCreated(identity="identity", agents="oracle"),
            SessionStarted(session="now", pid=1),
            SessionCancelled(session="now", reason="Ctrl-C"),
            contract, attempt, attempt,
        )
    )  # fmt: skip

    assert ("identity", "oracle") == (state.identity, state.agents)
    assert ("now", 2.0) == (state.session, state.session_started_s)
    assert {"now": "Ctrl-C"} == state.cancelled
    assert {"api": contract} == state.contracts
    assert state.cost_usd == 0.5


def test_nothing_is_known_of_what_never_happened() -> None:
    """A part nobody has begun is pending, a gate nobody has asked has no record."""
    state = RunState()

    assert state.phase(LEFT).status == "pending"
    assert state.gate("G1").record is None
