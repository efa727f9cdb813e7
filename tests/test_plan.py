"""What is true of every plan."""

from __future__ import annotations

from copy import deepcopy
from graphlib import TopologicalSorter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain.plan import Part, Plan, owns, phase_numbers
from tests.strategies import Document, budgets, calm, documents, plan_of, runbooks


def waits(plan: Plan) -> dict[Part | str, set[Part | str]]:
    """What each part and gate of a plan waits for."""
    everything: dict[Part | str, set[Part | str]] = {}
    for part in plan.parts:
        parts, gates = plan.rests_on(part)
        everything[part] = {*parts, *gates}
    for gate in plan.gates:
        parts, gates = plan.needed_by_gate(gate)
        everything[gate] = {*parts, *gates}
    return everything


@calm
@given(plan=runbooks())
def test_parts_are_ordered_by_phase_then_by_agent(plan: Plan) -> None:
    """Parts come by phase, then in the order in which the runbook names the agents."""
    agents = list(plan.agents)

    assert list(plan.parts) == sorted(plan.parts, key=lambda p: (p.phase, agents.index(p.agent)))


@calm
@given(plan=runbooks())
def test_every_task_is_in_exactly_one_part(plan: Plan) -> None:
    """The tasks of all parts are all tasks, each once."""
    tasks = [task.name for part in plan.parts for task in plan.tasks_of(part)]

    assert sorted(tasks) == sorted(plan.tasks)


@calm
@given(plan=runbooks())
def test_tasks_of_a_part_keep_the_order_of_the_file(plan: Plan) -> None:
    """Within a part, a task never comes before one that the file has first."""
    order = list(plan.tasks)

    for part in plan.parts:
        numbers = [order.index(task.name) for task in plan.tasks_of(part)]
        assert numbers == sorted(numbers)


@calm
@given(plan=runbooks())
def test_nothing_waits_for_itself(plan: Plan) -> None:
    """Neither a part nor a gate is among what it needs."""
    for node, needed in waits(plan).items():
        assert node not in needed


@calm
@given(plan=runbooks())
def test_what_is_needed_exists_and_can_be_ordered(plan: Plan) -> None:
    """All parts and gates can be carried out one after another, each after what it needs."""
    needed = waits(plan)

    done = list(TopologicalSorter(needed).static_order())

    assert sorted(map(str, done)) == sorted(map(str, needed))


@calm
@given(plan=runbooks())
def test_nothing_needs_a_later_phase(plan: Plan) -> None:
    """What a part or a gate needs is of its own phase or of an earlier one."""
    for node, needed in waits(plan).items():
        phase = node.phase if isinstance(node, Part) else plan.gates[node].phase
        for other in needed:
            assert phase >= (other.phase if isinstance(other, Part) else plan.gates[other].phase)


@calm
@given(plan=runbooks())
def test_a_part_waits_for_the_part_before_it(plan: Plan) -> None:
    """Each lane is walked in the order of its phases, without a gap."""
    for part in plan.parts:
        before = plan.before(part)
        earlier = [p for p in plan.parts if p.agent == part.agent and p.phase < part.phase]
        assert before == (max(earlier, key=lambda p: p.phase) if earlier else None)
        assert before is None or before in plan.needed_by(part)[0]


@calm
@given(plan=runbooks())
def test_a_draft_is_not_waited_for_but_a_gate_waits(plan: Plan) -> None:
    """A task starts on the draft of a contract; a gate judges only what is published."""
    for gate in plan.gates.values():
        for name in set(gate.needs) & set(plan.contracts):
            assert plan.publishing_task(name).part in plan.needed_by_gate(gate.name)[0]
    for part in plan.parts:
        for name in {n for t in plan.tasks_of(part) for n in t.needs} & set(plan.contracts):
            publisher = plan.publishing_task(name).part
            rests_on_it = publisher in plan.rests_on(part)[0]
            assert rests_on_it or publisher == part or plan.contracts[name].draft is not None


@calm
@given(plan=runbooks())
def test_judged_is_closed_under_needs(plan: Plan) -> None:
    """Who judges a part judges what that part was built on, and nothing else."""
    needed = waits(plan)
    for gate in plan.gates:
        reached: set[Part | str] = set()
        todo: list[Part | str] = [gate]
        while todo:
            new = needed[todo.pop()] - reached
            reached |= new
            todo += new
        assert plan.judged_by(gate) == {node for node in reached if isinstance(node, Part)}


@calm
@given(plan=runbooks())
def test_gates_of_a_lane_are_those_of_its_phase(plan: Plan) -> None:
    """A part is judged by itself by the gates of its own phase."""
    for part in plan.parts:
        asked = set(plan.gates_of_lane(part))
        assert asked == {g for g in plan.gates if plan.gates[g].phase == part.phase}


@calm
@given(plan=runbooks())
def test_no_path_has_two_owners(plan: Plan) -> None:
    """What one agent may write, no other agent may."""
    for agent in plan.agents:
        for path in plan.owned_paths(agent):
            others = [other for other in plan.agents if other != agent]
            assert not any(owns(plan.owned_paths(other), path) for other in others)


@calm
@given(document=documents(), bounds=budgets(), data=st.data())
def test_bounds_do_not_change_the_identity(
    document: Document, bounds: Document, data: st.DataObject
) -> None:
    """Another budget, of the runbook or of an agent, is not another run."""
    before = plan_of(document).identity
    changed = deepcopy(document)
    changed["budget"] = bounds
    agent = data.draw(st.sampled_from(sorted(changed["agents"])))
    changed["agents"][agent]["budget"] = bounds

    assert plan_of(changed).identity == before


@calm
@given(document=documents())
def test_what_is_judged_does_not_change_the_identity(document: Document) -> None:
    """Without its services, and with other titles of gates, it is still the same run."""
    before = plan_of(document).identity
    changed = deepcopy(document) | {"services": {}}
    for gate in changed["gates"].values():
        gate["title"] += ", in other words"

    assert plan_of(changed).identity == before


@calm
@given(plan=runbooks(), data=st.data())
def test_a_brief_changes_the_identity(plan: Plan, data: st.DataObject) -> None:
    """Whoever changes one brief begins another run."""
    path = data.draw(st.sampled_from(sorted(plan.briefs)))
    briefs = plan.briefs | {path: plan.briefs[path] + " And more."}

    changed = Plan(**{**dict(plan), "briefs": briefs})

    assert changed.identity != plan.identity


@calm
@given(document=documents(), data=st.data())
def test_what_an_agent_is_told_changes_the_identity(
    document: Document, data: st.DataObject
) -> None:
    """Another role, or a folder more, is another run."""
    before = plan_of(document).identity
    changed = deepcopy(document)
    agent = changed["agents"][data.draw(st.sampled_from(sorted(changed["agents"])))]
    if data.draw(st.booleans()):
        agent["role"] += ", senior"
    else:
        agent["owns"].append("docs/more.md")

    assert plan_of(changed).identity != before


@calm
@given(plan=runbooks())
def test_a_part_is_read_back_from_its_text(plan: Plan) -> None:
    """``core_phase2`` names the part it was written for, whatever the agent is called."""
    assert [Part.parse(str(part)) for part in plan.parts] == list(plan.parts)


@calm
@given(plan=runbooks())
def test_an_agents_budget_replaces_that_of_the_runbook(plan: Plan) -> None:
    """The bounds of an agent's tasks are its own ones, or else those of ``[budget]``."""
    for name, agent in plan.agents.items():
        assert plan.budget_of(name) == (agent.budget or plan.budget)


@pytest.mark.parametrize(
    ("paths", "path", "owned"),
    [
        (("src/core/",), "src/core/main.py", True),
        (("src/core/",), "src/core/", True),
        (("src/core/",), "src/core", False),
        (("src/core/",), "src/core2/main.py", False),
        (("docs/a.md",), "docs/a.md", True),
        (("docs/a.md",), "docs/a.md.bak", False),
        (("docs",), "docs/a.md", False),
        ((), "docs/a.md", False),
    ],
)
def test_owned_is_a_file_itself_or_what_is_below_a_folder(
    paths: tuple[str, ...],
    path: str,
    owned: bool,  # noqa: FBT001
) -> None:
    """A path that ends in ``/`` stands for all below it, any other for one file."""
    assert owns(paths, path) is owned


@pytest.mark.parametrize(
    ("expression", "phases"),
    [
        ("phase2", {2}),
        ("phase2 or phase13", {2, 13}),
        ("not phase0 and gate", {0}),
        ("gate", set()),
        ("subphase2 or phase2x", set()),
    ],
)
def test_a_mark_expression_names_phases(expression: str, phases: set[int]) -> None:
    """Only whole words of the form ``phase<number>`` count."""
    assert phase_numbers(expression) == phases
