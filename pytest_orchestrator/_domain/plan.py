"""The validated value of a runbook: who does what, and what waits for what."""

from __future__ import annotations

import re
from functools import cached_property
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""Part of a fixture's name: ``core`` in ``core_phase1``."""
RelativePath = Annotated[str, StringConstraints(min_length=1)]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/")]
Operation = Annotated[
    str, StringConstraints(pattern=r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE) /\S*$")
]
BYTECODE = "{bytecode}/"
"""What an artefact begins with that Python has compiled."""
BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
Command = Annotated[tuple[str, ...], Field(min_length=1)]


class Part(NamedTuple):
    """One agent's share of one phase: what a phase fixture stands for."""

    agent: str
    phase: int

    def __str__(self) -> str:
        return f"{self.agent}_phase{self.phase}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read back what ``str`` wrote, e.g. ``"core_phase2"``."""
        agent, _, phase = text.rpartition("_phase")
        return cls(agent, int(phase))


class _Value(BaseModel):
    """A frozen piece of the runbook; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Budget(_Value):
    """The bounds of one task; reaching a bound is allowed, passing it is not."""

    max_attempts: int = Field(default=2, ge=1, le=20)
    max_wall_s: float = Field(default=1800.0, gt=0)
    """Seconds of wall-clock time one attempt may take."""
    max_turns: int | None = Field(default=None, ge=1)
    """``None``: no bound."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """``None``: no bound."""
    max_cost_usd: float | None = Field(default=None, gt=0)
    """``None``: no bound."""


class Run(_Value):
    """What holds for the whole run."""

    name: str = Field(min_length=1)
    agents: str = "off"
    """The back-end used when ``--agents`` does not say otherwise."""
    hides: tuple[RelativePath, ...] = ()
    """Folders and files no agent gets to see, e.g. the gates that judge its work."""


class Agent(_Value):
    """Who works: a role, and the folders and files it alone may write."""

    name: AgentName
    role: str = Field(min_length=1)
    owns: tuple[RelativePath, ...] = Field(min_length=1)
    """Folders end in ``/``; everything else is one file."""
    backend: str | None = None
    """``None``: the run's back-end."""
    budget: Budget | None = None
    """``None``: the runbook's ``[budget]``."""


class Task(_Value):
    """One piece of work of one agent in one phase."""

    name: Name
    agent: Name
    phase: int = Field(ge=0, le=9999)
    brief: RelativePath
    needs: tuple[Name, ...] = ()
    """Names of gates, contracts and tasks, in any order."""
    publishes: tuple[Name, ...] = ()
    """Names of contracts."""
    checks: tuple[Literal["build", "test"], ...] = ()
    """Run on the agent's service after each attempt, by the commands of its stack."""

    @property
    def part(self) -> Part:
        """The agent's share of the phase this task belongs to."""
        return Part(self.agent, self.phase)


class Generated(_Value):
    """Files a consumer has a program make from a contract."""

    command: Command
    """``{contract}`` stands for the contract's file, ``{out}`` for the folder that takes the
    tree's place, ``{python}`` for the interpreter pytest runs in."""
    files: tuple[RelativePath, ...] = Field(min_length=1)
    """What the command makes, relative to the tree and to ``{out}`` alike."""
    timeout_s: float = Field(default=120.0, gt=0)


class Live(_Value):
    """How a running service is asked whether it keeps to what it has published."""

    samples: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Texts worth asking, by the name of the property or the parameter they are for."""
    examples: int = Field(default=40, ge=1, le=10_000)
    """Generated requests per operation, besides those for each bound and each mistake."""
    seed: int = Field(default=0, ge=0)
    """The same seed asks the same; another one asks something else."""
    wall_s: float = Field(default=60.0, gt=0)
    """Seconds of wall-clock time for each operation."""
    schemathesis: bool = False
    """Whether Schemathesis asks, too."""


class Contract(_Value):
    """A published document others build on."""

    name: Name
    kind: Literal["openapi", "models"]
    path: RelativePath
    publisher: Name
    consumers: tuple[Name, ...] = ()
    draft: RelativePath | None = None
    """A document that stands in until the contract is published; ``None``: there is none."""
    draft_after_s: float = Field(default=0.0, ge=0)
    """Seconds a task waits for the contract before it begins on the draft."""
    operations: tuple[Operation, ...] = ()
    """What an OpenAPI contract must at least describe, e.g. ``"GET /health"``."""
    parameters: dict[Operation, tuple[str, ...]] = Field(default_factory=dict)
    """By operation: the names of parameters it must at least describe."""
    requests: dict[Operation, Name] = Field(default_factory=dict)
    """By operation: the shared model that is its request body."""
    responses: dict[Operation, Name] = Field(default_factory=dict)
    """By operation: the shared model that is its answer, whenever it succeeds."""
    live: Live = Live()
    generated: dict[Name, Generated] = Field(default_factory=dict)
    """By consumer: files that must be what a program makes of the contract."""

    @property
    def schema_path(self) -> str | None:
        """The file that is generated next to a page of shared models; ``None`` for others."""
        return schema_path_of(self.path) if self.kind == "models" else None

    @property
    def all_paths(self) -> tuple[str, ...]:
        """Where the contract, its draft and its generated schema stand."""
        return tuple(filter(None, (self.path, self.draft, self.schema_path)))


class Stack(_Value):
    """How a kind of service is recognised, built, started and tested.

    In commands ``{python}`` is the interpreter of the service's own environment
    and ``{port}`` the port it was given.
    """

    name: Name
    recognised_by: tuple[str, ...] = Field(min_length=1)
    """Glob patterns below the service's folder; all of them must match something."""
    tools: tuple[str, ...] = ()
    """Programs that must be on the PATH."""
    requirements: str | None = None
    """File of Python requirements; its packages go into an environment of their own."""
    build: tuple[Command, ...] = ()
    artefacts: tuple[str, ...] = ()
    """Glob patterns of files that the build makes, below the service's folder or, if they begin
    with ``{bytecode}/``, below the folder where Python leaves what it compiles of it."""
    start: Command
    test: Command | None = None
    """``None``: this stack has no tests of its own."""
    outputs: tuple[RelativePath, ...] = ()
    """What building leaves in the service's folder, relative to it: made anew, and not judged."""


class Service(_Value):
    """One program of the application."""

    name: Name
    agent: Name
    path: RelativePath
    stack: Name
    """The stack it is meant to have; what it has is recognised from its files."""
    health: UrlPath = "/health"
    openapi: UrlPath | None = None
    """Where the running service shows its OpenAPI document; ``None``: it has none."""
    page: UrlPath | None = None
    """Its root page, if it renders HTML; ``None``: it does not."""
    title: str | None = None
    """What the root page's title must contain; ``None``: anything."""
    documents: RelativePath | None = None
    """The folder, below its own, of the documents it answers from; ``None``: it has none."""
    port: int = Field(ge=1, le=65535)
    """The port it has in Compose; as a local process it gets a free one."""
    environment: dict[Name, str] = Field(default_factory=dict)
    """``{core}`` stands for the URL of service ``core``, ``{traces}`` for the trace store's."""
    start_s: float = Field(default=30.0, gt=0)
    """Seconds it may take from its start until its health endpoint answers."""
    steady_s: float = Field(default=4.0, ge=0, le=600)
    """Seconds it must then stay healthy, where a gate watches it."""
    stop_s: float = Field(default=5.0, gt=0, le=600)
    """Seconds it may take from SIGTERM until it and all it started are gone, likewise."""
    health_says: dict[str, str] = Field(default_factory=dict)
    """Members of the JSON object its health endpoint answers; it may have more."""
    build_s: float = Field(default=600.0, gt=0)


class Traces(_Value):
    """Which trace store there is, and how long and how exactly traces are looked at."""

    deadline_s: float = Field(default=15.0, gt=0)
    """Seconds after a request in which its trace must have arrived."""
    settle_s: float = Field(default=1.0, ge=0)
    """Seconds for which the number of a trace's spans must stay the same."""
    skew_s: float = Field(default=0.005, ge=0)
    """Seconds a span may begin before its parent."""
    tail_s: float = Field(default=0.1, ge=0)
    """Seconds a span may end after its parent, beside ``skew_s``."""
    url: BaseUrl | None = None
    """Tempo's HTTP API; ``None``: the store that is embedded."""
    otlp: BaseUrl | None = None
    """The OTLP/HTTP receiver of that Tempo."""
    ready_s: float = Field(default=30.0, ge=0)
    """Seconds that Tempo may take to say that it is ready."""
    grafana: BaseUrl | None = None
    """A Grafana that must show the same traces; ``None``: there is none."""
    grafana_datasource: str = Field(default="tempo", min_length=1)
    """The uid of its datasource."""


class Gate(_Value):
    """The test module that judges a sync point."""

    name: Name
    title: str
    phase: int = Field(ge=0, le=9999)
    tests: RelativePath
    needs: tuple[Name, ...]
    """Names of the tasks, contracts and gates that must be there before it can judge."""


class Plan(_Value):
    """A runbook that holds together. Names are keys; orders are those of the file."""

    run: Run
    budget: Budget
    agents: dict[str, Agent]
    tasks: dict[str, Task]
    contracts: dict[str, Contract]
    stacks: dict[str, Stack]
    services: dict[str, Service]
    gates: dict[str, Gate]
    traces: Traces = Traces()
    briefs: dict[str, str] = Field(default_factory=dict)
    """The text of each brief, by path."""

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every agent's share of every phase, by phase, then in the agents' order."""
        order = {name: i for i, name in enumerate(self.agents)}
        return tuple(
            sorted({t.part for t in self.tasks.values()}, key=lambda p: (p.phase, order[p.agent]))
        )

    @cached_property
    def phases(self) -> tuple[int, ...]:
        """The numbers of all phases, ascending."""
        return tuple(sorted({p.phase for p in self.parts} | {g.phase for g in self.gates.values()}))

    def tasks_of(self, part: Part) -> tuple[Task, ...]:
        """The tasks of one part, in the order of the runbook."""
        return tuple(t for t in self.tasks.values() if t.part == part)

    def budget_of(self, agent: str) -> Budget:
        """The bounds that hold for an agent's tasks."""
        return self.agents[agent].budget or self.budget

    def before(self, part: Part) -> Part | None:
        """The same agent's part before this one; ``None`` for its first."""
        own = [p for p in self.parts if p.agent == part.agent and p.phase < part.phase]
        return own[-1] if own else None

    def publishing_task(self, contract: str) -> Task:
        """The task that publishes a contract; the runbook has exactly one."""
        return next(t for t in self.tasks.values() if contract in t.publishes)

    def needed_by(self, part: Part) -> tuple[frozenset[Part], frozenset[str]]:
        """The parts and gates that must be decided before a part may start.

        Contracts are not among them: the part starts with what does not need
        them, and waits for them while it is under way.
        """
        parts: set[Part] = set()
        gates: set[str] = set()
        if (earlier := self.before(part)) is not None:
            parts.add(earlier)
        for task in self.tasks_of(part):
            for name in task.needs:
                if name in self.gates:
                    gates.add(name)
                elif name in self.tasks:
                    parts.add(self.tasks[name].part)
        return frozenset(parts - {part}), frozenset(gates)

    def awaited_by(self, part: Part) -> frozenset[Part]:
        """The parts whose contracts a part waits for while it is under way.

        A contract whose draft is taken at once is not waited for.
        """
        return frozenset(
            self.publishing_task(contract.name).part
            for contract in self._contracts_needed_by(part)
            if contract.draft is None or contract.draft_after_s
        ) - {part}

    def rests_on(self, part: Part) -> tuple[frozenset[Part], frozenset[str]]:
        """The parts and gates without which a part cannot be done as a whole.

        A contract with a draft is not among them: the part may be done on the draft.
        """
        parts, gates = self.needed_by(part)
        publishing = {
            self.publishing_task(contract.name).part
            for contract in self._contracts_needed_by(part)
            if contract.draft is None
        }
        return parts | publishing - {part}, gates

    def _contracts_needed_by(self, part: Part) -> tuple[Contract, ...]:
        names = dict.fromkeys(name for task in self.tasks_of(part) for name in task.needs)
        return tuple(self.contracts[name] for name in names if self._is_contract(name))

    def _is_contract(self, name: str) -> bool:
        return not (name in self.gates or name in self.tasks) and name in self.contracts

    def consumed_by(self, task: Task) -> tuple[Contract, ...]:
        """The contracts of others that a task builds on.

        Those it needs; and those of which its agent is a consumer, if none of that
        agent's tasks says that it needs them.
        """
        return tuple(
            contract
            for contract in self.contracts.values()
            if contract.publisher != task.agent
            and (
                contract.name in task.needs
                or (
                    task.agent in contract.consumers
                    and not self.parts_that_need(contract.name, task.agent)
                )
            )
        )

    def needed_by_gate(self, gate: str) -> tuple[frozenset[Part], frozenset[str]]:
        """The parts and gates that must be decided before a gate can judge."""
        parts: set[Part] = set()
        gates: set[str] = set()
        for name in self.gates[gate].needs:
            if name in self.gates:
                gates.add(name)
            elif name in self.tasks:
                parts.add(self.tasks[name].part)
            else:
                parts.add(self.publishing_task(name).part)
        return frozenset(parts), frozenset(gates)

    def judged_by(self, gate: str) -> frozenset[Part]:
        """All parts whose work a gate judges: what it needs, and what that needs in turn."""
        seen_parts: set[Part] = set()
        seen_gates: set[str] = set()
        todo: list[Part | str] = [gate]
        while todo:
            node = todo.pop()
            parts, gates = (
                self.rests_on(node) if isinstance(node, Part) else self.needed_by_gate(node)
            )
            todo += [p for p in parts if p not in seen_parts]
            todo += [g for g in gates if g not in seen_gates]
            seen_parts |= parts
            seen_gates |= gates
        return frozenset(seen_parts)

    def generated_before(self, gate: str) -> tuple[tuple[str, str], ...]:
        """The contracts from which a consumer generates files that a gate can judge.

        As ``("core-api", "api")``, contract and consumer; see `consumed_before`.
        """
        return tuple(
            (contract, consumer)
            for contract, consumer in self.consumed_before(gate)
            if consumer in self.contracts[contract].generated
        )

    def consumed_before(self, gate: str) -> tuple[tuple[str, str], ...]:
        """The contracts a gate can hold a consumer's work against, each with the consumer.

        Those whose publication, and one of whose consumer's parts that need them, are in
        what the gate judges.
        """
        judged = self.judged_by(gate)
        return tuple(
            (contract.name, consumer)
            for contract in self.contracts.values()
            for consumer in self.agents
            if any(contract.name in task.publishes for task in self.tasks.values())
            and self.publishing_task(contract.name).part in judged
            and judged & self.parts_that_need(contract.name, consumer)
        )

    def parts_that_need(self, contract: str, agent: str) -> frozenset[Part]:
        """The parts of an agent with a task that needs a contract."""
        tasks = (t for t in self.tasks.values() if t.agent == agent and contract in t.needs)
        return frozenset(t.part for t in tasks)

    def owned_paths(self, agent: str) -> tuple[str, ...]:
        """Everything an agent may write: its folders and files, and its own contracts."""
        own = [c.path for c in self.contracts.values() if c.publisher == agent]
        return tuple(dict.fromkeys((*self.agents[agent].owns, *own)))

    def delivered_paths(self, agent: str) -> tuple[str, ...]:
        """What an agent hands over: what it may write, and what is generated from that."""
        own = [c.schema_path for c in self.contracts.values() if c.publisher == agent]
        return tuple(dict.fromkeys((*self.owned_paths(agent), *filter(None, own))))

    def gates_of_lane(self, part: Part) -> tuple[str, ...]:
        """The gates that may have something to say on a part by itself: those of its phase."""
        return tuple(g.name for g in self.gates.values() if g.phase == part.phase)

    @cached_property
    def identity(self) -> str:
        """Digest of all that agents are told: change it, and another run begins.

        Bounds, service details and gates are left out: they change what is
        judged, not what an agent is asked to build.
        """
        told = self.model_dump_json(
            include={"agents", "tasks", "contracts", "briefs"},
            exclude={
                "agents": {"__all__": {"budget"}},
                "contracts": {"__all__": {"live"}},
            },
        )
        return sha256(told.encode()).hexdigest()


def owns(paths: tuple[str, ...], path: str) -> bool:
    """Whether ``path`` is one of the files or below one of the folders of ``paths``."""
    return any(path == p or (p.endswith("/") and path.startswith(p)) for p in paths)


def schema_path_of(page: str) -> str:
    """The JSON Schema next to a page of shared models: ``"a/models.schema.json"``."""
    return str(PurePosixPath(page).with_suffix(".schema.json"))


def phase_numbers(expression: str) -> frozenset[int]:
    """The phases a ``-m`` expression names, e.g. ``{2, 3}`` for ``"phase2 or phase3"``."""
    return frozenset(int(n) for n in re.findall(r"\bphase(\d+)\b", expression))
