"""Locks that the kernel takes back from the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_orchestrator._run.locks import FileLock, is_free

HOLD = """
import sys
from pathlib import Path
from pytest_orchestrator._run.locks import FileLock

print(FileLock(Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that has taken the lock, and keeps it until its input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_lock_is_held_by_one(tmp_path: Path) -> None:
    """Of two that ask for a lock, the second is told no, until the first lets go."""
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")

    assert first.acquire()
    assert not second.acquire()
    assert not is_free(tmp_path / "a.lock")
    first.release()
    assert is_free(tmp_path / "a.lock")
    assert second.acquire()


def test_asking_whether_it_is_free_does_not_take_it(tmp_path: Path) -> None:
    """Somebody can have the lock right after, even of a file that was not there."""
    path = tmp_path / "locks" / "a.lock"

    assert is_free(path)
    assert FileLock(path).acquire()


def test_releasing_what_is_not_held_does_nothing(tmp_path: Path) -> None:
    """Letting go twice, or of nothing, leaves another holder alone."""
    idle, other = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    other.acquire()

    idle.release()
    idle.release()

    assert not is_free(tmp_path / "a.lock")


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """Nobody has to clean up after kill -9."""
    path = tmp_path / "a.lock"
    process = holder(path)
    assert not FileLock(path).acquire()

    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert FileLock(path).acquire()


def test_lock_is_held_as_long_as_a_child_has_it(tmp_path: Path) -> None:
    """A lock can be handed to a process that is started: ours is let go, its own stays."""
    lock = FileLock(tmp_path / "a.lock")
    lock.acquire()
    assert lock.fd is not None
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE,
        pass_fds=[lock.fd],
    )  # fmt: skip
    lock.release()

    assert not is_free(lock.path)
    child.communicate()
    assert is_free(lock.path)


def test_child_that_is_not_given_the_lock_does_not_hold_it(tmp_path: Path) -> None:
    """What an agent starts does not keep a claim alive by accident."""
    lock = FileLock(tmp_path / "a.lock")
    lock.acquire()
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    lock.release()

    assert is_free(lock.path)
    child.communicate()


def test_only_one_is_inside_at_a_time(tmp_path: Path) -> None:
    """Threads that wait for the lock come in one after the other, all of them."""
    count, most = [0], [0]

    def work() -> None:
        for _ in range(50):
            with FileLock(tmp_path / "a.lock").held():
                count[0] += 1
                inside.append(1)
                most[0] = max(most[0], len(inside))
                inside.pop()

    inside: list[int] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ([200], [1]) == (count, most)


def test_lock_is_released_when_what_it_guards_fails(tmp_path: Path) -> None:
    """An error inside does not keep others out."""
    lock = FileLock(tmp_path / "a.lock")

    with pytest.raises(ZeroDivisionError), lock.held():
        _ = 1 // 0

    assert is_free(lock.path)


def test_holder_leaves_a_word(tmp_path: Path) -> None:
    """Whoever finds the lock taken can read who has it; a longer word before is forgotten."""
    lock = FileLock(tmp_path / "a.lock")
    assert lock.read() == ""
    lock.write("nobody holds it, so nothing is written")
    lock.acquire()
    lock.write("process 12345")

    lock.write("me")

    assert FileLock(tmp_path / "a.lock").read() == "me"
