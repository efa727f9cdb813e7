"""Which test waits for which: the plan's graph, brought down to the tests of a session."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.scheduler import gates_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_orchestrator._domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Item:
    """What orders a test: the gate it belongs to, and the phases whose fixtures it uses."""

    nodeid: str
    gate: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """The tests of a session and what each waits for.

    Attributes:
        items: In the order given.
        needs: For each item, the indices of those that must be decided before it starts.
        runners: The item that has a part carried out, for each part that has one.
    """

    items: tuple[Item, ...]
    needs: tuple[frozenset[int], ...]
    runners: dict[Part, int]

    @property
    def orchestrated(self) -> bool:
        """Whether there is anything to order at all."""
        return any(item.gate or item.parts for item in self.items)

    def rank(self, index: int) -> int:
        """Who goes first among those that may: gates release others, then phases, then the rest."""
        item = self.items[index]
        if item.gate:
            return 0
        if index in self.runners.values():
            return 1
        return 2 if item.parts else 3

    def group(self, index: int) -> str:
        """What is best kept on one worker: a gate's tests, a lane's phases; empty for neither."""
        item = self.items[index]
        if item.gate:
            return f"gate {item.gate}"
        return f"lane {item.parts[0].agent}" if len(item.parts) == 1 else ""

    def order(self) -> list[int]:
        """The indices in an order that respects all needs, and the given one otherwise.

        Raises:
            ValueError: The needs go round in a circle; names its tests.
        """
        left = [len(needs) for needs in self.needs]
        after = followers(self.needs)
        ready = [i for i, count in enumerate(left) if not count]
        heapq.heapify(ready)
        done: list[int] = []
        while ready:
            index = heapq.heappop(ready)
            done.append(index)
            for follower in after[index]:
                left[follower] -= 1
                if not left[follower]:
                    heapq.heappush(ready, follower)
        if len(done) < len(self.items):
            circle = [self.items[i].nodeid for i, count in enumerate(left) if count]
            raise ValueError(f"these tests wait for each other: {', '.join(circle[:5])}")
        return done


def followers(needs: Sequence[frozenset[int]]) -> dict[int, list[int]]:
    """The reverse of ``needs``: whom each item holds up."""
    after: dict[int, list[int]] = defaultdict(list)
    for index, needed in enumerate(needs):
        for before in needed:
            after[before].append(index)
    return after


def item_graph(plan: Plan, items: Sequence[Item], *, with_agents: bool) -> Graph:
    """Bring the plan's graph down to the tests that were selected.

    A part has one runner: the first test that uses its fixture and nothing else
    of the plan. Parts without one, and gates without tests in this session, are
    obtained by whoever needs them; what they need in turn is waited for.

    Args:
        plan: The plan.
        items: The selected tests.
        with_agents: ``False`` if phases are not carried out, so that only gates order.
    """
    runners: dict[Part, int] = {}
    gates: dict[str, set[int]] = defaultdict(set)
    for index, item in enumerate(items):
        if item.gate:
            gates[item.gate].add(index)
        elif with_agents and len(item.parts) == 1:
            runners.setdefault(item.parts[0], index)
    needs = tuple(
        frozenset(_needs(plan, item, index, runners, gates)) for index, item in enumerate(items)
    )
    return Graph(tuple(items), needs, runners)


def _needs(
    plan: Plan, item: Item, index: int, runners: dict[Part, int], gates: dict[str, set[int]]
) -> set[int]:
    found: set[int] = set()
    todo: list[Part | str] = [item.gate] if item.gate else []
    for part in item.parts:
        if runners.get(part, index) == index:
            todo.append(part)
            # Also those before who publishes what it waits for: this test would keep them waiting.
            for gate in gates_before(plan, part):
                found |= gates.get(gate, set())
        else:
            found.add(runners[part])
    seen: set[Part | str] = set(todo)
    while todo:
        node = todo.pop()
        parts, before = (
            plan.needed_by(node) if isinstance(node, Part) else plan.needed_by_gate(node)
        )
        reached: set[Part | str] = {*parts, *before}
        for needed in reached - seen:
            seen.add(needed)
            if isinstance(needed, Part) and needed in runners:
                found.add(runners[needed])
            elif isinstance(needed, str) and needed in gates:
                found |= gates[needed]
            else:
                todo.append(needed)
    return found - {index} - gates.get(item.gate, set())
