"""A small plan, and what may have happened in a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from pytest_orchestrator._domain.event import (
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
from pytest_orchestrator._domain.state import RunState, fold
from pytest_orchestrator._domain.verdict import Outcome
from tests.strategies import Document, plan_of

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Plan

SESSIONS = ("now", "before")
TESTS = ("test_a", "test_b")


def small_document() -> Document:
    """Two lanes with a service each, an agent without one, a contract with a draft, two gates."""
    return {
        "run": {"name": "small", "hides": ["secret/", "hidden.txt"]},
        "budget": {"max_attempts": 2, "max_wall_s": 60},
        "agents": {
            "writer": {"role": "writer", "owns": ["docs/text/", "docs/contracts/api.draft.json"]},
            "left": {"role": "developer", "owns": ["left/"]},
            "right": {"role": "developer", "owns": ["right/"]},
        },
        "contracts": {
            "notes": {"kind": "models", "path": "docs/contracts/notes.md", "publisher": "writer"},
            "api": {
                "kind": "openapi",
                "path": "docs/contracts/api.json",
                "draft": "docs/contracts/api.draft.json",
                "publisher": "left",
                "consumers": ["right"],
            },
        },
        "stacks": {"any": {"recognised_by": ["*"], "start": ["run"], "tools": ["git"]}},
        "services": {
            lane: {"agent": lane, "path": lane, "stack": "any", "port": port}
            for lane, port in (("left", 8000), ("right", 8001))
        },
        "tasks": {
            "write-notes": _task("writer", 0, publishes=["notes"]),
            "left-one": _task("left", 1, needs=["notes"]),
            "right-one": _task("right", 1, needs=["notes"]),
            "left-two": _task("left", 2, needs=["G1"]),
            "left-spec": _task("left", 2, needs=["left-two"], publishes=["api"]),
            "right-two": _task("right", 2, needs=["G1", "api"]),
        },
        "gates": {
            "G1": _gate(1, ["left-one", "right-one"]),
            "G2": _gate(2, ["api", "right-two", "G1"]),
        },
    }


def small_plan() -> Plan:
    """The plan of that document."""
    return plan_of(small_document())


def _task(agent: str, phase: int, **more: list[str]) -> Document:
    return {"agent": agent, "phase": phase, "brief": "brief.md", **more}


def _gate(phase: int, needs: list[str]) -> Document:
    return {"title": "a gate", "phase": phase, "tests": f"gates/test_{phase}.py", "needs": needs}


def happened(*events: Event) -> list[Entry]:
    """The entries of these events, a second apart."""
    return [Entry(number, float(number), event) for number, event in enumerate(events, start=1)]


def state_after(*events: Event) -> RunState:
    """What these events add up to."""
    return fold(happened(*events))


def claimed(node: str, session: str = "now") -> NodeClaimed:
    """Somebody began to carry out a part, or to judge a gate."""
    return NodeClaimed(node=node, session=session, worker="gw0")


def finished(part: str, status: str = "succeeded", session: str = "now") -> PhaseFinished:
    """A part is over."""
    fields = {"part": part, "status": status, "session": session, "commit": f"{part} {session}"}
    return PhaseFinished.model_validate(fields | ({"commit": ""} if status == "failed" else {}))


def done(task: str, part: str) -> tuple[AttemptStarted, AttemptFinished]:
    """A task was done at the first attempt."""
    started = AttemptStarted(part=part, task=task, attempt=1)
    return started, AttemptFinished(part=part, task=task, attempt=1, status="succeeded")


def judged(gate: str, outcome: Outcome) -> tuple[GateOpened, GateTestFinished]:
    """A gate with one test has a verdict."""
    finished = GateTestFinished(
        gate=gate, key="key", test="test_a", outcome=outcome, reason=f"{gate} says so\nand more"
    )
    return GateOpened(gate=gate, key="key", tests=("test_a",)), finished


def histories(plan: Plan) -> st.SearchStrategy[list[Entry]]:
    """Any events in any order, likely or not; nothing but the names is right about them."""
    return st.lists(_events(plan), max_size=30).flatmap(_with_ids)


@st.composite
def situations(draw: st.DrawFn, plan: Plan) -> RunState:
    """Any state of every part, task, contract and gate, each as likely as the others."""
    events: list[Event] = []
    for task in plan.tasks.values():
        events += draw(st.sampled_from([(), done(task.name, str(task.part))]))
    for part in plan.parts:
        session = draw(st.sampled_from(SESSIONS))
        events += [claimed(str(part), session)] if draw(st.booleans()) else []
        status = draw(st.sampled_from(["", "succeeded", "failed", "parked"]))
        events += [finished(str(part), status, session)] if status else []
    for name, contract in plan.contracts.items():
        event = ContractPublished(name=name, revision=1, sha256="d", part=contract.publisher)
        events += [event] if draw(st.booleans()) else []
    for gate in plan.gates:
        outcome = draw(st.sampled_from([None, *Outcome]))
        events += judged(gate, outcome) if outcome else ()
        blocked = GateBlocked(gate=gate, session=draw(st.sampled_from(SESSIONS)), reason="wait")
        events += draw(st.sampled_from([(), (), (blocked,)]))
    return state_after(*events)


def _with_ids(events: list[Event]) -> st.SearchStrategy[list[Entry]]:
    """Ids grow, but may leave some out: a write that was refused used one up."""
    gaps = st.lists(st.integers(1, 3), min_size=len(events), max_size=len(events))
    return gaps.map(
        lambda drawn: [
            Entry(sum(drawn[: i + 1]), float(i), event) for i, event in enumerate(events)
        ]
    )


def _events(plan: Plan) -> st.SearchStrategy[Event]:
    parts = st.sampled_from([str(part) for part in plan.parts])
    tasks = st.sampled_from(list(plan.tasks))
    gates = st.sampled_from(list(plan.gates) or ["none"])
    contracts = st.sampled_from(list(plan.contracts) or ["none"])
    sessions = st.sampled_from(SESSIONS)
    reasons = st.sampled_from(["", "why", "two\nlines"])
    commits = st.sampled_from(["", "c1", "c2"])
    keys = st.sampled_from(["old", "new"])
    numbers = st.integers(1, 3)
    digests = st.sampled_from(["one", "two"])
    effects = st.sampled_from(["", "breaking", "compatible", "annotation"])
    revisions = st.builds(Revision, name=contracts, revision=st.integers(0, 2), sha256=digests)
    outcomes = st.sampled_from(Outcome)
    ended = st.sampled_from(["succeeded", "failed"])
    return st.one_of(
        st.builds(RunCreated, identity=st.just("identity"), agents=st.just("oracle")),
        st.builds(SessionStarted, session=sessions, pid=numbers),
        st.builds(SessionCancelled, session=sessions, reason=reasons),
        st.builds(
            SourcesSealed, session=sessions, files=st.dictionaries(contracts, digests, max_size=1)
        ),
        st.builds(
            SourcesChanged, session=sessions, files=st.lists(contracts, max_size=1).map(tuple)
        ),
        st.builds(AttemptNoticed, session=sessions, by=tasks, where=contracts, what=reasons),
        st.builds(
            NodeClaimed, node=st.one_of(parts, gates), session=sessions, worker=st.just("gw0")
        ),
        st.builds(
            PhaseFinished, part=parts, session=sessions, reason=reasons, commit=commits,
            status=st.sampled_from(["succeeded", "failed", "parked"]),
        ),
        st.builds(
            AttemptStarted, part=parts, task=tasks, attempt=numbers,
            contracts=st.lists(revisions, max_size=2).map(tuple),
            reconciles=st.lists(contracts, max_size=1).map(tuple),
        ),
        st.builds(ContractRead, part=parts, task=tasks, contract=revisions),
        st.builds(
            AttemptFinished, part=parts, task=tasks, attempt=numbers, status=ended,
            reason=reasons, commit=commits, cost_usd=st.sampled_from([0.0, 0.5]),
        ),
        st.builds(TaskParked, part=parts, task=tasks, reason=reasons),
        st.builds(
            ContractPublished, name=contracts, revision=st.integers(0, 2), sha256=digests,
            part=parts, effect=effects, effect_on_draft=effects,
        ),
        st.builds(
            GateOpened, gate=gates, key=keys,
            tests=st.lists(st.sampled_from(TESTS), unique=True).map(tuple),
        ),
        st.builds(
            GateTestFinished, gate=gates, key=keys, test=st.sampled_from(TESTS), outcome=outcomes,
            reason=reasons,
        ),
        st.builds(GateBlocked, gate=gates, session=sessions, reason=reasons),
    )  # fmt: skip
