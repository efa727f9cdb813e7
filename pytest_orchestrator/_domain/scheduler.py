"""What may happen next: pure decisions over the plan and the state of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.staleness import stale_work
from pytest_orchestrator._domain.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_orchestrator._domain.plan import Plan, Task
    from pytest_orchestrator._domain.state import PhaseState, RunState

BRIEF = 240
"""Characters of a reason within another one."""


@dataclass(frozen=True, slots=True)
class Run:
    """Nobody has it, all it needs is decided: claim it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody has claimed it and is alive, as far as the ledger knows."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """It is over; this is how it ended."""

    phase: PhaseState


@dataclass(frozen=True, slots=True)
class Need:
    """These have to be decided first."""

    parts: frozenset[Part]
    gates: frozenset[str]


Decision = Run | Wait | Reuse | Need


def decide(
    plan: Plan, state: RunState, part: Part, *, session: str, open_gates: frozenset[str]
) -> Decision:
    """Say what somebody who needs ``part`` should do next.

    A part that succeeded is not done again, unless a contract it was built on was
    replaced by one that breaks it. One that failed or was parked is done again by
    the next session, not by this one.

    Args:
        plan: The plan of this run.
        state: What the ledger knows.
        part: What is needed.
        session: The session that asks.
        open_gates: The gates that still have to be judged in this session.
    """
    phase = state.phase(part)
    if is_decided(plan, state, part, session=session):
        return Reuse(phase)
    if phase.status == "running" and phase.session == session:
        return Wait()
    parts, gates = plan.needed_by(part)
    open_parts = {p for p in parts if not is_decided(plan, state, p, session=session)}
    if open_parts or gates & open_gates:
        return Need(frozenset(open_parts), gates & open_gates)
    return Run()


def is_decided(plan: Plan, state: RunState, part: Part, *, session: str) -> bool:
    """Whether a part is over, as far as this session goes."""
    phase = state.phase(part)
    if phase.status == "succeeded":
        return not stale_work(plan, state, part)
    return phase.status in {"failed", "parked"} and phase.session == session


def standing(state: RunState, gate: str, *, session: str) -> tuple[Outcome | None, str]:
    """A gate's verdict and the reason for it; ``None`` while it has none."""
    known = state.gate(gate)
    if known.blocked is not None:
        blocked_session, reason = known.blocked
        return (known.blocked_as, reason) if blocked_session == session else (None, "")
    if known.record is None:
        return None, ""
    verdict = known.record.verdict()
    again = [p for p, commit in sorted(known.built.items()) if state.phase(p).commit != commit]
    if verdict is not None and again:
        return Outcome.BLOCKED, f"{again[0]} was done again after it was judged; run it again"
    return verdict, known.record.reason()


def gates_before(plan: Plan, node: Part | str) -> tuple[str, ...]:
    """Every gate that has to have passed before a gate or part makes sense, in the plan's order."""
    found: set[str] = set()
    seen: set[Part | str] = {node}
    todo: list[Part | str] = [node]
    while todo:
        current = todo.pop()
        parts, gates = (
            plan.rests_on(current) if isinstance(current, Part) else plan.needed_by_gate(current)
        )
        found |= gates
        new = (set(parts) | set(gates)) - seen
        seen |= new
        todo += new
    return tuple(g for g in plan.gates if g in found)


def why_blocked(plan: Plan, state: RunState, gate: str, *, session: str) -> str:
    """Why a gate cannot judge: the first gate before it that has not passed; empty if it can."""
    blocked = ""
    for before in gates_before(plan, gate):
        outcome, reason = standing(state, before, session=session)
        if outcome is None:
            return f"{before} has not been judged"
        told = f"{before} is {outcome}" + (f": {brief(reason)}" if reason else "")
        if outcome is Outcome.BLOCKED:
            # Mostly by another gate before this one, which says more.
            blocked = blocked or told
        elif outcome is not Outcome.PASSED:
            return told
    return blocked


def how_to_unblock(
    plan: Plan, gate: str, known: Mapping[str, Outcome | None], *, command: str
) -> str:
    """What to do about a gate that is blocked: how to have all it needs judged, and itself.

    Args:
        plan: The plan of this run.
        gate: The gate.
        known: The verdicts of the gates before it; ``None`` for those without one.
        command: How pytest was called, without the tests that were asked for.
    """
    left = {before: outcome for before, outcome in known.items() if outcome is not Outcome.PASSED}
    phases = sorted({plan.gates[each].phase for each in (*left, gate)})
    run = f'run {command} -m "{" or ".join(f"phase{n}" for n in phases)}"'
    is_judged = any(outcome not in {None, Outcome.BLOCKED} for outcome in left.values())
    return f"see to that, then {run}" if is_judged else run


def why_over_budget(plan: Plan, state: RunState, gate: str) -> str:
    """Which part of what a gate judges has spent its budget unfinished; empty if none has."""
    judged = plan.judged_by(gate)
    told = (over_budget(plan, state, part) for part in plan.parts if part in judged)
    return next(filter(None, told), "")


def over_budget(plan: Plan, state: RunState, part: Part) -> str:
    """How a part was ended by its budget, and which key of the runbook to raise; empty if not."""
    phase = state.phase(part)
    if phase.status != "failed" or not phase.overspent:
        return ""
    table = f"agents.{part.agent}.budget" if plan.agents[part.agent].budget else "budget"
    return (
        f"{part} has spent its budget unfinished: {first_line(phase.reason)}; "
        f"raise {phase.overspent} in [{table}] of the runbook"
    )


def missing_for(
    plan: Plan, state: RunState, task: Task, *, session: str, but: Collection[str] = ()
) -> str:
    """What a task still waits for, as a sentence; empty if it can be done now.

    Args:
        plan: The plan of this run.
        state: What the ledger knows.
        task: What is to be done.
        session: The session that asks.
        but: Needs that are not asked about.
    """
    for name in (need for need in task.needs if need not in but):
        if name in plan.gates:
            outcome, reason = standing(state, name, session=session)
            if outcome is not Outcome.PASSED:
                told = f": {first_line(reason)}" if reason else ""
                return f"gate {name} is {outcome or 'not judged'}{told}"
        elif name in plan.tasks:
            if not _is_there(state, plan.tasks[name], asking=task):
                return f"task {name} is not done"
        elif name not in state.contracts:
            # What a part publishes is published when all of it is done; its own tasks have it.
            publishing = plan.publishing_task(name)
            if publishing.part != task.part or publishing.name not in state.tasks_done:
                return f"contract {name} is not published, and there is no draft of it"
    return ""


def awaited_for(
    plan: Plan, state: RunState, task: Task, *, session: str, waited_s: float
) -> tuple[str, ...]:
    """The contracts a task had better wait for, because they may still come.

    One without a draft may come until the part that publishes it is decided; for
    one with a draft nobody waits longer than its ``draft_after_s``.

    Args:
        plan: The plan of this run.
        state: What the ledger knows.
        task: What is to be done.
        session: The session that asks.
        waited_s: Seconds since its part began.
    """
    return tuple(
        name
        for name in task.needs
        if name not in plan.gates
        and name not in plan.tasks
        and _may_come(plan, state, name, task, session=session, waited_s=waited_s)
    )


def _may_come(
    plan: Plan, state: RunState, name: str, task: Task, *, session: str, waited_s: float
) -> bool:
    head = state.contracts.get(name)
    publishing = plan.publishing_task(name).part
    if (head is not None and head.revision) or publishing == task.part:
        return False
    contract = plan.contracts[name]
    if contract.draft is not None and waited_s >= contract.draft_after_s:
        return False
    return not is_decided(plan, state, publishing, session=session)


def _is_there(state: RunState, task: Task, *, asking: Task) -> bool:
    if task.name not in state.tasks_done:
        return False
    over = state.phase(task.part).status in {"succeeded", "parked"}
    return over or task.part == asking.part


def first_line(text: str) -> str:
    """The first line of a reason, without what a reader of a summary can do without."""
    return text.strip().split("\n", 1)[0].strip()


def brief(text: str) -> str:
    """As much of a reason as another reason has room for."""
    line = first_line(text)
    return line if len(line) <= BRIEF else f"{line[: BRIEF - 1]}…"
