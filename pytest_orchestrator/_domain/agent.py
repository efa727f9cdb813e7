"""The port between the orchestrator and whoever does the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Agent, Budget, Task


@dataclass(frozen=True, slots=True)
class Usage:
    """What has been spent."""

    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class ContractRef:
    """One revision of a contract, as an agent is shown it.

    Attributes:
        name: The contract's name in the runbook.
        path: Where it stands in the workspace, relative to it.
        revision: From 1; 0 is the draft.
        sha256: Of the exact bytes.
    """

    name: str
    path: str
    revision: int
    sha256: str


class ToolDescription(NamedTuple):
    """A tool, as a model is shown it.

    Attributes:
        name: ``"publish_contract"``.
        what: What it does, in full sentences.
        arguments: A JSON Schema for each, by name.
        required: The names of those that must be given.
    """

    name: str
    what: str
    arguments: dict[str, dict[str, str]]
    required: tuple[str, ...] = ()


class ToolAnswer(NamedTuple):
    """What a tool answers.

    Attributes:
        text: What the agent is shown; bytes that are no UTF-8 are lone surrogates in it.
        status: 0 fine, 1 findings, 2 could not be judged.
        is_document: Whether ``text`` is a contract to the byte, and no sentence.
    """

    text: str
    status: int = 0
    is_document: bool = False


class Tools(Protocol):
    """What an agent may ask of the orchestrator while it works."""

    @property
    def descriptions(self) -> tuple[ToolDescription, ...]:
        """What there is to call."""
        ...

    def call(self, tool: str, arguments: Mapping[str, object]) -> ToolAnswer:
        """Do what is asked; never raises for what an agent can get wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one agent is told in one attempt.

    Attributes:
        task: The task, as the runbook has it.
        agent: Who is asked.
        brief: The text of the task's brief.
        workspace: The folder the agent may write in.
        stack: The stack its service is meant to have; empty for an agent without one.
        tools: The programs that stack needs.
        attempt: From 1.
        budget: The bounds of this attempt.
        contracts: What has been published so far, by name.
        error_context: Why the attempt before this one was not good enough, or what has changed
            in a contract since; empty on the first.
        contract_tools: For back-ends that offer tools to a model: publishing and reading
            contracts; ``None`` outside of a run.
        environment: For back-ends that start processes: to be added to their environment.
            It lets ``python -m pytest_orchestrator publish`` do what the tools do.
    """

    task: Task
    agent: Agent
    brief: str
    workspace: Path
    stack: str
    attempt: int
    budget: Budget
    tools: tuple[str, ...] = ()
    contracts: Mapping[str, ContractRef] = field(default_factory=dict)
    error_context: str = ""
    contract_tools: Tools | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentResult:
    """How an attempt ended.

    Attributes:
        status: Whether the agent says it is done. The gate has the last word.
        reason: One sentence; empty only if it succeeded.
        usage: What it cost.
        overspent: The key of the budget that ended it, e.g. ``"max_turns"``; empty if none did.
    """

    status: Literal["succeeded", "failed"]
    reason: str = ""
    usage: Usage = Usage()
    overspent: str = ""


@runtime_checkable
class AgentBackend(Protocol):
    """Something that can carry out an assignment.

    A back-end works in ``assignment.workspace`` and nowhere else, returns when
    it is done, and leaves no process behind. It reports what went wrong as a
    failed result; an exception means that the back-end itself is broken.
    """

    name: str

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Do the task; blocking."""
        ...

    def fingerprint(self) -> str:
        """Digest of all that decides what it builds; a new one begins another run."""
        ...
