"""What an agent has started ends with its attempt.

A process that left its group and its session would otherwise go on writing: to the
next agent's workspace, or to a tree while it is judged.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 2.0


def adopt_orphans() -> bool:
    """Have what our descendants leave behind become our children; Linux only.

    Returns:
        Whether it could be done.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 - on demand

    done: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return done == 0


def end_leftovers(spared: frozenset[int] = frozenset()) -> tuple[str, ...]:
    """Kill all descendants of this process, except some and theirs.

    Again and again, since each may have started another one meanwhile.

    Returns:
        The names of those that were still alive, sorted; empty where ``/proc`` is not there.
    """
    names: set[str] = set()
    deadline_s = time.monotonic() + _PATIENCE_S
    while (left := descendants(spared)) and time.monotonic() < deadline_s:
        for pid, name in left.items():
            names.add(name)
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _collect(left)
        time.sleep(0.01)
    return tuple(sorted(names))


def descendants(spared: frozenset[int] = frozenset()) -> dict[int, str]:
    """The processes this one has started, and those they have, by id; zombies left out."""
    if not _PROC.is_dir():
        return {}
    table = {int(entry.name): _about(entry) for entry in _PROC.iterdir() if entry.name.isdigit()}
    found: dict[int, str] = {}
    asked = [os.getpid()]
    while asked:
        parent = asked.pop()
        children = [p for p, told in table.items() if told[0] == parent and p not in spared]
        found |= {pid: table[pid][2] for pid in children if table[pid][1] not in "ZX"}
        asked += children
    return found


def _about(entry: Path) -> tuple[int, str, str]:
    """A process's parent, state and name; nobody's, if it is gone."""
    try:
        told = (entry / "stat").read_text(errors="replace")
    except OSError:
        return 0, "X", ""
    name, _, rest = told.partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return int(parent), state, name


def _collect(pids: dict[int, str]) -> None:
    """Take the dead off the table; those of ``subprocess`` find that out for themselves."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
