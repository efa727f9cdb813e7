"""Which test waits for which, for any plan and any selection of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._domain.order import Graph, Item, item_graph
from pytest_orchestrator._domain.plan import Part, Plan
from tests.histories import small_plan
from tests.strategies import calm, runbooks

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN = small_plan()
LEFT_ONE, LEFT_TWO = Part("left", 1), Part("left", 2)
RIGHT_ONE, RIGHT_TWO = Part("right", 1), Part("right", 2)

some = settings(calm, max_examples=25)


@st.composite
def selections(draw: st.DrawFn) -> tuple[Plan, list[Item]]:
    """Any plan and any tests of it in any order: of gates, of one or more phases, of neither."""
    plan = draw(runbooks())
    kinds: list[tuple[str, tuple[Part, ...]]] = [("", ())]
    kinds += [(gate, ()) for gate in plan.gates]
    kinds += [("", (part,)) for part in plan.parts]
    parts = st.lists(st.sampled_from(plan.parts), min_size=2, max_size=4, unique=True)
    kinds += [("", tuple(draw(parts)))] if len(plan.parts) > 1 else []
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=2 * len(kinds)))
    return plan, [Item(f"test_{i}", gate, parts) for i, (gate, parts) in enumerate(chosen)]


def graph_of(*items: Item, with_agents: bool = True) -> Graph:
    """What these tests of the small plan wait for."""
    return item_graph(PLAN, items, with_agents=with_agents)


def ordered(*items: Item, with_agents: bool = True) -> list[str]:
    """The tests' names in the order in which they are run."""
    return [items[i].nodeid for i in graph_of(*items, with_agents=with_agents).order()]


def positions(graph: Graph) -> dict[int, int]:
    """Where each test comes in the order."""
    return {index: place for place, index in enumerate(graph.order())}


def below(plan: Plan, node: Part | str) -> set[Part | str]:
    """Every part and gate that a part or gate rests on."""
    parts, gates = plan.needed_by(node) if isinstance(node, Part) else plan.needed_by_gate(node)
    direct: set[Part | str] = {*parts, *gates}
    return direct.union(*(below(plan, needed) for needed in direct))


@some
@given(selection=selections(), with_agents=st.booleans())
def test_every_test_comes_after_all_it_needs(
    selection: tuple[Plan, list[Item]], *, with_agents: bool
) -> None:
    """No selection of tests of a valid plan goes round in a circle, and none is left out."""
    plan, items = selection
    graph = item_graph(plan, items, with_agents=with_agents)

    places = positions(graph)

    assert sorted(places) == list(range(len(items)))
    for index, needs in enumerate(graph.needs):
        assert all(places[needed] < places[index] for needed in needs)


@some
@given(selection=selections())
def test_what_was_not_selected_passes_its_needs_on(selection: tuple[Plan, list[Item]]) -> None:
    """A gate's test comes after everything selected that the gate rests on, however indirectly."""
    plan, items = selection
    graph = item_graph(plan, items, with_agents=True)
    places = positions(graph)
    nodes: list[tuple[int, Part | str]] = [(i, item.gate) for i, item in enumerate(items)]
    nodes = [node for node in nodes if node[1]] + [(i, p) for p, i in graph.runners.items()]

    for index, node in nodes:
        rests_on = below(plan, node)
        for other, needed in nodes:
            assert needed not in rests_on or places[other] < places[index]


@some
@given(selection=selections())
def test_order_that_is_allowed_is_left_alone(selection: tuple[Plan, list[Item]]) -> None:
    """Tests that come in an order in which they can be run keep it."""
    plan, items = selection
    graph = item_graph(plan, items, with_agents=True)
    allowed = [items[i] for i in graph.order()]

    again = item_graph(plan, allowed, with_agents=True)

    assert list(range(len(items))) == again.order()


@some
@given(selection=selections())
def test_order_departs_from_the_given_one_only_where_it_must(
    selection: tuple[Plan, list[Item]],
) -> None:
    """Of all tests that may go next, it is always the first one."""
    plan, items = selection
    graph = item_graph(plan, items, with_agents=True)
    done: list[int] = []
    for index in graph.order():
        left = [i for i in range(len(items)) if i not in done]
        assert index == next(i for i in left if graph.needs[i] <= set(done))
        done.append(index)


@some
@given(selection=selections())
def test_runner_of_a_part_is_the_first_test_that_asks_for_nothing_else(
    selection: tuple[Plan, list[Item]],
) -> None:
    """Each part with such a test has one runner, and nothing else is a runner."""
    plan, items = selection

    runners = item_graph(plan, items, with_agents=True).runners

    alone = [(item.parts[0], i) for i, item in enumerate(items) if len(item.parts) == 1]
    assert runners == dict(reversed([one for one in alone if not items[one[1]].gate]))


def test_gates_test_never_runs_a_phase() -> None:
    """A gate that asks for a phase waits for the phase's own test."""
    gate = Item("gate", "G1", (LEFT_ONE,))
    phase = Item("phase", "", (LEFT_ONE,))

    graph = graph_of(gate, phase)

    assert {LEFT_ONE: 1} == graph.runners
    assert (frozenset({1}), frozenset()) == graph.needs


def test_second_user_of_a_phase_waits_for_the_first() -> None:
    """Of several tests that use a phase, one has it carried out."""
    graph = graph_of(*(Item(name, "", (LEFT_ONE,)) for name in "abc"))

    assert (frozenset(), frozenset({0}), frozenset({0})) == graph.needs


def test_user_of_several_phases_waits_for_all_of_them() -> None:
    """Such a test carries none of them out, so that lanes run side by side."""
    both = Item("both", "", (LEFT_ONE, RIGHT_ONE))

    graph = graph_of(both, Item("left", "", (LEFT_ONE,)), Item("right", "", (RIGHT_ONE,)))

    assert frozenset({1, 2}) == graph.needs[0]


def test_phase_without_a_test_is_reached_through() -> None:
    """A gate's test waits for what comes before a phase that nobody selected."""
    graph = graph_of(Item("second", "G2"), Item("first", "G1"), Item("left", "", (LEFT_ONE,)))

    assert (frozenset({1, 2}), frozenset({2}), frozenset()) == graph.needs


def test_gate_without_a_test_is_reached_through() -> None:
    """A phase waits for what a gate that nobody selected would have waited for."""
    graph = graph_of(Item("later", "", (LEFT_TWO,)), Item("right", "", (RIGHT_ONE,)))

    assert frozenset({1}) == graph.needs[0]


def test_all_tests_of_a_gate_are_waited_for_and_none_waits_for_another() -> None:
    """A phase after a gate needs the whole gate; a gate's tests are independent."""
    graph = graph_of(Item("a", "G1"), Item("b", "G1"), Item("later", "", (LEFT_TWO,)))

    assert (frozenset(), frozenset(), frozenset({0, 1})) == graph.needs


def test_without_agents_only_gates_order() -> None:
    """Nothing is carried out, so a phase holds nothing up, and gates still come in their order."""
    phases = [Item("left", "", (LEFT_ONE,)), Item("again", "", (LEFT_ONE,))]
    graph = graph_of(Item("second", "G2"), *phases, Item("first", "G1"), with_agents=False)

    assert not graph.runners
    assert (frozenset({3}), frozenset(), frozenset(), frozenset()) == graph.needs


def test_tests_that_ask_for_nothing_wait_for_nothing() -> None:
    """There is nothing to orchestrate, and the order stays."""
    items = [Item(name) for name in "cab"]

    assert not graph_of(*items).orchestrated
    assert list("cab") == ordered(*items)


def test_first_things_first() -> None:
    """Given in the worst order, everything is turned around, and what is free stays in front."""
    items = [
        Item("free"), Item("G2", "G2"), Item("right2", "", (RIGHT_TWO,)),
        Item("left2", "", (LEFT_TWO,)), Item("G1", "G1"),
        Item("right1", "", (RIGHT_ONE,)), Item("left1", "", (LEFT_ONE,)),
    ]  # fmt: skip

    assert ["free", "right1", "left1", "G1", "right2", "left2", "G2"] == ordered(*items)


def test_circle_is_named() -> None:
    """A gate whose test asks for a phase that waits for this very gate can never be judged."""
    gate, phase = Item("gate", "G1", (LEFT_TWO,)), Item("phase", "", (LEFT_TWO,))

    with pytest.raises(ValueError, match="these tests wait for each other: gate, phase"):
        graph_of(gate, phase).order()


@pytest.mark.parametrize(
    ("items", "ranks", "groups"),
    [
        pytest.param([Item("free")], [3], [""], id="neither"),
        pytest.param([Item("gate", "G1")], [0], ["gate G1"], id="gate"),
        pytest.param([Item("gate", "G1", (LEFT_ONE,))], [0], ["gate G1"], id="gate-with-phase"),
        pytest.param(
            [Item("a", "", (LEFT_ONE,)), Item("b", "", (LEFT_ONE,))],
            [1, 2], ["lane left", "lane left"], id="runner-and-user",
        ),
        pytest.param([Item("both", "", (LEFT_ONE, RIGHT_ONE))], [2], [""], id="two-lanes"),
    ],
)  # fmt: skip
def test_gates_go_first_then_phases_then_the_rest(
    items: Sequence[Item], ranks: list[int], groups: list[str]
) -> None:
    """A test's rank says who goes first, its group with whom it shares a worker if it can."""
    graph = graph_of(*items)

    assert ranks == [graph.rank(i) for i in range(len(items))]
    assert groups == [graph.group(i) for i in range(len(items))]
