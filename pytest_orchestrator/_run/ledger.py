"""The run's append-only file of events, shared by every process of the run.

Each row carries a seal: an HMAC over its own content and the seal of the row before,
with a key that is not in the run folder (see ``ledger_key``). A row that somebody
planted, changed, moved, took out or copied from another run does not fit, and then
nothing of the ledger is believed. Rows missing at the end cannot be told from a run
that was cut off there, and lead to the same: what they said is done again.
"""

from __future__ import annotations

import hmac
import sqlite3
import struct
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._domain.event import Entry, Event, NodeClaimed, parse_event
from pytest_orchestrator._domain.state import RunState, fold
from pytest_orchestrator._run.ledger_key import VARIABLE, run_key
from pytest_orchestrator._run.locks import FileLock
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_s REAL NOT NULL,
  body TEXT NOT NULL,
  seal BLOB NOT NULL
)
"""
_START = b""
"""What the first row's seal is chained to; the key alone says of which run it is."""


class Fenced(Infra):
    """Somebody else has claimed this since; what comes late is refused."""


class _Head(NamedTuple):
    """The last row that was found to be genuine."""

    id: int
    seal: bytes


class Ledger:
    """Events in, state out.

    One SQLite file in WAL mode. Every process has its own ``Ledger`` on it, and
    a ``Ledger`` may be used by several threads.

    Args:
        folder: The run's folder; ``ledger.sqlite`` and ``locks/`` are in it.
        now_s: The clock, Unix epoch.

    Raises:
        Infra: The folder cannot be written, the file is not a ledger or one without
            seals, or there is no key.
    """

    FILE = "ledger.sqlite"

    def __init__(self, folder: Path, *, now_s: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._now_s = now_s
        self._state = RunState()
        self._guard = threading.RLock()
        self._key = run_key(folder)
        self._head = _Head(0, _START)
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
                self._db.execute("PRAGMA trusted_schema=OFF")
                self._db.execute(_SCHEMA)
                columns = [row[1] for row in self._db.execute("PRAGMA table_info(event)")]
        except (OSError, sqlite3.Error) as error:
            raise Infra(
                f"the run folder {folder} cannot be used ({error}); make it writable, or give "
                "another project folder"
            ) from error
        if "seal" not in columns:
            raise Infra(
                f"{self._told} was written before rows were sealed, so nobody can say who wrote "
                f"it; remove {folder}, or choose another --run-id"
            )

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
                row = self._insert(event)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return row

    def _insert(self, event: Event) -> int:
        """Write a row after the last one; nobody else can, meanwhile.

        The row before is not judged here: whoever reads does that, and a seal over a
        forged one does not make it genuine.
        """
        last = self._db.execute("SELECT id, seal FROM event ORDER BY id DESC LIMIT 1").fetchone()
        row, before = (last[0] + 1, bytes(last[1])) if last else (1, _START)
        at_s, body = float(self._now_s()), event.model_dump_json()
        self._db.execute(
            "INSERT INTO event (id, at_s, body, seal) VALUES (?, ?, ?, ?)",
            (row, at_s, body, self._seal(before, row, at_s, body)),
        )
        return row

    def _seal(self, before: bytes, row: int, at_s: float, body: str) -> bytes:
        content = before + struct.pack(">qd", row, at_s) + body.encode()
        return hmac.digest(self._key, content, "sha256")

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
        """Every event after the one with id ``after``, oldest first, each found to be genuine.

        Raises:
            Infra: The file is damaged, a row is not an event, or somebody else has written
                it; names the file and the row.
        """
        with self._guard:
            before, rows = self._read(min(after, self._head.id))
            entries = []
            for row, at_s, body, seal in rows:
                self._check(before, row, at_s, body, seal)
                before = _Head(row, seal)
                if row > after:
                    entries.append(self._entry(row, at_s, body))
            self._head = max(self._head, before)
        return entries

    def _read(self, start: int) -> tuple[_Head, list[tuple[int, float, str, bytes]]]:
        """The row with id ``start``, as what is known to be genuine, and the rows after it."""
        query = "SELECT id, at_s, body, seal FROM event WHERE id >= ? ORDER BY id"
        try:
            rows = self._db.execute(query, (start,)).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._unreadable(f"it cannot be read ({error})") from error
        if not start:
            return _Head(0, _START), rows
        if not rows or rows[0][0] != start:
            raise self._forged(start, "is gone, though this process has read it")
        before = _Head(start, rows[0][3])
        if start == self._head.id and before != self._head:
            raise self._forged(start, "is not what this process has read there before")
        return before, rows[1:]

    def _check(self, before: _Head, row: int, at_s: object, body: object, seal: object) -> None:
        """Refuse a row that nobody with the key has written in this place."""
        if row <= before.id:
            raise self._forged(row, "stands where no row is written")
        if row != before.id + 1:
            raise self._forged(before.id + 1, f"is missing before row {row}")
        if not (isinstance(at_s, float) and isinstance(body, str) and isinstance(seal, bytes)):
            raise self._forged(row, "was not written by this package")
        if not hmac.compare_digest(seal, self._seal(before.seal, row, at_s, body)):
            raise self._forged(row, "does not fit its seal")

    def _entry(self, row: int, at_s: float, body: str) -> Entry:
        try:
            return Entry(row, at_s, parse_event(body))
        except ValueError as error:
            raise self._unreadable(f"row {row} is not an event of this version") from error

    @property
    def _told(self) -> str:
        return str(self.folder / "ledger.sqlite")

    def _unreadable(self, why: str) -> Infra:
        return Infra(
            f"{self._told}: {why}; it was written by another version, or it "
            "is damaged. Choose another --run-id"
        )

    def _forged(self, row: int, what: str) -> Infra:
        moved = (
            " If this is an honest ledger of another machine or folder: give the key it was "
            f"written with as {VARIABLE}."
            if row == 1
            else ""
        )
        return Infra(
            f"{self._told}: row {row} {what}, so nothing in {self.folder} is believed and no "
            f"verdict follows.{moved} Restore the folder, or choose another --run-id"
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
