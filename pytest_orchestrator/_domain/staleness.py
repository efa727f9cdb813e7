"""Whose work rests on a revision of a contract that is not the latest any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._domain.change import EFFECTS

if TYPE_CHECKING:
    from pytest_orchestrator._domain.change import Effect
    from pytest_orchestrator._domain.event import ContractPublished, Revision
    from pytest_orchestrator._domain.plan import Part, Plan
    from pytest_orchestrator._domain.state import RunState


class Stale(NamedTuple):
    """A consumer that built on a draft or on a superseded revision.

    Attributes:
        agent: Whose work it is.
        task: The task that agent last did with it.
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
        return self.effect == "breaking" or self.has_generated


def stale(plan: Plan, state: RunState) -> tuple[Stale, ...]:
    """All consumers that are not up to date, in the order of the agents and contracts."""
    found = []
    for agent in plan.agents:
        for name, (held, task) in sorted(state.built_on.get(agent, {}).items()):
            head = state.contracts.get(name)
            if head is None or name not in plan.contracts or head.sha256 == held.sha256:
                continue
            effect = _effect(state.revisions[name], held)
            has_generated = agent in plan.contracts[name].generated
            found.append(Stale(agent, task, held, head, effect, has_generated))
    return tuple(found)


def stale_work(plan: Plan, state: RunState, part: Part) -> tuple[Stale, ...]:
    """What of a part has to be done again, because a contract has changed beneath it."""
    return tuple(
        each
        for each in stale(plan, state)
        if each.demands_work and each.task in plan.tasks and plan.tasks[each.task].part == part
    )


def _effect(revisions: tuple[ContractPublished, ...], held: Revision) -> Effect:
    """What the latest revision does to whoever holds an earlier one; if in doubt, it breaks."""
    if held.revision == 0:
        return revisions[-1].effect_on_draft or "breaking"
    later = {event.effect or "breaking" for event in revisions if event.revision > held.revision}
    return next((effect for effect in EFFECTS if effect in later), "breaking")
