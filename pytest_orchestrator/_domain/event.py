"""What happened in a run: the ledger's events, past participles, never changed."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from pytest_orchestrator._domain.change import Effect
from pytest_orchestrator._domain.text import printable, shortened
from pytest_orchestrator._domain.verdict import Finding, Outcome

LONGEST_REASON = 30_000
"""Characters of a reason; whoever writes more than anybody reads is cut short."""


def _writable(text: str) -> str:
    return printable(shortened(text, LONGEST_REASON).encode(errors="backslashreplace").decode())


Reason = Annotated[str, AfterValidator(_writable)]
"""A sentence; may quote what an agent or its service wrote, and name files.

What is no Unicode in it is spelled out, and so is what would move the cursor of the
terminal it is shown on.
"""


def _writable_finding(finding: Finding) -> Finding:
    texts = {name: _writable(text) for name, text in asdict(finding).items()}
    return replace(finding, **texts)


WrittenFinding = Annotated[Finding, AfterValidator(_writable_finding)]
"""A finding whose texts are spelled out like a ``Reason``."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunCreated(_Event):
    """A run began; whoever comes back to it must bring the same identity."""

    kind: Literal["run_created"] = "run_created"
    identity: str
    """Digest of what the agents are told and of who they are."""
    agents: str
    """The back-end, e.g. ``"oracle"``."""


class SessionStarted(_Event):
    """A pytest session took up the run."""

    kind: Literal["session_started"] = "session_started"
    session: str
    pid: int


class SessionCancelled(_Event):
    """The session is stopping early; whatever it waits for is to end."""

    kind: Literal["session_cancelled"] = "session_cancelled"
    session: str
    reason: Reason


class SourcesSealed(_Event):
    """What judges in a session, as it was before any agent of that session began."""

    kind: Literal["sources_sealed"] = "sources_sealed"
    session: str
    files: dict[str, str]
    """Digests of gates, conftest files, settings, runbook, briefs and this package, by path."""


class SourcesChanged(_Event):
    """Something that judges is not what it was when the session began."""

    kind: Literal["sources_changed"] = "sources_changed"
    session: str
    files: tuple[str, ...]


WORKSPACE = "workspace"
"""By whom something was left in a tree that is judged as it is."""


class AttemptNoticed(_Event):
    """Somebody has left something whose only use is to reach the judge; no verdict by itself."""

    kind: Literal["attempt_noticed"] = "attempt_noticed"
    session: str
    by: str
    """Who left it: a task and its attempt, or ``WORKSPACE``."""
    where: str
    what: Reason


class NodeClaimed(_Event):
    """Somebody has the right to carry out a phase, or to judge a gate that was not selected.

    The id of this event is the claim's fencing token.
    """

    kind: Literal["node_claimed"] = "node_claimed"
    node: str
    session: str
    worker: str


class PhaseFinished(_Event):
    """One agent's part of a phase is over."""

    kind: Literal["phase_finished"] = "phase_finished"
    part: str
    session: str
    status: Literal["succeeded", "failed", "parked"]
    reason: Reason = ""
    commit: str = ""
    """What the agent built; empty if it failed."""
    overspent: str = ""
    """The key of the budget that ended it, e.g. ``"max_wall_s"``; empty if none did."""


class Revision(_Event):
    """Which bytes of a contract somebody has in hand."""

    name: str
    revision: int
    """From 1; 0 is the draft."""
    sha256: str


class AttemptStarted(_Event):
    """An agent was given a task."""

    kind: Literal["attempt_started"] = "attempt_started"
    part: str
    task: str
    attempt: int
    contracts: tuple[Revision, ...] = ()
    """What lay in the workspace of the contracts this task consumes."""
    reconciles: tuple[str, ...] = ()
    """Contracts of which it was told what has changed since its agent last built on them."""


class AttemptFinished(_Event):
    """An agent came back, or was ended."""

    kind: Literal["attempt_finished"] = "attempt_finished"
    part: str
    task: str
    attempt: int
    status: Literal["succeeded", "failed"]
    reason: Reason = ""
    commit: str = ""
    """What there is of the part now; empty if it failed."""
    seconds: float = 0.0
    cost_usd: float = 0.0
    overspent: str = ""
    """The key of the budget that ended it, e.g. ``"max_wall_s"``; empty if none did."""


class TaskParked(_Event):
    """A task has to wait for something that is not there; the others go on."""

    kind: Literal["task_parked"] = "task_parked"
    part: str
    task: str
    reason: Reason


class ContractPublished(_Event):
    """A contract was validated and stored; revision 0 is its draft."""

    kind: Literal["contract_published"] = "contract_published"
    name: str
    revision: int
    sha256: str
    part: str
    files: dict[str, str] = Field(default_factory=dict)
    """Digests of the other files it is made of, by path in the tree."""
    effect: Effect | Literal[""] = ""
    """What it does to whoever built on the revision before; empty for the first."""
    effect_on_draft: Effect | Literal[""] = ""
    """What it does to whoever built on the draft; empty if there was none."""


class ContractRead(_Event):
    """An agent asked for a contract in the middle of an attempt."""

    kind: Literal["contract_read"] = "contract_read"
    part: str
    task: str
    contract: Revision


class GateOpened(_Event):
    """A gate is about to judge; a verdict needs an outcome of every one of its tests."""

    kind: Literal["gate_opened"] = "gate_opened"
    gate: str
    key: str
    """Digest of all that is judged and of what judges it."""
    tests: tuple[str, ...]
    built: dict[str, str] = Field(default_factory=dict)
    """What is judged: the commit of each part; empty if it is a tree as it is."""
    basis: dict[str, object] = Field(default_factory=dict)
    """What the key is the digest of, spelled out: tree, contracts, gate sources, tools."""


class GateTestFinished(_Event):
    """One test of a gate has an outcome."""

    kind: Literal["gate_test_finished"] = "gate_test_finished"
    gate: str
    key: str
    test: str
    outcome: Outcome
    reason: Reason = ""
    findings: tuple[WrittenFinding, ...] = ()
    """What it found, in its order; empty unless a check failed it."""


class GateBlocked(_Event):
    """A gate could not judge, because what it needs is not there."""

    kind: Literal["gate_blocked"] = "gate_blocked"
    gate: str
    session: str
    reason: Reason
    outcome: Outcome = Outcome.BLOCKED
    """What that makes of it: it is behind another gate, a budget is spent, something broke."""


Event = Annotated[
    RunCreated
    | SessionStarted
    | SessionCancelled
    | SourcesSealed
    | SourcesChanged
    | AttemptNoticed
    | NodeClaimed
    | PhaseFinished
    | AttemptStarted
    | AttemptFinished
    | TaskParked
    | ContractPublished
    | ContractRead
    | GateOpened
    | GateTestFinished
    | GateBlocked,
    Field(discriminator="kind"),
]

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


class Entry(NamedTuple):
    """An event with its place in the ledger and its time (Unix epoch)."""

    id: int
    at_s: float
    event: Event


def parse_event(text: str | bytes) -> Event:
    """Read an event back from its JSON.

    Raises:
        pydantic.ValidationError: It is not one.
    """
    return _ADAPTER.validate_json(text)
