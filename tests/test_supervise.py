"""A command under supervision leaves nothing behind, however it or its owner ends."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_orchestrator._stack import supervise
from pytest_orchestrator._stack.child import Child
from tests.small_services import DEADLINE_S, all_dead, wait_until

# Forks; both processes hold a lock, which is free when the last of them is dead, and add to
# `ready` once they are. The mode says what they make of SIGTERM, and whether the first leaves.
HOLDER = """
    import fcntl, os, signal, sys, time
    held, mode = open("held", "w"), sys.argv[1]
    with open("supervisor", "w") as supervisor:
        supervisor.write(str(os.getppid()))
    fcntl.flock(held, fcntl.LOCK_SH)
    in_child = os.fork() == 0
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "polite" and in_child:
        signal.signal(signal.SIGTERM, lambda *_: (open("said goodbye", "w").close(), os._exit(0)))
    with open("ready", "a") as ready:
        ready.write("x")
    while True:
        if mode in ("polite", "leaving") and not in_child and os.path.getsize("ready") == 2:
            os._exit(4)
        time.sleep(0.01)
"""


@pytest.fixture
def holder(tmp_path: Path) -> list[str]:
    """The command of a program that forks and holds a lock; takes a mode."""
    script = tmp_path / "holder.py"
    script.write_text(textwrap.dedent(HOLDER))
    return [sys.executable, str(script)]


def both_run(folder: Path) -> bool:
    """Whether the holder and the process it forked hold the lock."""
    ready = folder / "ready"
    return ready.exists() and ready.stat().st_size == 2


def start(command: list[str], folder: Path) -> Child:
    """Run a command in a folder, its output in ``log``."""
    return Child(command, folder=folder, environment=dict(os.environ), log=folder / "log")


def python(code: str) -> list[str]:
    """The command that runs a line of Python."""
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.abort()", 128 + signal.SIGABRT),
    ],
)
def test_exit_status_is_passed_on(tmp_path: Path, code: str, status: int) -> None:
    """The command's status becomes the supervisor's, 128 plus the signal that killed it."""
    child = start(python(code), tmp_path)

    assert status == child.wait(DEADLINE_S)


def test_command_that_is_not_there(tmp_path: Path) -> None:
    """A command that cannot be run has status 127, and the log says why."""
    child = start(["no-such-command"], tmp_path)

    assert supervise.NOT_STARTED == child.wait(DEADLINE_S)
    assert (tmp_path / "log").read_text() == (
        "no-such-command cannot be run: No such file or directory\n"
    )


def test_command_leads_a_group_without_our_descriptors(tmp_path: Path) -> None:
    """The command's group and session are its own; it has no input and no descriptor of ours."""
    code = """if True:
        import os, sys
        def is_open(fd):
            try:
                os.fstat(fd)
            except OSError:
                return False
            return True
        opened = [fd for fd in range(3, 99) if is_open(fd)]
        print(os.getpid() == os.getpgrp(), repr(sys.stdin.read()), opened, os.getsid(0))
    """

    assert start(python(code), tmp_path).wait(DEADLINE_S) == 0

    leads, read, opened, session = (tmp_path / "log").read_text().split()
    assert (leads, read, opened) == ("True", "''", "[]")
    assert int(session) != os.getsid(0)


@pytest.mark.parametrize("mode", ["obedient", "stubborn"])
def test_end_ends_the_whole_group(tmp_path: Path, holder: list[str], mode: str) -> None:
    """Ending a command ends also what it forked, even if both ignore SIGTERM."""
    child = start([*holder, mode], tmp_path)
    wait_until(lambda: both_run(tmp_path))
    assert not all_dead(tmp_path)

    status = child.end()

    assert all_dead(tmp_path)
    assert status == 128 + (signal.SIGKILL if mode == "stubborn" else signal.SIGTERM)


def test_sigterm_to_the_supervisor_ends_the_group(tmp_path: Path, holder: list[str]) -> None:
    """Who ends the supervisor, by name or by id, ends what it supervises."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-IS", supervise.__file__, str(theirs.fileno()), *holder]
        process = subprocess.Popen(
            [*command, "obedient"], cwd=tmp_path, pass_fds=[theirs.fileno()], start_new_session=True
        )
        wait_until(lambda: both_run(tmp_path))

        process.terminate()

        assert process.wait(DEADLINE_S) == 128 + signal.SIGTERM
        assert all_dead(tmp_path)


@pytest.mark.parametrize("mode", ["polite", "leaving"])
def test_what_a_command_leaves_behind_is_ended(
    tmp_path: Path, holder: list[str], mode: str
) -> None:
    """When the command exits, what it forked gets SIGTERM and the time to act on it."""
    child = start([*holder, mode], tmp_path)

    assert child.wait(DEADLINE_S) == 4

    assert all_dead(tmp_path)
    assert (tmp_path / "said goodbye").exists() is (mode == "polite")


@pytest.mark.parametrize("mode", ["obedient", "stubborn"])
def test_terminated_command_is_left_to_clear_up(
    tmp_path: Path, holder: list[str], mode: str
) -> None:
    """Only the command gets SIGTERM; what it has forked lives until it is ended."""
    child = start([*holder, mode], tmp_path)
    wait_until(lambda: both_run(tmp_path))

    child.terminate()

    assert child.wait(0.5) is None
    assert not all_dead(tmp_path)
    status = child.end()
    assert status == (137 if mode == "stubborn" else 143)
    assert all_dead(tmp_path)


def test_terminated_command_that_leaves_nothing_is_over(tmp_path: Path) -> None:
    """A command that obeys is not waited for any longer; its owner may have said it twice."""
    child = start(python("import time; open('up', 'w').close(); time.sleep(600)"), tmp_path)
    wait_until((tmp_path / "up").exists)

    child.terminate()
    child.terminate()

    assert child.wait(DEADLINE_S) == 143
    child.terminate()


def test_killed_supervisor_is_made_up_for(tmp_path: Path, holder: list[str]) -> None:
    """When somebody kills the supervisor, its owner ends the group as soon as it looks."""
    child = start([*holder, "stubborn"], tmp_path)
    wait_until(lambda: both_run(tmp_path))

    os.kill(int((tmp_path / "supervisor").read_text()), signal.SIGKILL)

    assert child.wait(DEADLINE_S) == 128 + signal.SIGKILL
    wait_until(lambda: all_dead(tmp_path))


@pytest.mark.parametrize("mode", ["obedient", "stubborn"])
def test_killed_owner_leaves_nothing(tmp_path: Path, holder: list[str], mode: str) -> None:
    """``kill -9`` of the owner ends the command and what it forked."""
    code = (
        "import os, pathlib, sys, time; from pytest_orchestrator._stack.child import Child; "
        "child = Child(sys.argv[1:], folder=pathlib.Path(), environment=dict(os.environ), "
        "log=pathlib.Path('log')); time.sleep(600)"
    )
    root = str(Path(supervise.__file__).parents[2])
    owner = subprocess.Popen(
        [*python(code), *holder, mode], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}
    )
    try:
        wait_until(lambda: both_run(tmp_path))
        assert not all_dead(tmp_path)
    finally:
        owner.kill()
        owner.wait()

    wait_until(lambda: all_dead(tmp_path))


def test_descriptor_beyond_the_reach_of_select() -> None:
    """An owner with more than a thousand open files is supervised for like any other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
        high = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD, 1080)
        command = [sys.executable, "-IS", supervise.__file__, str(high), *python("")]
        try:
            done = subprocess.run(command, pass_fds=[high], check=False, start_new_session=True)
        finally:
            os.close(high)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert done.returncode == 0
