"""No stale green: one byte is changed anywhere, and the gate is judged again."""

from __future__ import annotations

import os
import random
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestrator.errors import RunbookError
from tests.judged_project import (
    CONTRACTS,
    SOURCES,
    TOOLS,
    TREE,
    JudgedProject,
    is_judged_again,
    passed,
)

SEED = int(os.environ.get("MUTATION_SEED") or 0) or random.SystemRandom().getrandbits(32)
"""Another one each time; a failure says which, and ``MUTATION_SEED`` brings it back."""


def mutate(file: Path, chance: random.Random, *, keep_time: bool) -> str:
    """Change one byte at a random place; may leave the file's time as it was."""
    at, data = file.stat(), bytearray(file.read_bytes())
    place = chance.randrange(len(data))
    data[place] ^= chance.randrange(1, 256)
    file.write_bytes(data)
    if keep_time:
        os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    return f"byte {place} of {file}"


def concerning(runbook: Path, gate: str) -> dict[str, Any]:
    """What of a runbook can change a gate's verdict, read without any of our own code."""
    told = tomllib.loads(runbook.read_text())
    tasks = {
        name: {key: told_ for key, told_ in task.items() if key != "brief"}
        for name, task in told["tasks"].items()
    }
    owned = {name: agent["owns"] for name, agent in told["agents"].items()}
    kinds = ("contracts", "stacks", "services")
    own = {"gate": told["gates"].get(gate), "tasks": tasks, "owned": owned}
    return {kind: told.get(kind) for kind in kinds} | own


@pytest.mark.parametrize("times", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_no_random_byte_leaves_a_verdict_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Tree, contract, source, tool, package: whichever byte is another one, the key is, too."""
    print(f"MUTATION_SEED={SEED}")  # noqa: T201 - shown if it fails
    chance = random.Random(SEED)  # noqa: S311 - no secret
    judged = JudgedProject(tmp_path, monkeypatch)
    package = judged.copy_package()
    files = {
        "tree": [judged.root / path for path in TREE],
        "contract": [judged.root / path for path in CONTRACTS],
        "source": [judged.root / path for path in SOURCES],
        "tool": [judged.bin / tool for tool in TOOLS],
        "package": sorted(f for f in package.rglob("*") if f.is_file() and f.stat().st_size),
    }
    before = judged.basis()
    state, seen = passed(before), Counter[str]()
    for number in range(times):
        kind = chance.choice(sorted(files))
        file = chance.choice(files[kind])
        content = file.read_bytes()

        what = mutate(file, chance, keep_time=chance.random() < 0.5)

        assert is_judged_again(state, judged.key()), f"{number}: {what}; seed {SEED}"
        file.write_bytes(content)
        assert not is_judged_again(state, judged.key()), f"{number}: {what} was undone; {SEED}"
        seen[kind] += 1
    assert seen.total() == times
    assert times < 100 or all(seen[kind] > 50 for kind in files), seen


@pytest.mark.parametrize("times", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_no_random_byte_of_the_runbook_leaves_a_verdict_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """It is refused, or judged again, or says the same of all that concerns the gate."""
    print(f"MUTATION_SEED={SEED}")  # noqa: T201 - shown if it fails
    chance = random.Random(SEED)  # noqa: S311 - no secret
    judged = JudgedProject(tmp_path, monkeypatch)
    runbook = judged.root / "runbook.toml"
    content, expected = runbook.read_bytes(), concerning(runbook, "G1")
    state = passed(judged.basis())
    seen = Counter[str]()
    for number in range(times):
        what = mutate(runbook, chance, keep_time=chance.random() < 0.5)

        try:
            again = is_judged_again(state, judged.key())
        except RunbookError:
            seen["refused"] += 1
        else:
            same = concerning(runbook, "G1") == expected
            assert again is not same, f"{number}: {what}; seed {SEED}"
            seen["the same" if same else "judged again"] += 1
        runbook.write_bytes(content)
    assert seen.total() == times
    assert times < 100 or set(seen) == {"refused", "judged again", "the same"}, seen


def size_and_time(path: bytes) -> bytes:
    """What a quick look takes for the content of a file."""
    at = Path(os.fsdecode(path)).stat()
    return f"{at.st_size} {at.st_mtime_ns}".encode()


SABOTAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "times": lambda patch: patch.setattr(
        "pytest_orchestrator._run.content.bytes_digest", size_and_time
    ),
    "settings": lambda patch: patch.setattr("pytest_orchestrator._run.gate_key._SETTINGS", ()),
}


@pytest.mark.parametrize("sabotage", SABOTAGES.values(), ids=SABOTAGES)
def test_mutations_find_a_key_that_overlooks_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    sabotage: Callable[[pytest.MonkeyPatch], None],
) -> None:  # fmt: skip
    """The check itself can say no: a key by size and time, or without settings, is found out."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    judged = JudgedProject(tmp_path, monkeypatch)
    sabotage(monkeypatch)
    state = passed(judged.basis())
    stale = 0
    for path in (*TREE, "pytest.ini", "conftest.py"):
        mutate(judged.root / path, chance, keep_time=True)
        stale += not is_judged_again(state, judged.key())
        state = passed(judged.basis())

    assert stale
