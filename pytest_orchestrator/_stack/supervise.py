"""Run a command so that neither it nor what it started outlives its owner.

Usage: ``python -I -S supervise.py FD COMMAND...``, in a session of its own.

FD is one end of a pair of sockets; the other end lives in the owner and nowhere
else. The command leads a process group; its id is written to FD, as a line.
Three things end the group: the owner's end is closed, which the kernel does
also after ``kill -9``; this process gets SIGTERM; the command exits, for what it
has left behind. Ending is SIGTERM, at most ``GRACE_S``, SIGKILL. The command's
exit status becomes this process's own, 128 plus the signal if one killed it.

Before that, the owner may write ``TERMINATE``: the command alone gets SIGTERM, and
what it has started is left to it, until all are gone or the owner's end is closed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time

GRACE_S = 3.0
# SIGKILL needs no grace; but zombies whose new parent is slow to collect them look alive.
KILLED_S = 1.0
NOT_STARTED = 127
TERMINATE = b"T"
_POLL_S = 0.02


def main(owner: int, command: list[str]) -> int:
    """Run the command to its end; return its exit status."""
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    asked_to_end: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: asked_to_end.append(received))
    try:
        child = subprocess.Popen(command, process_group=0)
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
        return NOT_STARTED
    with contextlib.suppress(OSError):  # the owner may be gone already
        os.write(owner, b"%d\n" % child.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(owner, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        left_to_it = False
        while not asked_to_end and _goes_on(child, left_to_it=left_to_it):
            ready = {key.fd for key, _ in selector.select(_POLL_S if left_to_it else None)}
            if owner in ready:
                if _told(owner) != TERMINATE:
                    break
                left_to_it = True
                child.terminate()
            if woken in ready:
                os.read(woken, 512)
    _end_group(child)
    status = child.poll()
    if status is None:  # not even SIGKILL was enough so far
        return 128 + signal.SIGKILL
    return status if status >= 0 else 128 - status


def _goes_on(child: subprocess.Popen[bytes], *, left_to_it: bool) -> bool:
    """Whether there is still something to wait for."""
    return child.poll() is None or (left_to_it and _signal_group(child, 0))


def _told(owner: int) -> bytes:
    """What the owner wrote; nothing: its end is closed."""
    try:
        return os.read(owner, 1)
    except OSError:  # reset: it was closed with our line unread
        return b""


def _end_group(child: subprocess.Popen[bytes]) -> None:
    for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, KILLED_S)):
        deadline_s = time.monotonic() + patience_s
        _signal_group(child, number)
        while _signal_group(child, 0) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)


def _signal_group(child: subprocess.Popen[bytes], number: int) -> bool:
    """Signal the group; whether anybody is left in it."""
    child.poll()  # reaped, or it would count as a member
    try:
        os.killpg(child.pid, number)
    except OSError:  # none there; macOS says "not permitted" when only zombies are
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
