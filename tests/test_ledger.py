"""The run's events, written by many processes at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_orchestrator._domain.event import (
    Entry,
    Event,
    NodeClaimed,
    SessionCancelled,
    TaskParked,
)
from pytest_orchestrator._domain.state import RunState, fold
from pytest_orchestrator._run.ledger import Fenced, Ledger
from pytest_orchestrator.errors import Infra
from tests.histories import histories, small_plan
from tests.strategies import calm

PROCESSES = 4
NODES = 40
EVENT = TaskParked(part="left_phase1", task="left-one", reason="why")

# A process that opens a run's ledger, waits for a line, and does something with it.
OPEN = """
import json, sys
from pathlib import Path
from pytest_orchestrator._domain.event import TaskParked
from pytest_orchestrator._run.ledger import Ledger

def claim(ledger, node):
    return ledger.claim(node, session="now", worker="gw0", still=lambda s: node not in s.claims)

folder, name = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(folder)
"""
CLAIM_AND_RELEASE = """
won = []
for node in (f"node{n}" for n in range(%d)):
    if (claimed := claim(ledger, node)) is not None:
        won.append(node)
        claimed[0].release()
print(json.dumps(won), flush=True)
"""
CLAIM_AND_KEEP = CLAIM_AND_RELEASE.replace("claimed[0].release()", "print(end='')")
APPEND = """
ids = [ledger.append(TaskParked(part=name, task=str(n), reason="")) for n in range(%d)]
print(json.dumps(ids), flush=True)
"""
OPEN_MANY = """
opened = []
for n in range(%d):
    Ledger(folder / str(n)).append(TaskParked(part=name, task="", reason=""))
    opened.append(n)
print(json.dumps(opened), flush=True)
"""
HOLD = """
print(claim(ledger, "node")[1], flush=True)
sys.stdin.read()
"""


class SealedAnyway(NamedTuple):
    """What another version of this package would write, seal included."""

    body: str

    def model_dump_json(self) -> str:
        """The row's text."""
        return self.body


def start(script: str, folder: Path, name: str = "") -> subprocess.Popen[str]:
    """Start such a process; it waits for a line when this returns."""
    return subprocess.Popen(
        [sys.executable, "-c", OPEN + script, str(folder), name], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def all_at_once(script: str, folder: Path) -> list[list[Any]]:
    """What several such processes print that are let go at the same moment."""
    processes = [start(script, folder, f"p{n}") for n in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=60)[0]) for process in processes]


@pytest.mark.parametrize("script", [CLAIM_AND_RELEASE, CLAIM_AND_KEEP], ids=["release", "keep"])
def test_each_claim_is_won_exactly_once(script: str, tmp_path: Path) -> None:
    """However many processes ask for a node at once, one is given it, and it is written once."""
    won = all_at_once(script % NODES, tmp_path)

    expected = {f"node{n}": 1 for n in range(NODES)}
    assert expected == Counter(node for nodes in won for node in nodes)
    entries = Ledger(tmp_path).entries()
    claims = [entry.event.node for entry in entries if isinstance(entry.event, NodeClaimed)]
    assert expected == Counter(claims)


def test_no_event_is_lost_and_each_has_a_number_of_its_own(tmp_path: Path) -> None:
    """Several processes that write at once get all they have written, each in its own order."""
    ids = all_at_once(APPEND % 50, tmp_path)

    entries = Ledger(tmp_path).entries()
    assert sorted(chain.from_iterable(ids)) == [entry.id for entry in entries]
    for name in (f"p{n}" for n in range(PROCESSES)):
        own = [e.event for e in entries if isinstance(e.event, TaskParked) and e.event.part == name]
        assert [str(n) for n in range(50)] == [event.task for event in own]


def test_killed_holder_frees_its_claim(tmp_path: Path) -> None:
    """After kill -9, the next one has the claim at once, with a newer token."""
    process = start(HOLD, tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    token = int(process.stdout.readline())
    ledger = Ledger(tmp_path)
    assert ledger.claim("node", session="now", worker="gw1", still=lambda _: True) is None

    process.send_signal(signal.SIGKILL)
    process.communicate()

    claimed = ledger.claim("node", session="now", worker="gw1", still=lambda _: True)
    assert claimed is not None
    assert token < claimed[1]


# ---------------------------------------------------------------- fencing


def claim(ledger: Ledger, node: str = "node") -> int:
    """Claim a node whose holder is gone, and return the token."""
    claimed = ledger.claim(node, session="now", worker="gw0", still=lambda _: True)
    assert claimed is not None
    lock, token = claimed
    lock.release()
    return token


def test_whoever_comes_late_is_refused(tmp_path: Path) -> None:
    """With a token that is no longer the latest, nothing is written, by any process."""
    ledger, other = Ledger(tmp_path), Ledger(tmp_path)
    late = claim(ledger)
    current = claim(other)
    before = ledger.entries()

    with pytest.raises(Fenced, match=rf"node: the claim {late} is no longer valid"):
        ledger.append(EVENT, node="node", token=late)

    assert before == ledger.entries()
    assert current < other.append(EVENT, node="node", token=current)


def test_token_is_good_for_its_own_node_only(tmp_path: Path) -> None:
    """Neither another node's token nor one that was never given is taken."""
    ledger = Ledger(tmp_path)
    token = claim(ledger)

    with pytest.raises(Fenced):
        ledger.append(EVENT, node="other", token=token)
    with pytest.raises(Fenced):
        ledger.append(EVENT, node="node", token=token + 1)


def test_claim_without_anything_left_to_do_writes_nothing(tmp_path: Path) -> None:
    """Whoever finds the work done when the lock is in hand lets go of it."""
    ledger = Ledger(tmp_path)

    assert ledger.claim("node", session="now", worker="gw0", still=lambda _: False) is None

    assert not ledger.entries()
    claim(ledger)


def test_question_is_asked_about_the_latest_state(tmp_path: Path) -> None:
    """What another process has written since is known when the lock is in hand."""
    ledger, other = Ledger(tmp_path), Ledger(tmp_path)
    ledger.state()
    token = claim(other)
    seen: list[tuple[int, str]] = []

    def still(state: RunState) -> bool:
        seen.append(state.claims["node"])
        return False

    ledger.claim("node", session="now", worker="gw0", still=still)

    assert [(token, "gw0")] == seen


def test_claim_that_fails_frees_the_lock(tmp_path: Path) -> None:
    """An error on the way does not keep the node from everybody else."""
    ledger = Ledger(tmp_path)

    with pytest.raises(ZeroDivisionError):
        ledger.claim("node", session="now", worker="gw0", still=lambda _: 1 // 0 == 0)

    claim(ledger)


# ---------------------------------------------------------------- reading and writing


@settings(calm, max_examples=20, suppress_health_check=list(HealthCheck))
@given(entries=histories(small_plan()))
def test_state_is_what_the_events_add_up_to(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]
) -> None:
    """Reading piece by piece and reading all at once give the same, times included."""
    clock = [0.0]
    ledger = Ledger(tmp_path_factory.mktemp("run"), now_s=lambda: clock[0])
    for entry in entries:
        clock[0] = entry.at_s
        ledger.append(entry.event)
        ledger.state()
    other = Ledger(ledger.folder)

    assert [(e.at_s, e.event) for e in entries] == [(e.at_s, e.event) for e in other.entries()]
    assert fold(other.entries()) == ledger.state() == other.state()
    ledger.close()
    other.close()


def test_reading_on_gives_only_what_is_new(tmp_path: Path) -> None:
    """Entries come after a given number, oldest first."""
    ledger = Ledger(tmp_path)
    ids = [ledger.append(SessionCancelled(session=str(n), reason="")) for n in range(3)]

    assert ids[1:] == [entry.id for entry in ledger.entries(ids[0])]
    assert not ledger.entries(ids[-1])


def test_ledger_may_be_shared_by_threads(tmp_path: Path) -> None:
    """Two ledgers on one file, each used by several threads: nothing is lost, no state is torn."""
    ledgers = [Ledger(tmp_path), Ledger(tmp_path)]
    ids: list[int] = []
    broken: list[Exception] = []

    def write(ledger: Ledger) -> None:
        try:
            for _ in range(25):
                written = ledger.append(EVENT)
                last = ledger.entries()[-1].id
                assert written <= last <= ledger.state().last_id
                ids.append(written)
        except Exception as error:  # noqa: BLE001 - told in the main thread
            broken.append(error)

    threads = [threading.Thread(target=write, args=(ledgers[n % 2],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not broken
    assert sorted(ids) == [entry.id for entry in ledgers[0].entries()]
    assert ledgers[0].state() == ledgers[1].state()


def test_ledger_may_be_made_by_several_at_once(tmp_path: Path) -> None:
    """All workers of a new run open it in the same moment, and each of them gets it."""
    opened = all_at_once(OPEN_MANY % 60, tmp_path)

    assert [list(range(60))] * PROCESSES == opened


# ---------------------------------------------------------------- what goes wrong


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The message names the folder and says what to do."""
    (tmp_path / "file").write_text("in the way")

    told = rf"the run folder {re.escape(str(tmp_path))}/file/run cannot be used .*make it writable"
    with pytest.raises(Infra, match=told):
        Ledger(tmp_path / "file" / "run")


def test_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    """Something else under the ledger's name is not overwritten."""
    (tmp_path / "ledger.sqlite").write_bytes(b"somebody's notes" * 100)

    with pytest.raises(Infra, match=r"cannot be used \(file is not a database\)"):
        Ledger(tmp_path)

    assert (tmp_path / "ledger.sqlite").read_bytes().startswith(b"somebody's notes")


@pytest.mark.parametrize(
    "body",
    ['{"kind": "phase_forgotten", "part": "left_phase1"}', '{"kind": "task_parked"}', "no JSON"],
)
def test_row_that_is_no_event_is_named(body: str, tmp_path: Path) -> None:
    """A genuine row of another version is refused by its number."""
    ledger = Ledger(tmp_path)
    ledger.append(EVENT)
    row = ledger.append(cast("Event", SealedAnyway(body)))

    with pytest.raises(Infra, match=rf"ledger.sqlite: row {row} is not an event .*--run-id"):
        ledger.state()


def test_damaged_file_is_told(tmp_path: Path) -> None:
    """A file whose pages are garbled is refused with a sentence."""
    ledger = Ledger(tmp_path)
    for _ in range(100):
        ledger.append(EVENT)
    ledger.close()
    path = tmp_path / "ledger.sqlite"
    healthy = path.read_bytes()
    path.write_bytes(healthy[:4096] + b"\xa5" * (len(healthy) - 4096))

    with pytest.raises(Infra, match=r"ledger.sqlite: it cannot be read .*--run-id"):
        Ledger(tmp_path).entries()
