"""How many workers ``-n auto`` means: none, if there is nothing for them to do."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.mark.expression import Expression

from pytest_orchestrator._domain.reuse import gates_in_question, is_answered, may_select
from pytest_orchestrator._plugin.session import RunSession
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Part, Plan
    from pytest_orchestrator._plugin.session import Settings
    from pytest_orchestrator._run.judge import Project

GUESS_KEY: pytest.StashKey[RunSession] = pytest.StashKey()
"""The view of the run that the number of workers rests on."""


def all_lanes(plan: Plan) -> int:
    """One worker per lane that works in parallel, and one more."""
    phases = {p.phase for p in plan.parts}
    return 1 + max(sum(part.phase == phase for part in plan.parts) for phase in phases)


def is_all_recorded(
    config: pytest.Config, plan: Plan, project: Project, settings: Settings, asked: list[Path]
) -> bool:
    """Whether this session would only read verdicts and phases from the ledger.

    Goes by the same facts as each test does later, and that decides: should something have
    changed in between, it is judged, or carried out, in this one process.

    Args:
        config: pytest's configuration, before anything was collected.
        plan: The runbook's plan.
        project: Where it is.
        settings: What the session was asked for.
        asked: The folders and files to collect from.
    """
    gates = {name: (project.root / gate.tests).resolve() for name, gate in plan.gates.items()}
    places = {*gates.values(), *(path.parent for path in gates.values())} - {project.root}
    if settings.alone or settings.rejudge or not places.issuperset(asked):
        return False  # other tests than those of gates may be many, and not be quick
    selected, parts = _selected(config, plan, {g for g in gates if _is_in(gates[g], asked)})
    if not selected and not parts:
        return False
    session = config.stash[GUESS_KEY] = RunSession(plan, project, settings)
    try:
        return _is_answered(session, selected, parts)
    except OrchestratorError:
        return False  # the session itself meets the same, and there it is reported


def _is_answered(session: RunSession, gates: frozenset[str], parts: frozenset[Part]) -> bool:
    if not (session.folder / Ledger.FILE).exists():
        return False
    session.selected = gates
    with closing(session.ledger):
        state = session.ledger.state()
        if state.identity != session.settings.identity:
            return False
        keys = {g: session.key(state, g) for g in gates_in_question(session.plan, gates)}
        parts = parts if session.with_agents else frozenset()
        return is_answered(session.plan, state, keys, gates=gates, parts=parts)


def _selected(
    config: pytest.Config, plan: Plan, gates: set[str]
) -> tuple[frozenset[str], frozenset[Part]]:
    """The gates and parts that the session may ask for, going by ``-m`` and ``--gate``."""
    text: str = config.getoption("markexpr") or ""
    expression = Expression.compile(text) if text else None
    only: list[str] = config.getoption("orchestrator_gates")

    def may_be_selected(*markers: str) -> bool:
        def evaluate(has: Any) -> bool:
            return expression is None or expression.evaluate(lambda name, /, **_: has(name))

        return may_select(evaluate, text, markers)

    asked = {
        name for name in gates
        if name in (only or gates) and may_be_selected("gate", f"phase{plan.gates[name].phase}")
    }  # fmt: skip
    parts = [p for p in plan.parts if not only and may_be_selected("lane", f"phase{p.phase}")]
    return frozenset(asked), frozenset(parts)


def _is_in(path: Path, asked: list[Path]) -> bool:
    return any(path.is_relative_to(place) for place in asked)
