"""What it costs to be told that nothing has changed, next to pytest sessions that do nothing.

``python benchmarks/reuse.py [--rounds N]``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

RUNBOOK = """
[run]
name = "small"
agents = "nop"

[agents.left]
role = "backend-developer"
owns = ["left/"]

[agents.right]
role = "backend-developer"
owns = ["right/"]
"""
LANE = """
[tasks.{lane}-{phase}]
agent = "{lane}"
phase = {phase}
brief = "brief.md"
needs = {needs}
"""
GATE = """
[gates.G{phase}]
title = "phase {phase} is done"
phase = {phase}
tests = "gates/test_g{phase}.py"
needs = ["left-{phase}", "right-{phase}"]
"""
TESTS = """
import pytest

pytestmark = pytest.mark.gate("G{phase}")

@pytest.mark.parametrize("number", range(5))
def test_file(number, workspace):
    assert (workspace / "left" / f"{{number}}.txt").is_file()
"""
PHASES = (1, 2, 3)
LANES = ("left", "right")
# So that whatever plugins are installed cost the same on both sides.
COMMON = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider")
IDLE = ("-p", "no:orchestrator", "-n0")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds: int = parser.parse_args().rounds
    parts = [f"{name} {version(name)}" for name in ("pytest", "pytest-xdist")]
    print(f"Python {platform.python_version()}, {', '.join(parts)}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        project, empty = Path(folder, "project"), Path(folder, "empty")
        write_project(project)
        write(empty, "test_empty.py", "def test_nothing(): pass\n")
        for how in ("--agents=off", "--agents=nop"):
            ours = ("-n", "auto", how, "-m", "phase2")
            pytest_in(project, "-n0", how)  # what is to be reused
            nothing = f"{how}: nothing has changed / one test with nothing in it"
            compare(nothing, (project, ours), (empty, IDLE), rounds)
            again = f"{how}: nothing has changed / judged again"
            compare(again, (project, ours), (project, (*ours, "--rejudge")), rounds)


def compare(
    title: str, ours: tuple[Path, tuple[str, ...]], peer: tuple[Path, tuple[str, ...]], rounds: int
) -> None:
    """Run both in turn, and print how many times as long ours takes."""
    pairs = [(pytest_in(ours[0], *ours[1]), pytest_in(peer[0], *peer[1])) for _ in range(rounds)]
    ratios = sorted(one / other for one, other in pairs)
    mine, others = zip(*pairs, strict=True)
    print(
        f"{title:62s} {statistics.median(ratios):5.2f}  rounds {ratios[0]:.2f} to {ratios[-1]:.2f}"
        f"  best {min(mine) / min(others):.2f}"
        f"  ours {statistics.median(mine):.2f} s  peer {statistics.median(others):.2f} s"
    )


def pytest_in(folder: Path, *arguments: str) -> float:
    """Run pytest as people do, in a process of its own; returns its seconds on the clock.

    Raises:
        SystemExit: It failed; has what it said.
    """
    command = [sys.executable, "-m", "pytest", *COMMON, *arguments]
    # With bytecode, which an installed package has.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began_s = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    taken_s = time.monotonic() - began_s
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {folder}:\n{done.stdout}\n{done.stderr}")
    return taken_s


def write_project(project: Path) -> None:
    """Two lanes, three phases with a gate each, and everything the gates look for."""
    runbook, fixtures = RUNBOOK, "from pytest_orchestrator import phase_fixture\n"
    for phase in PHASES:
        needs = [f"G{phase - 1}"] if phase > 1 else []
        runbook += "".join(LANE.format(lane=lane, phase=phase, needs=needs) for lane in LANES)
        runbook += GATE.format(phase=phase)
        fixtures += "".join(
            f'{lane}_phase{phase} = phase_fixture("{lane}", {phase})\n' for lane in LANES
        )
        write(project, f"gates/test_g{phase}.py", TESTS.format(phase=phase))
    for path, text in {"runbook.toml": runbook, "conftest.py": fixtures, "brief.md": "Do."}.items():
        write(project, path, text)
    write(project, "pytest.ini", "[pytest]\ntestpaths = gates\n")
    for number in range(100):
        write(project, f"left/{number}.txt", "x" * 1000)


def write(folder: Path, path: str, text: str) -> None:
    """Write a file."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


if __name__ == "__main__":
    main()
