"""What ends a runner: it never outlives the pytest run, its claim or its budget."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._run.locks import is_free

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_orchestrator._run.ledger import Ledger

POLL_S = 0.25
GRACE_S = 2.0
"""Seconds between asking a process group to end and ending it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a runner holds: a node, on behalf of a session."""

    node: str
    session: str
    token: int


class Watch:
    """A thread that ends the runner's whole process group when its time has come.

    Args:
        ledger: The run's ledger.
        run_lock: Held by the pytest run for as long as it lives.
        claim: What this runner was started for.
    """

    def __init__(self, ledger: Ledger, run_lock: Path, claim: Claim) -> None:
        self._ledger = ledger
        self._run_lock = run_lock
        self._claim = claim
        self._on_deadline: Callable[[], None] | None = None
        self._deadline_s: float | None = None
        self._asked_to_end = False

    def start(self, *, on_deadline: Callable[[], None] | None = None) -> None:
        """Begin to watch, in a daemon thread, for the rest of the process's life.

        To be called in the main thread, which from then on does nothing more
        once the group is asked to end.

        Args:
            on_deadline: Called before the group ends because a task ran out of time.
        """
        self._on_deadline = on_deadline
        # Not SIG_IGN: all that is started from here would inherit it.
        signal.signal(signal.SIGTERM, self._rest)
        if self._is_over():
            # Before an agent is started for somebody who is gone by now.
            end_group()
        threading.Thread(target=self._loop, daemon=True, name="orchestrator-watch").start()

    def allow(self, seconds: float | None) -> None:
        """Let the current attempt take so long from now; ``None``: it is over."""
        self._deadline_s = None if seconds is None else time.monotonic() + seconds

    def _rest(self, *_: object) -> None:
        """Keep the main thread from taking an agent that was ended for one that is done.

        Where the process was about to end anyway, the thread that would end the group may be
        gone already; so nobody rests for longer than that takes.
        """
        self._asked_to_end = True
        time.sleep(2 * GRACE_S)
        os.killpg(0, signal.SIGKILL)

    def _loop(self) -> None:
        try:
            while not self._is_over():
                time.sleep(POLL_S)
        except Exception:  # noqa: BLE001 - whatever it is, nobody would end this runner any more
            traceback.print_exc()
        end_group()

    def _is_over(self) -> bool:
        if self._asked_to_end:
            return True
        if is_free(self._run_lock):
            return True
        state = self._ledger.state()
        if self._claim.session in state.cancelled:
            return True
        if state.claims.get(self._claim.node, (0, ""))[0] != self._claim.token:
            return True
        if self._deadline_s is not None and time.monotonic() > self._deadline_s:
            if self._on_deadline is not None:
                self._on_deadline()
            return True
        return False


def end_group() -> None:
    """End this process and its whole group: asked first, then killed, itself included.

    To be called where SIGTERM does not end the process, or nobody would be killed.
    """
    os.killpg(0, signal.SIGTERM)
    deadline_s = time.monotonic() + GRACE_S
    while time.monotonic() < deadline_s and _has_children():
        time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)


def _has_children() -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        return True
    return False
