"""Who is handed which test, played through with workers that exist only here."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._domain.dispatch import LIGHT_AHEAD_MOST, Dispatch
from pytest_orchestrator._domain.order import Graph, Item, item_graph
from pytest_orchestrator._domain.plan import Part, Plan
from tests.strategies import calm, runbooks

CASES = 6000
AGENTS = ("core", "api", "frontend")


class Play:
    """A session with workers that take their tests in turn, finish at any time, and may crash.

    What must hold at every moment is asserted on the way.

    Args:
        graph: The tests.
        random: Decides who is next and who crashes.
        workers: How many there are.
        crashes: How many of them crash.
        again: Whether a test that took its worker down is handed out once more.
    """

    def __init__(
        self, graph: Graph, random: Random, *, workers: int, crashes: int = 0, again: bool = True
    ) -> None:
        self.graph = graph
        self.random = random
        self.dispatch: Dispatch[int] = Dispatch(graph)
        self.queues: dict[int, deque[int]] = {}
        self.finished: list[int] = []
        self.lost: list[int] = []
        self._crashes = crashes
        self._again = again
        self._hired = 0
        for _ in range(workers):
            self._hire()

    def run(self) -> None:
        """Play until every test has its outcome."""
        self._hand_out()
        while not self.dispatch.finished:
            busy = [worker for worker, queue in self.queues.items() if queue]
            assert busy, "tests are left, and nobody has one"
            if self._crashes and self.random.random() < 0.1:
                self._crash(self.random.choice(list(self.queues)))
            else:
                self._finish(self.random.choice(busy))
            self._hand_out()
        assert not any(self.queues.values()), "the session is over, and somebody still has tests"
        assert sorted([*self.finished, *self.lost]) == list(range(len(self.graph.items)))

    def _hire(self) -> None:
        self._hired += 1
        self.queues[self._hired] = deque()
        self.dispatch.add(self._hired)

    def _finish(self, worker: int) -> None:
        index = self.queues[worker].popleft()
        assert index not in self.finished, "finished twice"
        self.finished.append(index)
        self.dispatch.complete(worker, index, self.random.choice([0.001, 0.01, 0.2]))

    def _crash(self, worker: int) -> None:
        """A worker dies, and another one takes its place."""
        self._crashes -= 1
        queue = self.queues.pop(worker)
        at = self.dispatch.remove(worker)
        assert (queue[0] if queue else None) == at
        if at is not None and self._again:
            self.dispatch.put_back(at)
        elif at is not None:
            self.lost.append(at)
            self.dispatch.decide(at)
        self._hire()

    def _hand_out(self) -> None:
        for worker, batch in self.dispatch.next_batches().items():
            for index in batch:
                self._check(index)
                self.queues[worker].append(index)
            self._check_company(self.queues[worker])

    def _check(self, index: int) -> None:
        assert self.graph.needs[index] <= {*self.finished, *self.lost}, "handed out too early"
        assert index not in self.finished, "handed out though it is over"
        assert not any(index in queue for queue in self.queues.values()), "handed out twice"

    def _check_company(self, queue: deque[int]) -> None:
        """A heavy test shares a worker only with tests of its own gate."""
        if any(self.graph.rank(index) <= 1 for index in queue):
            gates = {self.graph.items[index].gate for index in queue}
            assert len(queue) == 1 or (len(gates) == 1 and gates != {""}), "heavy tests queue up"


def any_graph(random: Random) -> Graph:
    """Up to 25 tests of any kind that wait for each other in any way but in a circle."""
    items: list[Item] = []
    needs: list[frozenset[int]] = []
    runners: dict[Part, int] = {}
    for index in range(random.randrange(26)):
        gate = random.choice(["", "", "S1", "S2", "S3"])
        parts = () if gate else tuple(_some_parts(random))
        items.append(Item(f"test_{index}", gate, parts))
        if len(parts) == 1:
            runners.setdefault(parts[0], index)
        most = min(index, random.choice([0, 1, 3]))
        needs.append(frozenset(random.sample(range(index), most)))
    return Graph(tuple(items), tuple(needs), runners)


def _some_parts(random: Random) -> list[Part]:
    count = random.choice([0, 0, 1, 1, 2])
    return [Part(agent, random.randrange(3)) for agent in random.sample(AGENTS, count)]


@pytest.mark.parametrize("again", [True, False], ids=["again", "given-up"])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5])
def test_every_session_ends_whoever_crashes(workers: int, *, again: bool) -> None:
    """Any tests, with up to three crashes: all get an outcome, each once, and none too early."""
    for seed in range(CASES // 10):
        random = Random(seed)  # noqa: S311 - no secret
        crashes = random.randrange(4)
        try:
            Play(any_graph(random), random, workers=workers, crashes=crashes, again=again).run()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


@settings(calm, max_examples=40)
@given(plan=runbooks(), seed=st.integers(0, 99), workers=st.integers(1, 5), data=st.data())
def test_tests_of_any_plan_are_played_through(
    plan: Plan, seed: int, workers: int, data: st.DataObject
) -> None:
    """So does a session of any plan's own tests, or of some of them."""
    items = [Item(f"{gate} {n}", gate) for gate in plan.gates for n in range(2)]
    items += [Item(str(part), "", (part,)) for part in plan.parts]
    items += [Item(f"free {n}") for n in range(3)]
    chosen = [item for item in data.draw(st.permutations(items)) if data.draw(st.booleans())]
    graph = item_graph(plan, chosen, with_agents=True)

    Play(graph, Random(seed), workers=workers, crashes=seed % 4).run()  # noqa: S311 - no secret


# ---------------------------------------------------------------- one by one


def phase(agent: str, number: int) -> Item:
    """The test of one phase."""
    return Item(f"{agent} {number}", "", (Part(agent, number),))


def dispatch_of(
    *items: Item, needs: dict[int, set[int]] | None = None, workers: str = ""
) -> Dispatch[str]:
    """The tests, what they need, and a worker for every letter."""
    needed = tuple(frozenset((needs or {}).get(index, ())) for index in range(len(items)))
    runners: dict[Part, int] = {}
    for index, item in enumerate(items):
        if len(item.parts) == 1 and not item.gate:
            runners.setdefault(item.parts[0], index)
    dispatch: Dispatch[str] = Dispatch(Graph(items, needed, runners))
    for worker in workers:
        dispatch.add(worker)
    return dispatch


def test_gates_are_handed_out_before_phases_and_phases_before_the_rest() -> None:
    """With one worker, what releases the most goes first, whatever the order of the tests."""
    dispatch = dispatch_of(Item("free"), phase("core", 1), Item("gate", "S1"), workers="a")
    order = []
    while not dispatch.finished:
        (batch,) = dispatch.next_batches().values()
        order += batch
        for index in batch:
            dispatch.complete("a", index, 0.0)

    assert [2, 1, 0] == order


def test_lane_stays_on_its_worker_if_that_one_is_free() -> None:
    """The next phase goes where the lane's phase before it was, though others are free."""
    dispatch = dispatch_of(
        phase("core", 1), phase("api", 1), phase("core", 2), phase("api", 2),
        needs={2: {0, 1}, 3: {0, 1}}, workers="abc",
    )  # fmt: skip
    assert {"a": [0], "b": [1]} == dispatch.next_batches()
    dispatch.complete("b", 1, 1.0)
    dispatch.complete("a", 0, 1.0)

    assert {"a": [2], "b": [3]} == dispatch.next_batches()


def test_lane_moves_if_its_worker_is_busy() -> None:
    """Affinity is soft: nobody idles for its sake."""
    dispatch = dispatch_of(
        phase("core", 1), phase("api", 1), phase("core", 2), needs={2: {1}}, workers="ab"
    )
    dispatch.next_batches()
    dispatch.complete("b", 1, 1.0)

    assert {"b": [2]} == dispatch.next_batches()


def test_new_lane_prefers_a_worker_that_is_no_lanes_home() -> None:
    """A worker another lane will come back to is left to it, if there is a choice."""
    dispatch = dispatch_of(phase("core", 1), phase("api", 1), needs={1: {0}}, workers="ab")
    dispatch.next_batches()
    dispatch.complete("a", 0, 1.0)

    assert {"b": [1]} == dispatch.next_batches()


def test_tests_of_a_gate_share_a_worker() -> None:
    """What the gate starts for its first test serves all of them, though others are free."""
    dispatch = dispatch_of(Item("1", "S1"), Item("2", "S1"), Item("3", "S1"), workers="ab")

    assert {"a": [0, 1, 2]} == dispatch.next_batches()


def test_second_gate_goes_to_another_worker() -> None:
    """Nothing is queued behind a heavy test but tests of the same gate."""
    dispatch = dispatch_of(Item("1", "S1"), Item("2", "S2"), Item("free"), workers="a")

    assert {"a": [0]} == dispatch.next_batches()


def test_light_tests_are_queued_ahead_only_if_they_are_short() -> None:
    """As much is queued on a worker as it does in a moment, one test until that is known."""
    short, long = (dispatch_of(*(Item(str(n)) for n in range(40)), workers="a") for _ in "ab")
    assert {"a": [0]} == short.next_batches() == long.next_batches()
    short.complete("a", 0, 0.0001)
    long.complete("a", 0, 5.0)

    assert LIGHT_AHEAD_MOST == len(short.next_batches()["a"])
    assert {"a": [1]} == long.next_batches()


def test_heavy_test_waits_for_no_light_test_that_is_not_queued_yet() -> None:
    """As long as a gate waits for a worker, workers are not given more light tests."""
    free = [Item(str(n)) for n in range(100)]
    dispatch = dispatch_of(*free, Item("gate", "S1"), needs={100: {1}}, workers="a")
    dispatch.next_batches()
    dispatch.complete("a", 0, 0.001)
    ahead = dispatch.next_batches()["a"]

    handed_out: list[dict[str, list[int]]] = []
    for index in ahead:
        dispatch.complete("a", index, 0.001)
        handed_out.append(dispatch.next_batches())

    assert LIGHT_AHEAD_MOST == len(ahead)
    assert [{}] * (len(ahead) - 1) + [{"a": [100]}] == handed_out


def test_worker_that_dies_idle_is_blamed_for_nothing() -> None:
    """Nobody was at any test, so none is lost."""
    dispatch = dispatch_of(workers="a")

    assert dispatch.remove("a") is None


def test_tests_queued_on_a_dead_worker_go_to_another() -> None:
    """Only the test it was at is not handed out by itself; that is for others to decide."""
    dispatch = dispatch_of(Item("1", "S1"), Item("2", "S1"), workers="a")
    dispatch.next_batches()

    assert dispatch.remove("a") == 0
    dispatch.add("b")
    assert {"b": [1]} == dispatch.next_batches()


def test_putting_back_twice_hands_out_once() -> None:
    """Two plugins that both want to see a crashed test again do not make it run twice."""
    dispatch = dispatch_of(Item("1"), Item("2"), workers="ab")
    dispatch.next_batches()
    dispatch.remove("a")

    dispatch.put_back(0)
    dispatch.put_back(0)
    dispatch.add("c")

    assert {"c": [0]} == dispatch.next_batches()
    dispatch.put_back(0)
    dispatch.complete("b", 1, 0.0)
    assert not dispatch.next_batches()


def test_test_that_is_decided_is_not_handed_out_any_more() -> None:
    """What was given up stays given up, even if it had been put back."""
    dispatch = dispatch_of(Item("1"), workers="a")
    dispatch.next_batches()
    dispatch.remove("a")
    dispatch.put_back(0)
    dispatch.decide(0)
    dispatch.put_back(0)
    dispatch.add("b")

    assert not dispatch.next_batches()
    assert dispatch.finished


def test_outcome_that_is_told_twice_releases_once() -> None:
    """A test that needs two others is not released by one of them that ends twice."""
    dispatch = dispatch_of(Item("1"), Item("2"), Item("3"), needs={2: {0, 1}}, workers="abc")
    dispatch.next_batches()

    dispatch.decide(0)
    dispatch.complete("a", 0, 0.0)

    assert not dispatch.next_batches()
