"""What is answered from the ledger: pure decisions over the plan, the state and the keys."""

from __future__ import annotations

import re
from itertools import chain, combinations
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.scheduler import gates_before
from pytest_orchestrator._domain.staleness import stale_work
from pytest_orchestrator._domain.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pytest_orchestrator._domain.plan import Part, Plan
    from pytest_orchestrator._domain.state import RunState

_WORDS = frozenset({"and", "or", "not", "True", "False", "None"})
_MOST_UNKNOWN = 6


def is_done(plan: Plan, state: RunState, part: Part) -> bool:
    """Whether a part stands as it is: nobody would carry it out again."""
    return state.phase(part).status == "succeeded" and not stale_work(plan, state, part)


def has_passed(state: RunState, gate: str, key: str | None) -> bool:
    """Whether the recorded verdict for a key is PASSED; no other verdict is reused.

    Args:
        state: What the ledger knows.
        gate: The gate's name.
        key: Of what it would judge now; ``None``: that is not known.
    """
    record = state.gate(gate).records.get(key) if key is not None else None
    return record is not None and record.verdict() is Outcome.PASSED


def gates_in_question(plan: Plan, gates: Collection[str]) -> tuple[str, ...]:
    """Some gates, and all that have to have passed before them; in the plan's order."""
    needed = {*gates, *(before for gate in gates for before in gates_before(plan, gate))}
    return tuple(gate for gate in plan.gates if gate in needed)


def is_answered(
    plan: Plan,
    state: RunState,
    keys: Mapping[str, str | None],
    *,
    gates: Collection[str],
    parts: Collection[Part],
) -> bool:
    """Whether nothing of what is asked for has to be carried out or judged.

    Args:
        plan: The plan of this run.
        state: What the ledger knows.
        keys: Of each gate in question, the key of what it would judge now.
        gates: The gates that are asked for.
        parts: The parts that are asked for.
    """
    return all(is_done(plan, state, part) for part in parts) and all(
        has_passed(state, gate, keys.get(gate)) for gate in gates_in_question(plan, gates)
    )


def may_select(
    evaluate: Callable[[Callable[[str], bool]], bool], expression: str, markers: Collection[str]
) -> bool:
    """Whether a ``-m`` expression may select a test with some markers, and maybe others.

    Phases are known for certain, all other markers are not: a test may have them or not.

    Args:
        evaluate: Evaluates the expression, given which markers a test has.
        expression: Its text.
        markers: Those the test has for certain.
    """
    named = set(re.findall(r"[A-Za-z_]\w*", expression)) - _WORDS - set(markers)
    unknown = sorted(name for name in named if not re.fullmatch(r"phase\d+", name))
    if len(unknown) > _MOST_UNKNOWN:
        return True
    choices = chain.from_iterable(combinations(unknown, n) for n in range(len(unknown) + 1))
    return any(evaluate({*markers, *choice}.__contains__) for choice in choices)
