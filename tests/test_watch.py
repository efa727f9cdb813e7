"""What ends a runner: it never outlives the pytest run, its claim or its budget."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_orchestrator._domain.event import SessionCancelled
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import FileLock
from pytest_orchestrator._run.watch import Claim, Watch
from tests.histories import claimed

# A runner whose agent sleeps, or does not even listen when it is asked to end.
RUNNER = """
import os, subprocess, sys
from pathlib import Path
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.watch import Claim, Watch

assert os.getpgid(0) == os.getpid(), "it would end whoever started it"
folder, agent = Path(sys.argv[1]), sys.argv[2]
child = subprocess.Popen([sys.executable, "-c", agent], stdout=subprocess.PIPE, stderr=1)
child.stdout.readline()
watch = Watch(Ledger(folder), folder / "run.lock", Claim("node", "now", 1))
watch.start(on_deadline=lambda: (folder / "late").touch())
print("up", flush=True)
if len(sys.argv) > 3:
    watch.allow(0.0)
child.wait()
(folder / "went-on").touch()
"""
SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
DEADLINE_S = 30.0


class Runner:
    """A runner at work on a claim of a run that is alive."""

    def __init__(self, folder: Path, agent: str = SLEEPS, *more: str) -> None:
        self.folder = folder
        self.ledger = Ledger(folder)
        self.ledger.append(claimed("node"))
        self.run_lock = FileLock(folder / "run.lock")
        self.run_lock.acquire()
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(folder), agent, *more], stdout=subprocess.PIPE,
            text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def wait(self) -> None:
        """Wait until it is gone and its agent too, which could still write to its output."""
        self.process.communicate(timeout=DEADLINE_S)

    def kill(self) -> None:
        """See to it that a failed test leaves nothing behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    """Starts runners."""
    runners: list[Runner] = []

    def make(agent: str = SLEEPS, *more: str) -> Runner:
        runners.append(Runner(tmp_path, agent, *more))
        return runners[-1]

    yield make
    for runner in runners:
        runner.kill()


def session_dies(runner: Runner) -> None:
    """The pytest run is gone, kill -9 included: the kernel has freed its lock."""
    runner.run_lock.release()


def session_stops(runner: Runner) -> None:
    """Ctrl-C, or ``-x`` after a failure."""
    runner.ledger.append(SessionCancelled(session="now", reason="interrupted"))


def claim_is_lost(runner: Runner) -> None:
    """Somebody else has claimed the node since."""
    runner.ledger.append(claimed("node"))


def ledger_is_damaged(runner: Runner) -> None:
    """A runner that cannot see whether it is wanted is not wanted."""
    runner.ledger._db.execute("INSERT INTO event (at_s, body, seal) VALUES (0, 'nonsense', x'00')")


def somebody_ends_it(runner: Runner) -> None:
    """A polite signal to the runner alone."""
    runner.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "happens", [session_dies, session_stops, claim_is_lost, ledger_is_damaged, somebody_ends_it]
)
def test_runner_ends_with_its_agent(
    start: Callable[..., Runner], happens: Callable[[Runner], None]
) -> None:
    """Whatever the reason, both are gone, and nothing is made of what the agent left half done."""
    runner = start()
    assert runner.process.poll() is None

    happens(runner)
    runner.wait()

    assert not (runner.folder / "went-on").exists()
    assert not (runner.folder / "late").exists()


def test_agent_that_does_not_listen_is_killed(start: Callable[..., Runner]) -> None:
    """After a grace period nobody is asked any more."""
    runner = start(STUBBORN)

    session_dies(runner)
    runner.wait()

    assert -signal.SIGKILL == runner.process.returncode
    assert not (runner.folder / "went-on").exists()


def test_task_that_takes_too_long_is_ended_and_that_is_recorded(
    start: Callable[..., Runner],
) -> None:
    """Whoever is to say so is called before the end."""
    runner = start(SLEEPS, "no time at all")

    runner.wait()

    assert (runner.folder / "late").exists()


def test_watch_sees_no_reason_while_all_is_well(tmp_path: Path) -> None:
    """The run lives, the claim is the latest, and the time is not up, or does not count."""
    ledger, lock = Ledger(tmp_path), FileLock(tmp_path / "run.lock")
    watch = Watch(ledger, lock.path, Claim("node", "now", ledger.append(claimed("node"))))
    lock.acquire()
    ledger.append(SessionCancelled(session="before", reason="long ago"))
    ledger.append(claimed("another"))

    watch.allow(600.0)
    assert not watch._is_over()
    watch.allow(0.0)
    watch.allow(None)
    assert not watch._is_over()


ENDING = """
import sys, threading, time
from pathlib import Path
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import FileLock
from pytest_orchestrator._run.watch import Claim, Watch

folder = Path(sys.argv[1])
lock = FileLock(folder / "run.lock")
lock.acquire()
threading.Thread.start = lambda self: None  # as if it had ended with its process
Watch(Ledger(folder), folder / "run.lock", Claim("node", "now", 1)).start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_runner_that_is_ended_while_it_ends_does_not_stay(tmp_path: Path) -> None:
    """Its watching thread is gone by then, and its claim would be held for ever."""
    ledger = Ledger(tmp_path)
    ledger.append(claimed("node"))
    ledger.close()
    with subprocess.Popen(
        [sys.executable, "-c", ENDING, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as runner:  # fmt: skip
        assert runner.stdout is not None
        assert runner.stdout.readline() == "up\n"

        runner.terminate()

        assert runner.wait(DEADLINE_S) == -signal.SIGKILL
