"""Runbooks that hold together, for what must be true of every one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pytest_orchestrator._domain.plan import Part, Plan
from pytest_orchestrator._domain.runbook import Files, named_files, parse_runbook

AGENTS = ("core", "api", "frontend", "docs_writer")
PHASES = 4
Document = dict[str, Any]

# A busy machine is no defect of what is tested.
calm = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


@dataclass
class _Stage:
    """What has been drawn so far, in an order in which it could be carried out."""

    ready: list[str] = field(default_factory=list)
    """Names that whatever is drawn next may need."""
    tasks: dict[Part, dict[str, Any]] = field(default_factory=dict)
    gates: dict[str, Any] = field(default_factory=dict)
    contracts: dict[str, Any] = field(default_factory=dict)


def runbooks() -> st.SearchStrategy[Plan]:
    """Plans of one to four agents in up to four phases, with every kind of need."""
    return documents().map(plan_of)


def plan_of(document: Document) -> Plan:
    """The plan of a document whose files are all there."""
    return parse_runbook(document, source="runbook.toml", files=files_of(document))


def files_of(document: Document) -> Files:
    """Every file that a document names, with something in it."""
    briefs, tests = named_files(document)
    return Files({path: f"What {path} asks for." for path in briefs}, tests)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """The documents of such runbooks, as TOML would give them."""
    agents = draw(st.lists(st.sampled_from(AGENTS), min_size=1, max_size=4, unique=True))
    phases = {a: draw(st.sets(st.integers(0, PHASES - 1), min_size=1)) for a in agents}
    drafted = draw(st.sets(st.sampled_from(agents)))
    stage = _Stage()
    for phase in range(PHASES):
        parts = [Part(agent, phase) for agent in agents if phase in phases[agent]]
        for part in draw(st.permutations(parts)):
            _draw_part(draw, stage, part, drafted=part.agent in drafted)
            if draw(st.booleans()):
                _draw_gate(draw, stage, phase)
    _draw_consumers(draw, stage, agents)
    parts_in_file = draw(st.permutations(list(stage.tasks)))
    return {
        "run": {"name": "drawn"},
        "budget": draw(budgets()),
        "agents": {agent: draw(_agents(agent)) for agent in agents},
        "contracts": stage.contracts,
        "stacks": {"python": {"recognised_by": ["*.py"], "start": ["{python}", "main.py"]}},
        "services": _draw_services(draw, agents),
        "tasks": {name: task for part in parts_in_file for name, task in stage.tasks[part].items()},
        "gates": stage.gates,
    }


def budgets() -> st.SearchStrategy[Document]:
    """Bounds of a task, some of them left to their defaults."""
    return st.fixed_dictionaries(
        {},
        optional={
            "max_attempts": st.integers(1, 20),
            "max_wall_s": st.integers(1, 7200),
            "max_turns": st.integers(1, 500),
            "max_output_tokens": st.integers(1, 10**6),
            "max_cost_usd": st.floats(0.01, 100, allow_nan=False),
        },
    )


def _agents(name: str) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries(
        {"role": st.just("backend-developer"), "owns": st.just([f"src/{name}/"])},
        optional={"backend": st.sampled_from(["oracle", "nop"]), "budget": budgets()},
    )


def _some(draw: st.DrawFn, names: list[str], *, at_least: int = 0) -> list[str]:
    """A few of some names; there must be as many as are asked for."""
    if not names:
        return []
    return draw(st.lists(st.sampled_from(names), min_size=at_least, max_size=3, unique=True))


def _draw_part(draw: st.DrawFn, stage: _Stage, part: Part, *, drafted: bool) -> None:
    """One agent's tasks of one phase; they need one another, or what is ready."""
    own: list[str] = []
    stage.tasks[part] = {}
    for number in range(draw(st.integers(1, 2))):
        name = f"{part.agent}-{part.phase}-{number}"
        stage.tasks[part][name] = task = {
            "agent": part.agent,
            "phase": part.phase,
            "brief": f"runbook/{name}.md",
            "needs": _some(draw, stage.ready + own),
        }
        own.append(name)
        if draw(st.booleans()):
            contract = _draw_contract(stage, name, part.agent, drafted=drafted)
            task["publishes"] = [contract]
            own.append(contract)
    stage.ready += own


def _draw_contract(stage: _Stage, task: str, publisher: str, *, drafted: bool) -> str:
    name = f"{task}-contract"
    contract = {"kind": "openapi", "path": f"docs/contracts/{name}.json", "publisher": publisher}
    if drafted:
        contract["draft"] = f"src/{publisher}/{name}.draft.json"
    stage.contracts[name] = contract
    return name


def _draw_gate(draw: st.DrawFn, stage: _Stage, phase: int) -> None:
    name = f"S{len(stage.gates) + 1}"
    stage.gates[name] = {
        "title": f"What {name} is about",
        "phase": phase,
        "tests": f"gates/test_{name.lower()}.py",
        "needs": _some(draw, stage.ready, at_least=1),
    }
    stage.ready.append(name)


def _draw_consumers(draw: st.DrawFn, stage: _Stage, agents: list[str]) -> None:
    """Who builds on a contract; on a draft one may begin before anything is published."""
    drafts = [name for name, contract in stage.contracts.items() if "draft" in contract]
    for contract in stage.contracts.values():
        contract["consumers"] = _some(draw, agents)
    for tasks in stage.tasks.values():
        for task in tasks.values():
            early = [name for name in _some(draw, drafts) if name not in task["needs"]]
            task["needs"] += early


def _draw_services(draw: st.DrawFn, agents: list[str]) -> Document:
    serving = draw(st.lists(st.sampled_from(agents), unique=True))
    known = st.sampled_from([*serving, "traces"])
    return {
        agent: {
            "agent": agent,
            "path": f"src/{agent}",
            "stack": "python",
            "port": 8000 + number,
            "environment": {"OTHER_URL": f"{{{draw(known)}}}/"},
        }
        for number, agent in enumerate(serving)
    }
