"""Judging a tree with the gates' own tests, in a pytest of its own and without agents."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.verdict import ExitStatus
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Gate, Plan
    from pytest_orchestrator._domain.state import RunState

_NOTHING_COLLECTED = 5
_JUDGED = frozenset({*ExitStatus, _NOTHING_COLLECTED})


@dataclass(frozen=True, slots=True)
class Project:
    """Where the runbook and the gates are; agents write elsewhere.

    Attributes:
        root: The folder pytest runs in.
        runbook: The runbook's file.
    """

    root: Path
    runbook: Path


def judge(
    project: Project, tree: Path, gates: Sequence[Gate], folder: Path, *, lane: str = "",
    run: Path | None = None,
) -> RunState:  # fmt: skip
    """Run the gates' tests on a tree and return what they recorded.

    Args:
        project: Whose gates judge.
        tree: What is judged.
        gates: The gates.
        folder: Where the nested session keeps its ledger and log; made new.
        lane: Only the tests of this lane; empty for all.
        run: The folder of the run whose ledger tells what the tree rests on; ``None``: none.

    Raises:
        Infra: pytest itself could not run; has the end of what it printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "pytest.log"
    options = [f"--gate={gate.name}" for gate in gates] + ([f"--lane={lane}"] if lane else [])
    options += [f"--of-run={run}"] if run else []
    with log.open("wb") as output:
        done = subprocess.run(
            [*_command(project, tree, folder), *options, *(gate.tests for gate in gates)],
            cwd=project.root, env=_environment(), check=False,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    if done.returncode not in _JUDGED:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        names = ", ".join(gate.name for gate in gates)
        raise Infra(
            f"the nested pytest that judges {names} ended with {done.returncode}; see {log}\n{tail}"
        )
    ledger = Ledger(folder)
    try:
        return ledger.state()
    finally:
        ledger.close()


def _command(project: Project, tree: Path, folder: Path) -> list[str]:
    """Run pytest without agents and workers, and without what concerns the outer session."""
    return [
        sys.executable, "-m", "pytest",
        "--agents=off", f"--runbook={project.runbook}", f"--workspace={tree}",
        f"--run-folder={folder}", f"--rootdir={project.root}", "-o", "addopts=",
        "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:randomly", "-q", "--tb=short",
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    """The environment without what the outer pytest left in it."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}


def gate_key(plan: Plan, project: Project, gate: str, tree: str, rests_on: str = "") -> str:
    """Digest of all a gate's verdict rests on: what is judged, and what judges it.

    Args:
        plan: The plan of this run.
        project: Whose gates judge.
        gate: The gate's name.
        tree: What it judges.
        rests_on: What of contracts the judged work was built on; empty if nobody knows.
    """
    digest = sha256(tree.encode())
    digest.update(rests_on.encode())
    digest.update(plan.gates[gate].model_dump_json().encode())
    digest.update(plan.model_dump_json(include={"services", "stacks", "contracts"}).encode())
    digest.update(f"{platform.python_version()} {sys.platform}".encode())
    for source in _sources(plan, project):
        digest.update(f"{source.relative_to(project.root)}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def _sources(plan: Plan, project: Project) -> list[Path]:
    """Everything the gates are written in: their folders' modules, and the conftest files above."""
    folders = {(project.root / g.tests).parent for g in plan.gates.values()}
    files = {f for folder in folders for f in folder.rglob("*.py")}
    files |= {c for f in folders for c in (f / "conftest.py", project.root / "conftest.py")}
    return sorted(f for f in files if f.is_file())
