"""The run's append-only file of events, shared by every process of the run."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.event import Entry, Event, NodeClaimed, parse_event
from pytest_orchestrator._domain.state import RunState, fold
from pytest_orchestrator._run.locks import FileLock
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_s REAL NOT NULL,
  body TEXT NOT NULL
)
"""


class Fenced(Infra):
    """Somebody else has claimed this since; what comes late is refused."""


class Ledger:
    """Events in, state out.

    One SQLite file in WAL mode. Every process has its own ``Ledger`` on it, and
    a ``Ledger`` may be used by several threads.

    Args:
        folder: The run's folder; ``ledger.sqlite`` and ``locks/`` are in it.
        now_s: The clock, Unix epoch.

    Raises:
        Infra: The folder cannot be written, or the file is not a ledger.
    """

    FILE = "ledger.sqlite"

    def __init__(self, folder: Path, *, now_s: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._now_s = now_s
        self._state = RunState()
        self._guard = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                folder / self.FILE,
                timeout=30,
                isolation_level=None,
                check_same_thread=False,
            )
            # Going over to WAL is refused at once, not waited for, if two do it together.
            with FileLock(folder / "ledger.lock").held():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise Infra(
                f"the run folder {folder} cannot be used ({error}); make it writable, or give "
                "another project folder"
            ) from error

    def append(self, event: Event, *, node: str = "", token: int | None = None) -> int:
        """Write one event and return its id.

        Args:
            event: What happened.
            node: With ``token``, the part or gate the writer holds.
            token: The writer's claim on ``node``; ``None`` writes unconditionally.

        Raises:
            Fenced: ``node`` was claimed again after ``token``. Nothing is written.
        """
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._check_claim(node, token)
                cursor = self._db.execute(
                    "INSERT INTO event (at_s, body) VALUES (?, ?)",
                    (self._now_s(), event.model_dump_json()),
                )
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return int(cursor.lastrowid or 0)

    def claim(
        self, node: str, *, session: str, worker: str, still: Callable[[RunState], bool]
    ) -> tuple[FileLock, int] | None:
        """Claim a part or a gate.

        Of all processes that ask at once, exactly one is given it: the lock is
        taken first, and freed by the kernel if its holder dies.

        Args:
            node: ``"core_phase1"`` or a gate's name.
            session: The session that asks.
            worker: xdist's worker id, or ``"master"`` without xdist.
            still: Asked with the lock in hand: is there still something to do?

        Returns:
            The lock and the fencing token. ``None`` if somebody alive has it, or
            if there is nothing left to do; then nothing was written.
        """
        lock = self.lock(node)
        if not lock.acquire():
            return None
        try:
            # One claim after the other: of two parts of a lane, the second must see the first.
            with self.lock("claims").held():
                if still(self.state()):
                    return lock, self.append(NodeClaimed(node=node, session=session, worker=worker))
        except BaseException:
            lock.release()
            raise
        lock.release()
        return None

    def lock(self, node: str) -> FileLock:
        """The lock that goes with a node's claim."""
        return FileLock(self.folder / "locks" / f"{node}.lock")

    def entries(self, after: int = 0) -> list[Entry]:
        """Every event after the one with id ``after``, oldest first.

        Raises:
            Infra: The file is damaged, or a row is not an event; names the file and the row.
        """
        query = "SELECT id, at_s, body FROM event WHERE id > ? ORDER BY id"
        try:
            with self._guard:
                rows = self._db.execute(query, (after,)).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._unreadable(f"it cannot be read ({error})") from error
        return [self._entry(*row) for row in rows]

    def _entry(self, row: int, at_s: float, body: str) -> Entry:
        try:
            return Entry(row, float(at_s), parse_event(body))
        except ValueError as error:
            raise self._unreadable(f"row {row} is not an event of this version") from error

    def _unreadable(self, why: str) -> Infra:
        return Infra(
            f"{self.folder / 'ledger.sqlite'}: {why}; it was written by another version, or it "
            "is damaged. Choose another --run-id"
        )

    def state(self) -> RunState:
        """What all events so far add up to; reads only what is new."""
        with self._guard:
            new = self.entries(self._state.last_id)
            self._state = fold(new, self._state)
            return self._state

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _check_claim(self, node: str, token: int | None) -> None:
        if token is None:
            return
        holder = self.state().claims.get(node)
        if holder is None or holder[0] != token:
            raise Fenced(
                f"{node}: the claim {token} is no longer valid, somebody else has taken over; "
                "what came late was not recorded"
            )
