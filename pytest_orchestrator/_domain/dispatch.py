"""Handing tests out to workers: only those that nobody has to wait for."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_orchestrator._domain.order import followers

if TYPE_CHECKING:
    from pytest_orchestrator._domain.order import Graph

W = TypeVar("W")

LIGHT_AHEAD_S = 0.05
"""Seconds of light tests queued ahead on a worker; a gate waits about as long behind them."""
LIGHT_AHEAD_MOST = 16
_HEAVY_RANK = 1


class Dispatch(Generic[W]):
    """Who has which test, and who gets what next.

    A test leaves only when all it needs is decided, so a worker never waits and
    no deadlock is possible, whoever crashes. Heavy tests (gates, phases) go to an
    empty worker, and nothing is queued behind them but tests of the same gate.

    Args:
        graph: The tests and their needs.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.decided: set[int] = set()
        self.queues: dict[W, deque[int]] = {}
        self._home: dict[str, W] = {}
        self._mean_s = 0.0
        self._after = followers(graph.needs)
        self._left = [len(needs) for needs in graph.needs]
        self._ranks = [graph.rank(index) for index in range(len(graph.items))]
        self._ready: list[tuple[int, int]] = []
        for index, left in enumerate(self._left):
            if not left:
                self._push(index)

    @property
    def finished(self) -> bool:
        """Whether every test is decided."""
        return len(self.decided) == len(self.graph.items)

    def add(self, worker: W) -> None:
        """A worker is ready for tests."""
        self.queues.setdefault(worker, deque())

    def remove(self, worker: W) -> int | None:
        """A worker is gone; its tests go back, and the one it was at is returned, undecided."""
        queue = self.queues.pop(worker, deque())
        if not queue:
            return None
        at = queue.popleft()
        for index in queue:
            self._push(index)
        return at

    def put_back(self, index: int) -> None:
        """Let a test whose worker is gone be handed out once more; once, however often asked."""
        under_way = any(index in queue for queue in self.queues.values())
        waiting = (self._ranks[index], index) in self._ready
        if not (under_way or waiting):
            self._push(index)

    def complete(self, worker: W, index: int, duration_s: float) -> None:
        """A worker is done with a test."""
        queue = self.queues.get(worker)
        if queue is not None and index in queue:
            queue.remove(index)
        if not self._is_heavy(index):
            self._mean_s = 0.8 * self._mean_s + 0.2 * duration_s if self._mean_s else duration_s
        self.decide(index)

    def decide(self, index: int) -> None:
        """A test has its outcome, whatever it is; those that waited for it may go."""
        if index in self.decided:
            return
        self.decided.add(index)
        for follower in self._after.get(index, ()):
            self._left[follower] -= 1
            if not self._left[follower]:
                self._push(follower)

    def next_batches(self) -> dict[W, list[int]]:
        """What to send to whom now; recorded as sent."""
        batches: dict[W, list[int]] = {}
        kept: list[tuple[int, int]] = []
        while self._ready:
            _, index = entry = heapq.heappop(self._ready)
            if index in self.decided:
                continue
            # Light tests wait while a heavy one does: they would keep its worker from emptying.
            worker = None if kept and not self._is_heavy(index) else self._worker_for(index)
            if worker is not None:
                self.queues[worker].append(index)
                batches.setdefault(worker, []).append(index)
                continue
            kept.append(entry)
            if not self._is_heavy(index):
                break
        for entry in kept:
            heapq.heappush(self._ready, entry)
        return batches

    def _push(self, index: int) -> None:
        heapq.heappush(self._ready, (self._ranks[index], index))

    def _is_heavy(self, index: int) -> bool:
        return self._ranks[index] <= _HEAVY_RANK

    def _worker_for(self, index: int) -> W | None:
        """The worker of its group if that one is free, else the least busy one that is."""
        able = [w for w, queue in self.queues.items() if self._has_room(queue, index)]
        if not able:
            return None
        group = self.graph.group(index)
        home = self._home.get(group)
        if home in able:
            return home
        others = {w for g, w in self._home.items() if g != group}
        chosen = min(able, key=lambda w: (len(self.queues[w]), w in others))
        if group:
            self._home[group] = chosen
        return chosen

    def _has_room(self, queue: deque[int], index: int) -> bool:
        if self._is_heavy(index):
            group = self.graph.group(index)
            together = self._ranks[index] == 0
            return not queue or (
                together and all(self.graph.group(other) == group for other in queue)
            )
        if any(self._is_heavy(other) for other in queue):
            return False
        ahead = int(LIGHT_AHEAD_S / self._mean_s) if self._mean_s else 1
        return len(queue) < max(1, min(LIGHT_AHEAD_MOST, ahead))
