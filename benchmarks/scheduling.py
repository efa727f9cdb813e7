"""What the plugin costs: each figure is a ratio to a peer that is measured in the same run.

``python benchmarks/scheduling.py [--rounds N] [--tests N]``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.event import TaskParked
from pytest_orchestrator._run.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES = 1000
EVENT = TaskParked(part="core_phase2", task="core-domain", reason="gate S1 is not judged")

RUNBOOK = """
[run]
name = "benchmark"

[agents.core]
role = "developer"
owns = ["src/"]

[tasks.build]
agent = "core"
phase = 1
brief = "brief.md"

[gates.S1]
title = "It is there"
phase = 1
tests = "gates/test_s1.py"
needs = ["build"]
"""
GATE = """
import pytest

pytestmark = pytest.mark.gate("S1")

def test_gate():
    pass
"""
# The time from the first test to the last, as the controller sees it: starting
# Python and collecting cost the same on both sides, and would hide the difference.
CONFTEST = """
import time

seen = []

def pytest_runtest_logstart():
    seen.append(time.perf_counter())

pytest_runtest_logfinish = pytest_runtest_logstart

def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        print(f"took {seen[-1] - seen[0]:.6f}")
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What was measured.
        ours_s: Seconds of each round with the plugin.
        peers_s: Seconds of each round with the peer.
        count: What a round did so many times.
    """

    what: str
    ours_s: list[float]
    peers_s: list[float]
    count: int

    def __str__(self) -> str:
        ratios = sorted(o / p for o, p in zip(self.ours_s, self.peers_s, strict=True))
        ours, peers = (statistics.median(s) / self.count * 1e6 for s in (self.ours_s, self.peers_s))
        median = statistics.median(ratios)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        best = min(self.ours_s) / min(self.peers_s)
        columns = f"{median:>5.2f}  {spread:>14}  {best:>5.2f}  {ours:>8.0f}  {peers:>8.0f}"
        return f"{self.what:<46} {columns}"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="Rounds of each (default: 7)")
    parser.add_argument("--tests", type=int, default=1000, help="Trivial tests (default: 1000)")
    asked = parser.parse_args()
    print(_machine())
    print(f"{'':<46} {'ratio':>5}  {'rounds':>14}  {'best':>5}  {'ours us':>8}  {'peer us':>8}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_project(root, asked.tests)
        for what, paths in (
            ("runbook, nothing to orchestrate / without it", ["free"]),
            ("next to a gate / stock --dist=load", ["free", "gates"]),
        ):
            ours = partial(_pytest, root, *paths, "--agents=off")
            peer = partial(_pytest, root, *paths, "-p", "no:orchestrator", "--dist=load")
            print(_compare(what, ours, peer, asked.rounds, asked.tests), flush=True)
        for what, make_ours, make_peer in (
            ("ledger append / plain sqlite insert", _append, _insert),
            ("ledger claim / plain flock and insert", _claim, _lock_and_insert),
        ):
            place = Path(tempfile.mkdtemp(dir=root))
            print(_compare(what, make_ours(place), make_peer(place), asked.rounds, WRITES))


def _compare(
    what: str, ours: Callable[[], float], peer: Callable[[], float], rounds: int, count: int
) -> Figure:
    """Measure both in turn, so that whatever else the machine does hits both."""
    ours()  # from here on, files and caches are warm
    peer()
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return Figure(what, [pair[0] for pair in pairs], [pair[1] for pair in pairs], count)


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}, pytest {version('pytest')}, "
        f"pytest-xdist {version('pytest-xdist')}, SQLite {sqlite3.sqlite_version}"
    )


def _write_project(root: Path, tests: int) -> None:
    trivial = "\n\n".join(f"def test_{number}():\n    pass" for number in range(tests))
    files = {
        "runbook.toml": RUNBOOK, "brief.md": "Build it.", "conftest.py": CONFTEST,
        "pytest.ini": "[pytest]", "gates/test_s1.py": GATE, "free/test_free.py": trivial,
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)


def _pytest(root: Path, *arguments: str) -> float:
    """Seconds from the first test to the last."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider", "-p", "no:randomly",
        "-W", "ignore::pytest.PytestUnknownMarkWarning", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return float(done.stdout.rpartition("took ")[2])


def _timed(work: Callable[[int], object]) -> float:
    began_s = time.perf_counter()
    for number in range(WRITES):
        work(number)
    return time.perf_counter() - began_s


def _append(folder: Path) -> Callable[[], float]:
    ledger = Ledger(folder / "ours")
    return lambda: _timed(lambda _: ledger.append(EVENT))


def _insert(folder: Path) -> Callable[[], float]:
    database = _plain(folder)
    return lambda: _timed(lambda _: _write(database))


def _claim(folder: Path) -> Callable[[], float]:
    ledger = Ledger(folder / "ours")

    def claim(number: int) -> None:
        claimed = ledger.claim(f"n{number}", session="s", worker="gw0", still=lambda _: True)
        if claimed is None:
            raise SystemExit("somebody else has the claim")
        claimed[0].release()

    return lambda: _timed(claim)


def _lock_and_insert(folder: Path) -> Callable[[], float]:
    database = _plain(folder)

    def lock_and_insert(number: int) -> None:
        with (folder / f"n{number}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(database)

    return lambda: _timed(lock_and_insert)


def _plain(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, at_s REAL, body TEXT)")
    return database


def _write(database: sqlite3.Connection) -> None:
    body = EVENT.model_dump_json()
    database.execute("INSERT INTO event (at_s, body) VALUES (?, ?)", (time.time(), body))


if __name__ == "__main__":
    main()
