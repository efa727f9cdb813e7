"""Rows that nobody with the key has written in their place are never believed."""

# ruff: noqa: S608

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestrator._domain.event import GateTestFinished, TaskParked
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._run import ledger_key
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.ledger_key import VARIABLE
from pytest_orchestrator.errors import Infra

PASSED = GateTestFinished(gate="G1", key="key", test="a", outcome=Outcome.PASSED)
SECRET = "of this test alone, and long enough"  # noqa: S105 - no secret
INSERT = "INSERT INTO event (id, at_s, body, seal) "


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key of this test alone; where it is kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(ledger_key, "_given", [])
    return tmp_path / "state" / "pytest-orchestrator" / "ledger.key"


def written(folder: Path, rows: int = 5) -> Path:
    """A run folder whose ledger has some rows."""
    ledger = Ledger(folder)
    for n in range(rows):
        ledger.append(TaskParked(part="left_phase1", task=str(n), reason=""))
    ledger.close()
    return folder


def tamper(folder: Path, *commands: str) -> None:
    """Have somebody without the key change the file."""
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        for command in commands:
            database.execute(command)
    database.close()


PLANTED = PASSED.model_dump_json()
FORGERIES = {
    "planted at the end": (6, f"{INSERT} VALUES (6, 1.0, '{PLANTED}', zeroblob(32))"),
    "planted with another row's seal": (
        6, f"{INSERT} SELECT 6, at_s, '{PLANTED}', seal FROM event WHERE id = 5"
    ),
    "copied to the end": (6, f"{INSERT} SELECT 6, at_s, body, seal FROM event WHERE id = 3"),
    "planted before the first": (0, f"{INSERT} VALUES (0, 1.0, '{PLANTED}', zeroblob(32))"),
    "another text": (3, f"UPDATE event SET body = '{PLANTED}' WHERE id = 3"),
    "another time": (3, "UPDATE event SET at_s = at_s + 1 WHERE id = 3"),
    "another seal": (3, "UPDATE event SET seal = zeroblob(32) WHERE id = 3"),
    "text that is bytes": (3, "UPDATE event SET body = x'ff' WHERE id = 3"),
    "time that is a word": (3, "UPDATE event SET at_s = 'yesterday' WHERE id = 3"),
    "seal that is a word": (3, "UPDATE event SET seal = 'seal' WHERE id = 3"),
    "no first row": (1, "DELETE FROM event WHERE id = 1"),
    "no middle row": (3, "DELETE FROM event WHERE id = 3"),
}  # fmt: skip
SEVERAL: dict[str, tuple[int, tuple[str, ...]]] = {
    "two rows in each other's place": (2, (
        "UPDATE event SET id = 99 WHERE id = 2", "UPDATE event SET id = 2 WHERE id = 3",
        "UPDATE event SET id = 3 WHERE id = 99",
    )),
    "a hole that was closed": (3, (
        "DELETE FROM event WHERE id = 3", "UPDATE event SET id = 3 WHERE id = 4",
        "UPDATE event SET id = 4 WHERE id = 5",
    )),
}  # fmt: skip
ALL = {name: (row, (command,)) for name, (row, command) in FORGERIES.items()} | SEVERAL


@pytest.mark.parametrize(("row", "commands"), ALL.values(), ids=ALL)
def test_forged_row_is_named_and_nothing_is_believed(
    row: int, commands: tuple[str, ...], tmp_path: Path
) -> None:
    """The refusal names the row and the run folder, and says what to do."""
    folder = written(tmp_path / "run")
    tamper(folder, *commands)

    told = rf"row {row} .*nothing in {re.escape(str(folder))} is believed.*--run-id"
    with pytest.raises(Infra, match=told):
        Ledger(folder).state()


def test_row_chained_to_a_forged_one_does_not_make_it_genuine(tmp_path: Path) -> None:
    """What an honest process writes after a planted row changes nothing."""
    folder = written(tmp_path / "run")
    tamper(folder, FORGERIES["planted at the end"][1])
    Ledger(folder).append(PASSED)

    with pytest.raises(Infra, match="row 6 does not fit its seal"):
        Ledger(folder).state()


def test_trigger_in_the_file_changes_no_row_unnoticed(tmp_path: Path) -> None:
    """What somebody has the database do by itself does not fit the seal either."""
    folder = written(tmp_path / "run")
    tamper(
        folder,
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN "
        f"UPDATE event SET body = '{PLANTED}' WHERE id = NEW.id; END",
    )
    Ledger(folder).append(TaskParked(part="left_phase1", task="5", reason=""))

    with pytest.raises(Infra, match="row 6 does not fit its seal"):
        Ledger(folder).state()


def test_rows_missing_at_the_end_are_a_run_that_was_cut_off(tmp_path: Path) -> None:
    """What the lost rows said is simply not known; the run goes on."""
    folder = written(tmp_path / "run")
    tamper(folder, "DELETE FROM event WHERE id > 3")

    ledger = Ledger(folder)

    assert ledger.append(PASSED) == 4
    assert [1, 2, 3, 4] == [entry.id for entry in ledger.entries()]


@pytest.mark.parametrize("again", [0, 2, 4])
def test_row_that_vanishes_while_a_process_works_is_noticed(again: int, tmp_path: Path) -> None:
    """Who has read rows refuses a ledger that has forgotten them, whatever was written since."""
    ledger = Ledger(written(tmp_path / "run"))
    ledger.state()
    tamper(ledger.folder, "DELETE FROM event WHERE id > 3")
    for _ in range(again):
        Ledger(ledger.folder).append(PASSED)

    with pytest.raises(Infra, match=r"row 5 is (gone|not what)"):
        ledger.state()


@pytest.mark.parametrize("other", ["another", "judged/run"])
def test_ledger_of_another_run_is_refused(other: str, tmp_path: Path) -> None:
    """A whole ledger copied from elsewhere is genuine only there."""
    theirs = written(tmp_path / other)
    ours = written(tmp_path / "run")
    shutil.copy(theirs / "ledger.sqlite", ours / "ledger.sqlite")

    with pytest.raises(Infra, match=rf"row 1 does not fit its seal.*{VARIABLE}"):
        Ledger(ours).state()


def test_ledger_without_seals_is_refused(tmp_path: Path) -> None:
    """What was written before there were seals could be anybody's."""
    tmp_path.joinpath("run").mkdir()
    tamper(
        tmp_path / "run",
        "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL, body TEXT)",
    )

    with pytest.raises(Infra, match=r"before rows were sealed.*remove .*/run, or choose another"):
        Ledger(tmp_path / "run")


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    """Whoever writes when, every row fits the one before."""
    folder = tmp_path / "run"

    def write() -> None:
        ledger = Ledger(folder)
        for _ in range(25):
            ledger.append(PASSED)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(Ledger(folder).entries()) == 100


# ---------------------------------------------------------------- the key


def test_key_is_made_once_and_for_its_owner_alone(key: Path, tmp_path: Path) -> None:
    """Nobody else can read it, nor the folder it is in."""
    written(tmp_path / "run")
    made = key.read_bytes()
    written(tmp_path / "other")

    assert made == key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert [key] == list(key.parent.iterdir())


MAKE = "from pytest_orchestrator._run import ledger_key as k; print(k._own().hex())"


def test_key_made_by_several_at_once_is_one(key: Path) -> None:
    """All workers of a user's first run agree on it."""
    start = [sys.executable, "-c", MAKE]
    processes = [
        subprocess.Popen(
            start, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(4)
    ]  # fmt: skip

    made = {process.communicate()[0].strip() for process in processes}

    assert made == {key.read_bytes().hex()}


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_key_others_can_read_is_refused(mode: int, key: Path, tmp_path: Path) -> None:
    """It would seal anybody's rows; the message says what to do."""
    written(tmp_path / "run")
    key.chmod(mode)

    with pytest.raises(Infra, match=rf"can be read by others.*rm {re.escape(str(key))}"):
        Ledger(tmp_path / "run")


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 33])
def test_damaged_key_is_refused(data: bytes, key: Path, tmp_path: Path) -> None:
    """A key that was cut off is not silently replaced, or used."""
    written(tmp_path / "run")
    key.write_bytes(data)

    with pytest.raises(Infra, match="is damaged: run `rm"):
        Ledger(tmp_path / "run")


def test_key_that_is_a_link_is_refused(key: Path, tmp_path: Path) -> None:
    """It would be a key that somebody chose."""
    key.parent.mkdir(parents=True)
    (tmp_path / "chosen").write_bytes(b"x" * 32)
    key.symlink_to(tmp_path / "chosen")

    with pytest.raises(Infra, match=rf"cannot be kept in .*{VARIABLE}"):
        Ledger(tmp_path / "run")


def test_place_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the file and both ways out."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    with pytest.raises(
        Infra, match=rf"cannot be kept in .*set XDG_STATE_HOME .*or give {VARIABLE}"
    ):
        Ledger(tmp_path / "run")


def lose(key: Path) -> None:
    """Be on another machine."""
    key.unlink()


def move(key: Path) -> None:
    """Be in another folder."""
    run = key.parents[2] / "run"
    run.rename(run.with_name("elsewhere"))
    run.symlink_to("elsewhere")


@pytest.mark.parametrize("carry", [lose, move])
def test_run_that_was_moved_without_its_key_is_told(
    carry: Callable[[Path], None], key: Path, tmp_path: Path
) -> None:
    """The message names the variable that carries the key along."""
    folder = written(tmp_path / "run")
    carry(key)

    with pytest.raises(Infra, match=rf"another machine or folder: give the key .*{VARIABLE}"):
        Ledger(folder).state()


def test_run_that_was_moved_with_its_key_goes_on(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline that gives the key may carry the folder anywhere, and no file is made."""
    monkeypatch.setenv(VARIABLE, SECRET)
    folder = written(tmp_path / "here" / "run")
    (tmp_path / "there").mkdir()
    moved = folder.rename(tmp_path / "there" / "run")

    assert len(Ledger(moved).entries()) == 5
    assert not key.exists()
    with pytest.raises(Infra, match="row 1"):
        Ledger(moved.rename(tmp_path / "there" / "other")).state()


def test_key_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started from now on, agents and services, does not find it."""
    monkeypatch.setenv(VARIABLE, SECRET)

    assert ledger_key.take() == SECRET

    assert VARIABLE not in os.environ
    assert ledger_key.handed_on() == {VARIABLE: SECRET}


def test_key_that_is_no_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few letters can be guessed; the key itself is not in the message."""
    monkeypatch.setenv(VARIABLE, "letmein")

    with pytest.raises(Infra, match=rf"{VARIABLE} has 7 characters.*at least 32") as refused:
        ledger_key.take()

    assert "letmein" not in str(refused.value)
