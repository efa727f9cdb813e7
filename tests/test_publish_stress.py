"""Many processes publish one contract at once, and some are killed while they do."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from pytest_orchestrator._domain.event import ContractPublished
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.registry import Unpublished
from tests.publishing import publish_for_ever, publish_times, registry_of

PROCESSES, TIMES, KILLS = 16, 25, 60
pytestmark = pytest.mark.slow


@pytest.fixture
def processes() -> ForkServerContext:
    """Processes that begin at once, with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.publishing"])
    return context


def revisions(folder: Path) -> list[ContractPublished]:
    """Everything that was published, in order."""
    ledger = Ledger(folder)
    try:
        events = [entry.event for entry in ledger.entries()]
    finally:
        ledger.close()
    return [event for event in events if isinstance(event, ContractPublished)]


def assert_consistent(folder: Path) -> int:
    """Every revision there is has its bytes, and none is missing; returns how many."""
    published = revisions(folder)
    _, registry = registry_of(folder)
    assert list(range(1, len(published) + 1)) == [event.revision for event in published]
    for event in published[-3:]:
        assert event == registry.read("api", event.revision)[0]
    return len(published)


def test_sixteen_processes_publish_without_a_gap(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    """Four hundred publications, each on top of what its publisher has seen: 400 revisions."""
    started = [
        processes.Process(target=publish_times, args=(tmp_path, who, TIMES))
        for who in range(PROCESSES)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=300)

    assert [0] * PROCESSES == [process.exitcode for process in started]
    assert assert_consistent(tmp_path) == PROCESSES * TIMES
    _, registry = registry_of(tmp_path)
    texts = {registry.read("api", r)[1] for r in range(1, PROCESSES * TIMES + 1)}
    assert texts == {f"{who} {n}".encode() for who in range(PROCESSES) for n in range(TIMES)}


def test_publishers_that_are_killed_leave_nothing_half_done(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    """Sixty times, at random: the registry is whole after each, and so is what anybody reads."""
    over = threading.Event()
    wrong: list[BaseException] = []
    reads = [0]

    def read_all_the_time() -> None:
        _, registry = registry_of(tmp_path)
        while not over.is_set():
            try:
                _, data = registry.read("api")  # compares digests
                assert data.endswith(b" end")
                reads[0] += 1
            except Unpublished:
                pass
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test has to know
                wrong.append(error)
                return

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    chance = random.Random(0)  # noqa: S311 - no secret
    found = 0
    try:
        for number in range(KILLS):
            process = processes.Process(target=publish_for_ever, args=(tmp_path, number))
            process.start()
            while not (tmp_path / f"{number}.ready").exists():
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.2))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            found = assert_consistent(tmp_path)
    finally:
        over.set()
        reader.join()

    assert not wrong
    assert found > KILLS
    assert reads[0] > KILLS
