"""Order: nothing waits for a later phase, for itself, or in a circle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pytest_orchestrator._domain.plan import Gate, Part, Plan, Task
from pytest_orchestrator._domain.rules.wording import At, Wrong, key, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

N = TypeVar("N", bound=Hashable)

Why = At | str
"""The need by which one thing waits for another, or the words for it where nobody wrote one."""

Waits = defaultdict[N, dict[N, Why]]
"""What everything waits for, and why."""

_COMES_AFTER = "comes in its lane after"
_IS_PUBLISHED_BY = "is published by"


class Node(NamedTuple):
    """A task, a contract or a gate; two kinds may, by mistake, share a name."""

    table: str
    name: str

    def __str__(self) -> str:
        return self.name


class Circle(NamedTuple):
    """What waits for itself by way of others.

    Attributes:
        at: One need in it; without that, it would not be a circle.
        text: Its members, ``"core-spec -> S2 -> core-domain -> core-spec"``.
        steps: Each member, the next one, and why it waits for that.
    """

    at: At
    text: str
    steps: tuple[tuple[str, str, Why], ...]


def check(plan: Plan) -> Iterator[Wrong]:
    """All that could never be satisfied, in a plan in which names may still lead nowhere."""
    yield from _phases(plan)
    circles = list(_circles(_waits_of_nodes(plan)))
    yield from map(_circle_of_tasks, circles)
    told = frozenset(why for circle in circles for _, _, why in circle.steps)
    yield from map(_circle_of_parts, _circles(_waits_of_parts(plan, told)))
    yield from _unjudged(plan)


def _node(plan: Plan, name: str) -> Node | None:
    """What a need names, in the order in which a plan looks it up."""
    for table, entries in (("gates", plan.gates), ("tasks", plan.tasks)):
        if name in entries:
            return Node(table, name)
    published = any(name in task.publishes for task in plan.tasks.values())
    return Node("contracts", name) if published and name in plan.contracts else None


def _needs(plan: Plan, entry: Task | Gate) -> Iterator[tuple[At, Node]]:
    """What an entry waits for, each with its place."""
    for i, name in enumerate(entry.needs):
        node = _node(plan, name)
        if node is None or name in entry.needs[:i]:
            continue
        drafted = node.table == "contracts" and plan.contracts[name].draft is not None
        # A gate judges what is published; a task may begin on the draft.
        if isinstance(entry, Gate) or not drafted:
            yield (*_self(entry), "needs", i), node


def _phases(plan: Plan) -> Iterator[Wrong]:
    for entry in _entries(plan):
        for at, node in _needs(plan, entry):
            phase = _phase(plan, node)
            if phase > entry.phase:
                verb = "is published in" if node.table == "contracts" else "is of"
                what = (
                    f"{shown(node.name)} {verb} phase {phase}, but {shown(entry.name)} is of "
                    f"phase {entry.phase}, which comes first; make it {phase} or more"
                )
                yield Wrong(at, what)


def _phase(plan: Plan, node: Node) -> int:
    if node.table == "gates":
        return plan.gates[node.name].phase
    if node.table == "tasks":
        return plan.tasks[node.name].phase
    return plan.publishing_task(node.name).phase


def _entries(plan: Plan) -> tuple[Task | Gate, ...]:
    return (*plan.tasks.values(), *plan.gates.values())


def _lanes(plan: Plan) -> Iterator[tuple[Task, Task]]:
    """Each task but the first of its lane, after the one it comes after."""
    lanes: defaultdict[str, list[Task]] = defaultdict(list)
    for task in plan.tasks.values():
        lanes[task.agent].append(task)
    for lane in lanes.values():
        yield from pairwise(sorted(lane, key=lambda task: task.phase))


def _waits_of_nodes(plan: Plan) -> Waits[Node]:
    """What each task, contract and gate waits for."""
    waits: Waits[Node] = defaultdict(dict)
    for entry in _entries(plan):
        waits[_self(entry)] |= {node: at for at, node in _needs(plan, entry)}
    for contract in dict.fromkeys(name for task in plan.tasks.values() for name in task.publishes):
        publishing = _self(plan.publishing_task(contract))
        waits[Node("contracts", contract)] = {publishing: _IS_PUBLISHED_BY}
    for before, after in _lanes(plan):
        waits[_self(after)][_self(before)] = _COMES_AFTER
    return waits


def _self(entry: Task | Gate) -> Node:
    return Node("gates" if isinstance(entry, Gate) else "tasks", entry.name)


def _waits_of_parts(plan: Plan, told: frozenset[Why]) -> Waits[Part | str]:
    """What each part and gate waits for, as `Plan.needed_by` has it, but for needs told already."""
    waits: Waits[Part | str] = defaultdict(dict)
    for entry in _entries(plan):
        part = entry.name if isinstance(entry, Gate) else entry.part
        for at, node in _needs(plan, entry):
            if at not in told and (other := _met_by(plan, node)) != part:
                waits[part][other] = at
    for before, after in _lanes(plan):
        if before.part != after.part:
            waits[after.part][before.part] = _COMES_AFTER
    return waits


def _met_by(plan: Plan, node: Node) -> Part | str:
    """The part or the gate that must be decided for a need to be met."""
    if node.table == "gates":
        return node.name
    task = plan.tasks[node.name] if node.table == "tasks" else plan.publishing_task(node.name)
    return task.part


def _unjudged(plan: Plan) -> Iterator[Wrong]:
    """Generated files are there for a gate to compare them; some gate has to see them."""
    if any(_node(plan, name) is None for gate in plan.gates.values() for name in gate.needs):
        return  # What a gate judges is not known as long as one of its needs leads nowhere.
    waits = _waits_of_parts(plan, frozenset())
    judged = [_reached(waits, gate) for gate in plan.gates]
    for contract in plan.contracts.values():
        publishing = _node(plan, contract.name)
        for consumer in contract.generated if publishing else ():
            building = plan.parts_that_need(contract.name, consumer)
            published = plan.publishing_task(contract.name).part
            if building and not any(published in seen and building & seen for seen in judged):
                first = min(building, key=lambda part: part.phase)
                what = (
                    f"no gate judges both {first} and the published {shown(contract.name)}, so "
                    "nobody would compare these files; add both to the needs of a gate"
                )
                yield Wrong(("contracts", contract.name, "generated", consumer), what)


def _reached(waits: Waits[N], start: N) -> frozenset[N]:
    """What something waits for, and what that waits for in turn."""
    seen: set[N] = set()
    todo = [start]
    while todo:
        new = waits.get(todo.pop(), {}).keys() - seen
        seen |= new
        todo += new
    return frozenset(seen)


def _circles(waits: Waits[N]) -> Iterator[Circle]:
    """Every circle there is, each supposing that the ones before it have been opened."""
    left = {node: dict(others) for node, others in waits.items()}
    while members := _circle(left):
        steps = [(a, b, left[a][b]) for a, b in pairwise([*members, members[0]])]
        # Lanes and publishing alone make no circle: somewhere in it is a need.
        needs = [(i, why) for i, (_, _, why) in enumerate(steps) if not isinstance(why, str)]
        start, at = needs[0]
        steps = steps[start:] + steps[:start]
        del left[steps[0][0]][steps[0][1]]
        text = " -> ".join(str(a) for a, _, _ in [*steps, steps[0]])
        yield Circle(at, text, tuple((str(a), str(b), why) for a, b, why in steps))


def _circle(waits: Mapping[N, Mapping[N, Why]]) -> list[N]:
    """The members of one circle, each waiting for the next, from the first in the file on."""
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        members: list[N] = error.args[1][:0:-1]
        order = {node: i for i, node in enumerate(waits)}
        first = min(range(len(members)), key=lambda i: order[members[i]])
        return members[first:] + members[:first]
    return []


def _circle_of_tasks(circle: Circle) -> Wrong:
    because = [f"{a} {why} {b}" for a, b, why in circle.steps if isinstance(why, str)]
    reason = f" ({', '.join(because)})" if because else ""
    return Wrong(
        circle.at,
        f"{circle.text}: each waits for the next, so none can ever start{reason}; "
        "drop one of these needs",
    )


def _circle_of_parts(circle: Circle) -> Wrong:
    because = ", ".join(
        f"{a} {why} {b}" if isinstance(why, str) else f"{a} waits for {b} by {key(why)}"
        for a, b, why in circle.steps
    )
    return Wrong(
        circle.at,
        f"{circle.text}: an agent's part of a phase is waited for as a whole, so these wait "
        f"for each other although their tasks do not ({because}); move a task to another phase, "
        "or split it",
    )
