"""What people read: lines folded from the events of a run, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.event import (
    WORKSPACE,
    AttemptFinished,
    AttemptNoticed,
    ContractPublished,
    Entry,
    GateBlocked,
    NodeClaimed,
    PhaseFinished,
    SessionCancelled,
    SourcesChanged,
    TaskParked,
)
from pytest_orchestrator._domain.scheduler import first_line, over_budget, standing
from pytest_orchestrator._domain.staleness import stale, stale_work
from pytest_orchestrator._domain.state import RunState
from pytest_orchestrator._domain.verdict import ExitStatus, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytest_orchestrator._domain.plan import Part, Plan
    from pytest_orchestrator._domain.state import PhaseState

REASON_WIDTH = 160
"""Characters of a reason in one line of the summary; the whole is in the ledger."""
ADVICE_WIDTH = 600
"""Characters of a reason that says what to do: to be copied, so it is cut only in despair."""
SHOWN = 3
"""Findings of a gate in the summary."""


def event_line(entry: Entry) -> str:  # noqa: C901 - one match over all events
    """One line for an event worth telling while the run goes on; empty for the others."""
    event = entry.event
    match event:
        case NodeClaimed():
            return f"{event.node}: started for {event.worker}"
        case AttemptFinished(status="succeeded"):
            return f"{event.part}: {event.task} done in {event.seconds:.1f} s"
        case AttemptFinished():
            told = _short(first_line(event.reason))
            return f"{event.part}: {event.task} attempt {event.attempt} failed: {told}"
        case TaskParked():
            return f"{event.part}: {event.task} parked: {event.reason}"
        case ContractPublished():
            effect = f", {event.effect}" if event.effect else ""
            what = f"contract {event.name} published, {_called(event.revision)}{effect}"
            return f"{event.part}: {what}"
        case PhaseFinished(status="failed"):
            return f"{event.part}: failed: {_short(first_line(event.reason))}"
        case PhaseFinished():
            return f"{event.part}: {event.status}"
        case GateBlocked():
            return f"{event.gate}: {first_line(event.reason)}"
        case SessionCancelled():
            return f"stopping: {event.reason}"
        case SourcesChanged():
            return f"changed during the session: {', '.join(event.files)}"
        case AttemptNoticed():
            return f"attempt: {event.where}: {event.what}"
        case _:
            return ""


def summary_lines(
    plan: Plan,
    state: RunState,
    *,
    session: str,
    selected: Collection[str] | None = None,
    unjudged: Collection[str] = (),
) -> list[str]:
    """The state of a run: its phases, then its gates, then its contracts.

    Args:
        plan: The plan of the run.
        state: What its ledger says.
        session: The session that asks.
        selected: The gates to tell about even if this session has not asked them; ``None``
            for all.
        unjudged: Of these, those whose verdict of before does not hold any more.
    """
    parts = [str(p) for p in plan.parts if str(p) in state.phases]
    contracts = [name for name in plan.contracts if name in state.contracts]
    width = max(map(len, (*parts, *plan.gates, *contracts)), default=0)
    lines = [_phase_line(part, _as_it_stands(state, part), width) for part in parts]
    for gate in plan.gates:
        if gate in unjudged and not is_asked(state, gate):
            lines.append(_gate_line(RunState(), gate, session, width))
        elif is_asked(state, gate) or selected is None or gate in selected:
            lines.append(_gate_line(state, gate, session, width))
            lines += [f"{'':<{width}}  {line}" for line in _more(state, gate, session)]
    lines += [_contract_line(plan, state, name, width) for name in contracts]
    if state.cost_usd:
        lines.append(f"cost: {state.cost_usd:.2f} USD")
    return lines


def attempt_lines(state: RunState) -> list[str]:
    """What somebody did to reach the judge: a line for each, under a head; empty if nothing.

    Of a run's agents all, of trees as they are what was in the one that was judged last.
    """
    noticed = [
        f"{each.where}: {each.what} ({each.by})"
        for each in state.attempts
        if each.by != WORKSPACE or each.session == state.session
    ]
    noticed += [f"{file}: judges, and changed during the session" for file in sorted(state.changed)]
    head = f"attempts: {len(noticed)} thing(s) that may reach the judge"
    return [head, *(f"  {line}" for line in noticed)] if noticed else []


def verdict_lines(state: RunState, gate: str) -> list[str]:
    """All that is known of a gate: its verdict, what each test says, and what was judged."""
    outcome, reason = standing(state, gate, session=state.session)
    record, basis = state.gate(gate).record, state.gate(gate).basis
    lines = [f"{gate} {outcome or 'NOT JUDGED'}" + (f": {first_line(reason)}" if reason else "")]
    if record is None:
        return lines
    for test in sorted({*record.tests, *record.outcomes}):
        lines.append(f"  {test} {record.outcomes.get(test, 'NOT JUDGED')}")
        told = [str(each) for each in record.findings.get(test, ())]
        told = told or record.reasons.get(test, "").splitlines()
        lines += [f"    {each}" for each in told]
    return [
        *lines,
        "judged:",
        *(f"  {line}" for line in _basis_lines({"key": record.key, **basis})),
    ]


def _basis_lines(basis: Mapping[str, object]) -> Iterator[str]:
    """What was judged, one thing on a line: ``tools.pytest: 9.0.1``."""
    for name, value in basis.items():
        if isinstance(value, dict):
            yield from (f"{name}.{line}" for line in _basis_lines(value))
        else:
            yield f"{name}: {value}"


def is_asked(state: RunState, gate: str) -> bool:
    """Whether the session that took up the run last has asked a gate."""
    known = state.gate(gate)
    blocked = known.blocked is not None and known.blocked[0] == state.session
    return blocked or known.opened_s >= state.session_started_s > 0.0


def exit_line(status: int, verdicts: Mapping[str, Outcome | None]) -> str:
    """Which of a session's verdicts its exit status stands for; empty if it is pytest's own."""
    if status not in set(ExitStatus) or status in {ExitStatus.PASSED, ExitStatus.FAILED}:
        return ""
    said = ExitStatus(status).name
    gates = [g for g, outcome in verdicts.items() if (outcome or "NOT_JUDGED") == said]
    return f"exit status {status}: {said.replace('_', ' ')} {', '.join(gates)}".rstrip()


def not_passed(state: RunState, session: str, gates: Collection[str]) -> tuple[str, ...]:
    """Those of the gates that have not passed, sorted."""
    return tuple(
        gate
        for gate in sorted(gates)
        if standing(state, gate, session=session)[0] is not Outcome.PASSED
    )


def left_undone(plan: Plan, state: RunState, session: str) -> tuple[tuple[str, Outcome], ...]:
    """The parts that did not succeed in a session, or whose work a contract has broken since.

    A part may fail after its test has passed: it is taken up again when a contract changes.
    Each with what that makes of the session.
    """
    return tuple(
        (str(part), outcome)
        for part in plan.parts
        if (outcome := _undone(plan, state, part, session)) is not None
    )


def _undone(plan: Plan, state: RunState, part: Part, session: str) -> Outcome | None:
    phase = state.phase(part)
    if stale_work(plan, state, part):
        return Outcome.FAILED
    if phase.session != session or phase.status not in {"failed", "parked"}:
        return None
    if phase.status == "parked":
        return Outcome.BLOCKED
    return Outcome.BUDGET if over_budget(plan, state, part) else Outcome.FAILED


def _as_it_stands(state: RunState, part: str) -> PhaseState:
    """A part that was under way when its session was stopped is not running any more."""
    phase = state.phase(part)
    if phase.status == "running" and phase.session in state.cancelled:
        return replace(phase, status="pending", reason=f"stopped: {state.cancelled[phase.session]}")
    return phase


def _phase_line(part: str, phase: PhaseState, width: int) -> str:
    attempts = max(phase.attempts.values(), default=0)
    took = f"{phase.finished_s - phase.claimed_s:.1f} s" if phase.finished_s else ""
    tried = f"{attempts} attempt{'s' if attempts != 1 else ''}" if attempts else ""
    told = "" if phase.status == "succeeded" else _short(phase.reason)
    columns = (f"{phase.status:<10}", f"{tried:<11}", f"{took:>8}", told)
    return f"{part:<{width}}  {'  '.join(columns)}".rstrip()


def _gate_line(state: RunState, gate: str, session: str, width: int) -> str:
    outcome, reason = standing(state, gate, session=session)
    record = state.gate(gate).record
    found = _found(state, gate) if outcome is Outcome.FAILED else []
    width_of_it = REASON_WIDTH if outcome is Outcome.FAILED else ADVICE_WIDTH
    told = _short(found[0] if found else reason, width_of_it)
    if outcome is None and record is not None:
        told = f"{len(record.outcomes)} test(s) ran, which is not all of them: no verdict"
    elif outcome is None:
        told = "no test of it ran: no verdict"
    elif record is not None and record.judged_s < state.session_started_s and not told:
        asked = state.gate(gate).opened_s >= state.session_started_s
        told = "reused: nothing it judges has changed" if asked else "in an earlier session"
    return f"{gate:<{width}}  {outcome or 'NOT JUDGED':<12}  {told}".rstrip()


def _more(state: RunState, gate: str, session: str) -> list[str]:
    """What else a gate has found, and where all of it is."""
    if standing(state, gate, session=session)[0] is not Outcome.FAILED:
        return []
    found = _found(state, gate)
    lines = [_short(each) for each in found[1:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"… {len(found) - SHOWN} more: python -m pytest_orchestrator verdict {gate}")
    return lines


def _found(state: RunState, gate: str) -> list[str]:
    """All findings of a gate, by test."""
    record = state.gate(gate).record
    by_test = sorted(record.findings.items()) if record else []
    return [str(each) for _, findings in by_test for each in findings]


def _contract_line(plan: Plan, state: RunState, name: str, width: int) -> str:
    """Which revision is published, and who has not built on it."""
    behind = [each for each in stale(plan, state) if each.held.name == name]
    told = "; ".join(
        f"{each.agent} built on {_called(each.held.revision)}, {each.effect}" for each in behind
    )
    return f"{name:<{width}}  {_called(state.contracts[name].revision):<12}  {told}".rstrip()


def _called(revision: int) -> str:
    return f"revision {revision}" if revision else "draft"


def _short(reason: str, width: int = REASON_WIDTH) -> str:
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    told = " ".join(lines[:2])
    return told if len(told) <= width else f"{told[: width - 1]}…"
