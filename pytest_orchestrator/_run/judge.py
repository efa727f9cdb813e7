"""Judging a tree with the gates' own tests, in a pytest of its own and without agents."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.isolation import judging_environment
from pytest_orchestrator._domain.verdict import ExitStatus
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.ledger_key import handed_on
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_orchestrator._domain.plan import Gate
    from pytest_orchestrator._domain.state import RunState

_PACKAGE = Path(__file__).resolve().parents[1]
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
            cwd=project.root, env=environment(project, tree), check=False,
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
        # -P: what is in the project's folder must not stand in for what is installed.
        sys.executable, "-P", "-m", "pytest",
        "--agents=off", f"--runbook={project.runbook}", f"--workspace={tree}",
        f"--run-folder={folder}", f"--rootdir={project.root}", f"--confcutdir={project.root}",
        "-o", "addopts=",
        "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:schemathesis",
        "-q", "--tb=short",
    ]  # fmt: skip


def environment(project: Project, tree: Path | None = None) -> dict[str, str]:
    """The environment of a process that judges, or has somebody judge; see ``isolation``.

    Args:
        project: Whose gates judge.
        tree: What is judged.
    """
    away = [(project.root / ".orchestrator" / "runs").resolve()]
    if tree is not None and not project.root.resolve().is_relative_to(tree.resolve()):
        away.append(tree.resolve())
    # Whatever an agent has put there would come before what is installed.
    is_installed = not _PACKAGE.is_relative_to(project.root.resolve())
    return (
        judging_environment(
            os.environ, away, not_from=[project.root.resolve()] if is_installed else []
        )
        | handed_on()
    )
