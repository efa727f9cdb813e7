"""What the events of a run add up to; computed, never stored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pytest_orchestrator._domain.change import EFFECTS, Effect
from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptNoticed,
    AttemptStarted,
    ContractPublished,
    ContractRead,
    Entry,
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
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.verdict import Outcome, worst

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_orchestrator._domain.verdict import Finding

PhaseStatus = Literal["pending", "running", "succeeded", "failed", "parked"]


@dataclass(frozen=True, slots=True)
class PhaseState:
    """Where one part stands."""

    status: PhaseStatus = "pending"
    reason: str = ""
    commit: str = ""
    """What was handed over when it was finished or parked; empty before that."""
    built: str = ""
    """What there is of it: the commit of the last attempt that was good enough."""
    built_s: float = 0.0
    """When it was claimed by whoever built that: what its lane had done before is in it."""
    session: str = ""
    """The session that claimed or finished it last."""
    worker: str = ""
    attempts: dict[str, int] = field(default_factory=dict)
    """Attempts so far, by task."""
    died: int = 0
    """How often whoever carried it out has died, in the session that claimed it last."""
    overspent: str = ""
    """The key of the budget that ended the last attempt, or all of it; empty if none did."""
    mends: int = 0
    """Attempts at what a changed contract had broken, in the session that claimed it last."""
    parked: dict[str, str] = field(default_factory=dict)
    """What each parked task waits for."""
    claimed_s: float = 0.0
    finished_s: float = 0.0
    token: int = 0


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What is known of a gate for one key."""

    key: str
    tests: tuple[str, ...] = ()
    """Every test the gate has; empty as long as nobody has seen them all."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    """What each test has found; empty for those that found nothing."""
    judged_s: float = 0.0

    def verdict(self) -> Outcome | None:
        """The gate's verdict; ``None`` while a test is missing and none has failed."""
        known = worst(self.outcomes.values())
        if known is not Outcome.PASSED:
            return known
        if not self.tests or any(test not in self.outcomes for test in self.tests):
            return None
        return Outcome.PASSED

    def reason(self) -> str:
        """Why it did not pass: of the tests that decided, the first by name."""
        verdict = self.verdict()
        told = [t for t, outcome in sorted(self.outcomes.items()) if outcome is verdict]
        if verdict is Outcome.PASSED or not told:
            return ""
        return self.reasons.get(told[0], "") or f"{told[0]} is {verdict}"


@dataclass(frozen=True, slots=True)
class GateState:
    """Everything known of one gate."""

    records: dict[str, GateRecord] = field(default_factory=dict)
    """By key."""
    current: str = ""
    """The key it was opened with last."""
    opened_s: float = 0.0
    """When it was opened last."""
    built: dict[str, str] = field(default_factory=dict)
    """The commits it was opened for last, by part."""
    blocked: tuple[str, str] | None = None
    """Session and reason, if the last thing known is that it could not judge."""
    blocked_as: Outcome = Outcome.BLOCKED
    """What it is if it could not judge."""
    basis: dict[str, object] = field(default_factory=dict)
    """What it was opened for last, spelled out; empty if nobody has."""

    @property
    def record(self) -> GateRecord | None:
        """What is known for the key it was opened with last."""
        return self.records.get(self.current)


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything known of a run."""

    identity: str = ""
    agents: str = ""
    phases: dict[str, PhaseState] = field(default_factory=dict)
    gates: dict[str, GateState] = field(default_factory=dict)
    claims: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Latest fencing token and worker of each claimed node."""
    contracts: dict[str, ContractPublished] = field(default_factory=dict)
    """The latest revision of each contract, drafts included."""
    revisions: dict[str, tuple[ContractPublished, ...]] = field(default_factory=dict)
    """Every revision of each contract, oldest first."""
    in_hand: dict[str, dict[str, Revision]] = field(default_factory=dict)
    """By task and contract: the latest revision its agent has had in its last attempt."""
    reconciles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By task: the contracts whose changes its agent was told of in its last attempt."""
    built_on: dict[str, dict[str, tuple[Revision, str]]] = field(default_factory=dict)
    """By agent and contract: the revision its work rests on, and the task that built on it."""
    tasks_done: frozenset[str] = frozenset()
    """Tasks whose last attempt succeeded; their part may still be under way."""
    session: str = ""
    """The session that took up the run last."""
    session_started_s: float = 0.0
    cancelled: dict[str, str] = field(default_factory=dict)
    """Why a session is stopping, by session."""
    cost_usd: float = 0.0
    sealed: dict[str, str] = field(default_factory=dict)
    """Digests of what judges in the session that took up the run last, by path."""
    changed: dict[str, float] = field(default_factory=dict)
    """What of that was found changed since, and when, by path."""
    attempts: tuple[AttemptNoticed, ...] = ()
    """What was left to reach the judge, each once, as it was noticed last."""
    last_id: int = 0

    def phase(self, part: object) -> PhaseState:
        """Where a part stands; ``pending`` if nothing is known of it."""
        return self.phases.get(str(part), PhaseState())

    def gate(self, name: str) -> GateState:
        """What is known of a gate; nothing, if nobody has asked it."""
        return self.gates.get(name, GateState())


def fold(entries: Iterable[Entry], state: RunState | None = None) -> RunState:
    """Add events to a state; the same, however the events are cut into pieces."""
    state = state or RunState()
    for entry in entries:
        state = replace(_apply(state, entry), last_id=entry.id)
    return state


def _apply(state: RunState, entry: Entry) -> RunState:  # noqa: C901, PLR0912 - one match over all events
    event = entry.event
    match event:
        case RunCreated():
            return replace(state, identity=event.identity, agents=event.agents)
        case SessionStarted():
            return replace(
                state, session=event.session, session_started_s=entry.at_s, sealed={}, changed={}
            )
        case SourcesSealed():
            return replace(state, sealed=event.files)
        case SourcesChanged():
            return replace(state, changed=dict.fromkeys(event.files, entry.at_s) | state.changed)
        case AttemptNoticed():
            others = (
                e for e in state.attempts if e != event.model_copy(update={"session": e.session})
            )
            return replace(state, attempts=(*others, event))
        case SessionCancelled():
            return replace(state, cancelled={**state.cancelled, event.session: event.reason})
        case NodeClaimed():
            return _claimed(state, entry, event)
        case AttemptStarted():
            phase = state.phase(event.part)
            attempts = {**phase.attempts, event.task: event.attempt}
            in_hand = {**state.in_hand, event.task: {c.name: c for c in event.contracts}}
            tasks_done = state.tasks_done - {event.task}
            reconciles = {**state.reconciles, event.task: event.reconciles}
            state = replace(state, tasks_done=tasks_done, in_hand=in_hand, reconciles=reconciles)
            mends = phase.mends + bool(event.reconciles)
            phase = replace(phase, attempts=attempts, mends=mends, overspent="")
            return _with_phase(state, event.part, phase)
        case AttemptFinished():
            done = {event.task} if event.status == "succeeded" else set()
            spent = state.cost_usd + event.cost_usd
            tasks_done = state.tasks_done - {event.task} | done
            state = replace(state, cost_usd=spent, tasks_done=tasks_done)
            phase = state.phase(event.part)
            built = event.commit or phase.built
            built_s = phase.claimed_s if event.commit else phase.built_s
            phase = replace(
                phase, reason=event.reason, built=built, built_s=built_s, overspent=event.overspent
            )
            if done:
                state = _rests_on(state, event)
            return _with_phase(state, event.part, phase)
        case TaskParked():
            phase = state.phase(event.part)
            parked = {**phase.parked, event.task: event.reason}
            return _with_phase(state, event.part, replace(phase, parked=parked))
        case PhaseFinished():
            return _finished(state, entry, event)
        case ContractPublished():
            revisions = (*state.revisions.get(event.name, ()), event)
            return replace(
                state,
                contracts={**state.contracts, event.name: event},
                revisions={**state.revisions, event.name: revisions},
            )
        case ContractRead():
            return _read(state, event)
        case GateOpened():
            return _opened(state, entry, event)
        case GateTestFinished():
            return _judged(state, entry, event)
        case GateBlocked():
            blocked = (event.session, event.reason)
            gate = replace(state.gate(event.gate), blocked=blocked, blocked_as=event.outcome)
            return replace(state, gates={**state.gates, event.gate: gate})


def _with_phase(state: RunState, part: str, phase: PhaseState) -> RunState:
    return replace(state, phases={**state.phases, part: phase})


def effect_of_later(revisions: Iterable[ContractPublished], held: Revision) -> Effect | None:
    """What later revisions do to whoever holds one; ``None``: there is none; in doubt, it breaks.

    Args:
        revisions: Of one contract, oldest first.
        held: Any of them.
    """
    every = tuple(revisions)
    later = [event for event in every if event.revision > held.revision]
    files = next((event.files for event in every if event.revision == held.revision), {})
    if not later or (later[-1].sha256, later[-1].files) == (held.sha256, files):
        return None
    if held.revision == 0:
        return later[-1].effect_on_draft or "breaking"
    effects = {event.effect or "breaking" for event in later}
    return next((effect for effect in EFFECTS if effect in effects), "breaking")


def _rests_on(state: RunState, event: AttemptFinished) -> RunState:
    """A task is done: its agent's work rests on what it had in hand.

    Unless it rests on something earlier that the same revision breaks, and of which
    the agent was told nothing: one task does not mend what another was built on.
    """
    agent = Part.parse(event.part).agent
    known = dict(state.built_on.get(agent, {}))
    reconciled = state.reconciles.get(event.task, ())
    for name, held in state.in_hand.get(event.task, {}).items():
        before = known.get(name)
        revisions = [e for e in state.revisions.get(name, ()) if e.revision <= held.revision]
        is_broken = before is not None and effect_of_later(revisions, before[0]) == "breaking"
        if name in reconciled or not is_broken:
            known[name] = (held, event.task)
    return replace(state, built_on={**state.built_on, agent: known})


def _read(state: RunState, event: ContractRead) -> RunState:
    """Whoever has seen a later revision has it in hand; looking back takes nothing away."""
    held = state.in_hand.get(event.task, {})
    known = held.get(event.contract.name)
    if known is not None and known.revision >= event.contract.revision:
        return state
    held = {**held, event.contract.name: event.contract}
    return replace(state, in_hand={**state.in_hand, event.task: held})


def _claimed(state: RunState, entry: Entry, event: NodeClaimed) -> RunState:
    claims = {**state.claims, event.node: (entry.id, event.worker)}
    before = state.phase(event.node)
    died_on_it = before.status == "running"
    died = before.died + 1 if died_on_it and before.session == event.session else 0
    reason = before.reason if before.status in {"running", "failed"} else ""
    if died_on_it and not reason:
        reason = f"the process that carried it out for {before.worker} ended before it was done"
    phase = PhaseState(
        status="running",
        session=event.session,
        worker=event.worker,
        reason=reason,
        commit=before.commit,
        built=before.built,
        built_s=before.built_s,
        overspent=before.overspent if died_on_it else "",
        attempts=before.attempts,
        died=died,
        mends=before.mends if before.session == event.session else 0,
        claimed_s=entry.at_s,
        token=entry.id,
    )
    return replace(_with_phase(state, event.node, phase), claims=claims)


def _finished(state: RunState, entry: Entry, event: PhaseFinished) -> RunState:
    before = state.phase(event.part)
    phase = replace(
        before,
        status=event.status,
        reason=event.reason,
        commit=event.commit or before.commit,
        built=event.commit or before.built,
        built_s=before.claimed_s if event.commit else before.built_s,
        overspent=event.overspent,
        session=event.session,
        finished_s=entry.at_s,
    )
    return _with_phase(state, event.part, phase)


def _opened(state: RunState, entry: Entry, event: GateOpened) -> RunState:
    gate = state.gate(event.gate)
    record = gate.records.get(event.key, GateRecord(event.key))
    record = replace(record, tests=event.tests or record.tests)
    gate = replace(
        gate,
        records={**gate.records, event.key: record},
        current=event.key,
        opened_s=entry.at_s,
        built=event.built,
        basis=event.basis,
        blocked=None,
    )
    return replace(state, gates={**state.gates, event.gate: gate})


def _judged(state: RunState, entry: Entry, event: GateTestFinished) -> RunState:
    gate = state.gate(event.gate)
    record = gate.records.get(event.key, GateRecord(event.key))
    record = replace(
        record,
        outcomes={**record.outcomes, event.test: event.outcome},
        reasons={**record.reasons, event.test: event.reason},
        findings={**record.findings, event.test: event.findings},
        judged_s=entry.at_s,
    )
    gate = replace(
        gate, records={**gate.records, event.key: record}, current=event.key, blocked=None
    )
    return replace(state, gates={**state.gates, event.gate: gate})
