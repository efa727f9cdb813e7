"""Whose work rests on a revision of a contract that is not the latest any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._domain.state import effect_of_later

if TYPE_CHECKING:
    from pytest_orchestrator._domain.change import Effect
    from pytest_orchestrator._domain.event import ContractPublished, Revision
    from pytest_orchestrator._domain.plan import Part, Plan
    from pytest_orchestrator._domain.state import RunState


class Stale(NamedTuple):
    """A consumer that built on a draft or on a superseded revision.

    Attributes:
        agent: Whose work it is.
        task: The task that is to be given back; empty if none of its current part is done yet.
        held: What it rests on.
        head: What is published now.
        effect: What the difference does to the consumer.
        has_generated: Whether it has files that a program makes of the contract.
    """

    agent: str
    task: str
    held: Revision
    head: ContractPublished
    effect: Effect
    has_generated: bool

    @property
    def demands_work(self) -> bool:
        """Whether its task is given back; a compatible revision is only noted.

        Generated files are to be made of the latest revision, whatever it changes.
        """
        return bool(self.task) and (self.effect == "breaking" or self.has_generated)


def stale(plan: Plan, state: RunState) -> tuple[Stale, ...]:
    """All consumers that are not up to date, in the order of the agents and contracts."""
    found = []
    for agent in plan.agents:
        for name, (held, task) in sorted(state.built_on.get(agent, {}).items()):
            effect = effect_of_later(state.revisions.get(name, ()), held)
            if effect is None or name not in plan.contracts:
                continue
            given_back = _given_back(plan, state, agent, task)
            has_generated = agent in plan.contracts[name].generated
            head = state.contracts[name]
            found.append(Stale(agent, given_back, held, head, effect, has_generated))
    return tuple(found)


def stale_work(plan: Plan, state: RunState, part: Part) -> tuple[Stale, ...]:
    """What of a part has to be done again, because a contract has changed beneath it."""
    return tuple(
        each
        for each in stale(plan, state)
        if each.demands_work and plan.tasks[each.task].part == part
    )


def _given_back(plan: Plan, state: RunState, agent: str, task: str) -> str:
    """The task in which an agent mends what rests on a contract.

    It is one of the part the agent is at: what came after the task that built on the
    contract stands on it, too, and is mended with it.
    """
    begun = [p for p in plan.parts if p.agent == agent and state.phase(p).status != "pending"]
    own = plan.tasks_of(begun[-1]) if begun else ()
    done = [each.name for each in own if each.name in state.tasks_done]
    return task if task in done else "".join(done[-1:])
