"""How soon a task that waits for a contract begins once that is published, across processes.

``python benchmarks/signal_latency.py [--rounds N]``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._backends.nop import Nop
from pytest_orchestrator._domain.event import AttemptStarted, ContractPublished
from pytest_orchestrator._domain.plan import Part, Plan, Task
from pytest_orchestrator._domain.runbook import Files, parse_runbook
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator._plugin.referee import ContractReferee
from pytest_orchestrator._run.deliveries import Deliveries
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import FileLock
from pytest_orchestrator._run.registry import Registry
from pytest_orchestrator._run.runner import PhaseRunner
from pytest_orchestrator._run.watch import Claim, Watch
from pytest_orchestrator._run.workspace import Workspaces

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Event

PUBLISHER, CONSUMER = Part("left", 1), Part("right", 1)
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "x", "version": "1"},
    "paths": {"/health": {"get": {"responses": {"200": {"description": "Fine."}}}}},
}
LIMIT_S = 60.0


class Content:
    """A judge to whom everything is right: what is measured is the way to the task."""

    def own_checks(self, task: Task, tree: Path) -> Verdict:
        """Nothing is wrong with a task."""
        del tree
        return Verdict(task.name)

    def gates(self, part: Part, tree: Path) -> Verdict:
        """Nothing is wrong with a lane."""
        del tree
        return Verdict(str(part))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="Contracts (default: 60)")
    parser.add_argument("--consume", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.consume:
        consume(Path(asked.consume), asked.rounds)
        return
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {asked.rounds} rounds")
    print(f"{'':<52} {'median ms':>9}  {'p95 ms':>7}  {'most ms':>7}")
    with tempfile.TemporaryDirectory() as folder:
        _tell("from published to the waiting task's start", _signals(Path(folder), asked.rounds))
    _tell("peer: multiprocessing.Event, set to seen", _wakes(asked.rounds))


def _tell(what: str, seconds: list[float]) -> None:
    inner = statistics.quantiles(seconds, n=20)
    columns = (statistics.median(seconds), inner[-1], max(seconds))
    print(
        f"{what:<52} {columns[0] * 1e3:>9.2f}  {columns[1] * 1e3:>7.2f}  {columns[2] * 1e3:>7.2f}"
    )


def _signals(folder: Path, rounds: int) -> list[float]:
    """Publish one contract after the other while another process's runner waits for each."""
    plan, ledger = _plan(rounds), Ledger(folder / "run")
    lock = FileLock(folder / "run" / "run.lock")
    lock.acquire()
    registry = Registry(plan, ledger, ContractReferee())
    command = [sys.executable, __file__, "--consume", str(folder), "--rounds", str(rounds)]
    with subprocess.Popen(command) as consumer:
        _until(lambda: str(CONSUMER) in ledger.state().claims)
        time.sleep(1.0)
        for number in range(rounds):
            # Not in step with the other side's looks at the ledger.
            time.sleep(0.05 + number % 10 / 300)
            contract = plan.contracts[f"c{number}"]
            registry.publish(contract, {contract.path: json.dumps(SPEC).encode()}, PUBLISHER)
            task = f"t{number}"
            _until(partial(_is_done, ledger, task))
        consumer.wait(LIMIT_S)
    lock.release()
    return _latencies(ledger)


def _is_done(ledger: Ledger, task: str) -> bool:
    return task in ledger.state().tasks_done


def _latencies(ledger: Ledger) -> list[float]:
    published: dict[str, float] = {}
    found = []
    for entry in ledger.entries():
        match entry.event:
            case ContractPublished(name=name):
                published[name] = entry.at_s
            case AttemptStarted(task=task):
                found.append(entry.at_s - published[f"c{task[1:]}"])
    return found


def consume(folder: Path, rounds: int) -> None:
    """What the consumer's runner process does, with an agent that is done at once."""
    plan, ledger = _plan(rounds), Ledger(folder / "run")
    (folder / "project").mkdir()
    workspaces = Workspaces(plan, ledger.folder, folder / "project")
    claimed = ledger.claim(str(CONSUMER), session="s", worker="w", still=lambda _: True)
    if claimed is None:
        raise SystemExit("somebody else has the claim")
    claim = Claim(str(CONSUMER), "s", claimed[1])
    registry = Registry(plan, ledger, ContractReferee())
    deliveries = Deliveries(plan, ledger, workspaces, registry, CONSUMER)
    watch = Watch(Ledger(folder / "run"), folder / "run" / "run.lock", claim)
    PhaseRunner(
        plan, ledger, workspaces, Nop(folder), Content(), registry, deliveries, claim, watch,
        CONSUMER,
    ).run()  # fmt: skip


def _plan(rounds: int) -> Plan:
    """One lane publishes so many contracts; each task of the other waits for one of them."""
    document = {
        "run": {"name": "benchmark"},
        "agents": {lane: {"role": "developer", "owns": [f"{lane}/"]} for lane in ("left", "right")},
        "contracts": {
            f"c{n}": {
                "kind": "openapi", "path": f"docs/contracts/c{n}.json", "publisher": "left",
                "consumers": ["right"],
            }
            for n in range(rounds)
        },
        "tasks": {
            "publish": {
                "agent": "left", "phase": 1, "brief": "brief.md",
                "publishes": [f"c{n}" for n in range(rounds)],
            },
            **{
                f"t{n}": {"agent": "right", "phase": 1, "brief": "brief.md", "needs": [f"c{n}"]}
                for n in range(rounds)
            },
        },
        "gates": {},
        "services": {},
        "stacks": {},
        "budget": {},
    }  # fmt: skip
    return parse_runbook(document, source="benchmark", files=Files({"brief.md": "Do it."}))


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"waited {LIMIT_S:g} s in vain")
        time.sleep(0.005)


def _wakes(rounds: int) -> list[float]:
    """What the kernel needs to wake another process, and nothing else."""
    context = multiprocessing.get_context("spawn")
    go, done = context.Event(), context.Event()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_wait, args=(go, done, sender, rounds))
    process.start()
    done.wait()
    found = []
    for number in range(rounds):
        time.sleep(0.05 + number % 10 / 300)
        done.clear()
        set_s = time.time()
        go.set()
        found.append(receiver.recv() - set_s)
        done.wait()
    process.join()
    return found


def _wait(go: Event, done: Event, sender: Connection, rounds: int) -> None:
    done.set()
    for _ in range(rounds):
        go.wait()
        sender.send(time.time())
        go.clear()
        done.set()


if __name__ == "__main__":
    main()
