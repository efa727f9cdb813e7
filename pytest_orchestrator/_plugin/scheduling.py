"""xdist's scheduler: hands out only what nobody has to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from xdist.report import report_collection_diff

from pytest_orchestrator._domain.dispatch import Dispatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xdist.workermanage import WorkerController

    from pytest_orchestrator._domain.order import Graph

CRASHES_FORGIVEN = 2
"""How often a test may take its worker down before that counts as its outcome."""


class Host(Protocol):
    """What the scheduler asks of whoever made it."""

    def graph_of(self, worker: str) -> Graph | None:
        """The tests as that worker has ordered them; ``None`` if there is nothing to order."""
        ...

    def begin(self) -> str:
        """Take up the run; returns why that is not possible, or nothing."""
        ...

    def stop(self, reason: str) -> None:
        """End the session before it has begun."""
        ...

    def collection_errors(self) -> int:
        """How many modules could not be collected, if that is a reason to stop."""
        ...


class GraphScheduling:
    """Implements xdist 3.8's ``Scheduling`` protocol over a ``Dispatch``.

    If the tests turn out to have nothing to orchestrate, all is handed over to
    the stock scheduler of ``--dist``.

    Args:
        config: pytest's configuration.
        workers: How many workers will send a collection before tests start.
        host: See ``Host``.
        make_stock: Makes xdist's own scheduler.
    """

    def __init__(
        self, config: pytest.Config, workers: int, host: Host, make_stock: Callable[[], Any]
    ) -> None:
        self.config = config
        self.collection: list[str] = []
        self.dispatch: Dispatch[WorkerController] | None = None
        self.stock: Any = None
        self.crashes: dict[int, int] = {}
        self._workers = workers
        self._host = host
        self._make_stock = make_stock
        self._collections: dict[WorkerController, list[str]] = {}
        self._nodes: list[WorkerController] = []
        self._refused = False

    @property
    def nodes(self) -> list[WorkerController]:
        """The workers that are up."""
        return self.stock.nodes if self.stock else list(self._nodes)

    @property
    def collection_is_completed(self) -> bool:
        """Whether every first worker has sent what it collected."""
        if self.stock:
            return bool(self.stock.collection_is_completed)
        return self.dispatch is not None or len(self._collections) >= self._workers

    @property
    def tests_finished(self) -> bool:
        """Whether nothing is left to hand out or to wait for."""
        if self.stock:
            return bool(self.stock.tests_finished)
        return self._refused or (self.dispatch is not None and self.dispatch.finished)

    @property
    def has_pending(self) -> bool:
        """Whether tests have been or will be handed out."""
        if self.stock:
            return bool(self.stock.has_pending)
        return self.dispatch is not None and not self.dispatch.finished

    def add_node(self, node: WorkerController) -> None:
        """A worker has started."""
        if self.stock:
            self.stock.add_node(node)
        else:
            self._nodes.append(node)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """A worker has sent the ids of its tests, in its order."""
        if self.stock:
            self.stock.add_node_collection(node, collection)
        elif self.dispatch is None:
            self._collections[node] = list(collection)
            self.collection = self.collection or list(collection)
        elif list(collection) == self.collection:
            self.dispatch.add(node)
        else:
            self._report_difference(self.collection, "the first workers", node, collection)
            if not self.dispatch.queues:
                self._host.stop("a worker that replaces a crashed one has collected other tests")

    def schedule(self) -> None:
        """Start handing out tests, or go on after a worker was replaced."""
        if self.stock:
            self.stock.schedule()
        elif self.dispatch is None:
            self._start()
        else:
            self._send()

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """A worker has finished a test."""
        if self.stock:
            self.stock.mark_test_complete(node, item_index, duration)
        elif self.dispatch is not None and item_index < len(self.collection):
            self.dispatch.complete(node, item_index, duration)
            self._send()

    def mark_test_pending(self, item: str) -> None:
        """A test is to be run once more."""
        if self.stock:
            self.stock.mark_test_pending(item)
        elif self.dispatch is not None:
            self.dispatch.put_back(self.collection.index(item))

    def remove_pending_tests_from_node(
        self, node: WorkerController, indices: Sequence[int]
    ) -> None:
        """Answer to "steal", which only a stock scheduler sends."""
        self.stock.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone; returns the id of the test it was at, if any.

        Raises:
            KeyError: It never was there; xdist expects it when a worker dies on its way up.
        """
        if self.stock:
            crashed: str | None = self.stock.remove_node(node)
            return crashed
        if node not in self._nodes:
            raise KeyError(node)
        self._nodes.remove(node)
        self._collections.pop(node, None)
        at = self.dispatch.remove(node) if self.dispatch is not None else None
        if at is None:
            return None
        self.crashes[at] = self.crashes.get(at, 0) + 1
        return self.collection[at]

    def handle_crash(self, item: str) -> int:
        """Run a crashed test again or, if it crashed too often, take that as its outcome.

        Returns:
            How often it has crashed if it will be run again, else 0.
        """
        if self.dispatch is None:
            return 0
        index = self.collection.index(item)
        if self.crashes.get(index, 0) <= CRASHES_FORGIVEN:
            self.dispatch.put_back(index)
            return self.crashes[index]
        self.dispatch.decide(index)
        return 0

    def undecided(self) -> dict[str, bool]:
        """The tests nobody has run to the end, each with whether it took a worker down."""
        if self.stock or self._refused:
            return {}
        decided = self.dispatch.decided if self.dispatch is not None else ()
        return {
            nodeid: index in self.crashes
            for index, nodeid in enumerate(self.collection)
            if index not in decided
        }

    def _start(self) -> None:
        first = next(iter(self._collections))
        graph = self._host.graph_of(first.gateway.id)
        if self._report_different(first):
            self._refused = True
        elif graph is None:
            self._hand_over()
        elif (errors := self._host.collection_errors()) or (reason := self._host.begin()):
            plural = "s" if errors != 1 else ""
            self._host.stop(f"{errors} error{plural} during collection" if errors else reason)
            self._refused = True
        else:
            self.collection = self._collections[first]
            self.dispatch = Dispatch(graph)
            for node in self._collections:
                self.dispatch.add(node)
            self._send()

    def _report_different(self, first: WorkerController) -> bool:
        """Whether workers have collected different tests; each difference is reported."""
        expected = self._collections[first]
        different = [n for n, ids in self._collections.items() if ids != expected]
        for node in different:
            self._report_difference(expected, first.gateway.id, node, self._collections[node])
        return bool(different)

    def _report_difference(
        self, expected: list[str], whose: str, node: WorkerController, collection: Sequence[str]
    ) -> None:
        diff = report_collection_diff(expected, collection, whose, node.gateway.id)
        report = pytest.CollectReport(
            nodeid=node.gateway.id, outcome="failed", longrepr=diff, result=[]
        )
        self.config.hook.pytest_collectreport(report=report)

    def _hand_over(self) -> None:
        self.stock = self._make_stock()
        for node in self._nodes:
            self.stock.add_node(node)
        for node, collection in self._collections.items():
            self.stock.add_node_collection(node, collection)
        self.stock.schedule()

    def _send(self) -> None:
        """Send what may start now; the filler behind it lets the last one start at once."""
        if self.dispatch is None or all(node.shutting_down for node in self._nodes):
            # After -x: a worker that has been told to end would never run what is sent now, and
            # xdist would take that for a crash.
            return
        filler = len(self.collection)
        for node, indices in self.dispatch.next_batches().items():
            node.send_runtest_some([*indices, filler])
