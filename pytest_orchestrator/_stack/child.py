"""Commands that end, with all they started, when they are told to or their owner dies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._stack.supervise import TERMINATE
from pytest_orchestrator.errors import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

_SUPERVISE = Path(__file__).with_name("supervise.py")
# More than the supervisor takes at worst.
_PATIENCE_S = 10.0
_POLL_S = 0.05


class Child:
    """A command under a supervisor (see ``supervise.py``), running from the start.

    It gets no input; its output is appended to a log. ``pid`` is its process id
    and that of its process group. If it could not be started, ``pid`` is the
    supervisor's, the log says why and the exit status is 127.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        hold_fds: Sequence[int] = (),
    ) -> None:
        """Start the command in ``folder``.

        Args:
            command: Program and arguments.
            folder: Its working folder.
            environment: All its environment variables.
            log: Where its output is appended; written by nobody else meanwhile.
            hold_fds: Descriptors the supervisor keeps open for as long as anything of the
                command may be alive; a lock among them is held exactly as long.
        """
        self._owner, theirs = socket.socketpair()
        fd = theirs.fileno()
        with theirs, log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISE), str(fd), *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(fd, *hold_fds),
                # A terminal's Ctrl-C goes to us alone; we then end it in order.
                start_new_session=True,
            )
        with self._owner.makefile("rb") as lines:
            line = lines.readline()
        self.pid = int(line) if line else self._supervisor.pid

    def poll(self) -> int | None:
        """The exit status, 128 plus the signal if one killed it; ``None`` while it runs."""
        status = self._supervisor.poll()
        return None if status is None else self._over(status)

    def wait(self, timeout_s: float) -> int | None:
        """Like ``poll``, but give it some time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._supervisor.wait(timeout_s)
        return self.poll()

    def terminate(self) -> None:
        """Send SIGTERM to the command alone; what it has started is left to it until ``end``."""
        with contextlib.suppress(OSError):
            self._owner.send(TERMINATE)

    def ask_to_end(self) -> None:
        """Have the whole group ended, without waiting for it."""
        # Not `close`: a copy of the socket in a forked process would keep it open.
        with contextlib.suppress(OSError):
            self._owner.shutdown(socket.SHUT_RDWR)

    def end(self) -> int:
        """End the whole group if it still runs; return the exit status."""
        self.ask_to_end()
        status = self.wait(_PATIENCE_S)
        if status is None:  # the supervisor hangs, e.g. because somebody stopped it
            self._supervisor.kill()
            status = self._over(self._supervisor.wait())
        return status

    def _over(self, status: int) -> int:
        self._owner.close()
        if status < 0:  # killed, so it ended nobody
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        return status if status >= 0 else 128 - status


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    deadline_s: float,
    stop: threading.Event,
    hold_fds: Sequence[int] = (),
) -> int | None:
    """Run a command to its end; nothing of it is left when this returns or raises.

    Args:
        command: Program and arguments.
        folder: Its working folder.
        environment: All its environment variables.
        log: Where its output is appended.
        deadline_s: The point of ``time.monotonic`` at which it is ended.
        stop: Set by another thread to have it ended.
        hold_fds: As for ``Child``.

    Returns:
        The exit status; ``None`` if the deadline came first.

    Raises:
        Cancelled: ``stop`` was set.
    """
    child = Child(command, folder=folder, environment=environment, log=log, hold_fds=hold_fds)
    try:
        while (status := child.wait(_POLL_S)) is None:
            if stop.is_set():
                message = f"{command[0]} was ended because the session is stopping"
                raise Cancelled(message)
            if time.monotonic() > deadline_s:
                return None
        return status
    finally:
        child.end()
