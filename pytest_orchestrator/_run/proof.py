"""Trying a gate: the oracle's tree with one thing changed, judged by the gate's own tests."""

from __future__ import annotations

import shutil
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.proof import (
    Case,
    ProofError,
    ProofFile,
    Told,
    objection,
    read_proof,
)
from pytest_orchestrator._run.judge import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestrator._domain.plan import Gate, Plan
    from pytest_orchestrator._domain.proof import Edit
    from pytest_orchestrator._domain.state import RunState
    from pytest_orchestrator._run.judge import Project

_BUILT = shutil.ignore_patterns(".git", "__pycache__")


@dataclass(frozen=True, slots=True)
class Tried:
    """How a case came out.

    Attributes:
        case: What was tried.
        told: What each of its gates said; empty if it could not be tried.
        objection: Why that is not what it must be; empty if it is.
        seconds: How long it took.
    """

    case: Case
    told: Mapping[str, Told]
    objection: str
    seconds: float


def proof_file(project: Project, gate: Gate) -> Path:
    """Where the proof of a gate is: in ``proofs/`` beside its module, e.g. ``S1.toml``."""
    return (project.root / gate.tests).parent / "proofs" / f"{gate.name}.toml"


def load_proofs(plan: Plan, project: Project) -> dict[str, ProofFile]:
    """The proofs of all gates that have one, in the runbook's order.

    Raises:
        ProofError: One of them cannot be read, or is not as it must be.
    """
    found = {}
    for gate in plan.gates.values():
        file = proof_file(project, gate)
        if not file.is_file():
            continue
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ProofError(f"{file}: cannot be read: {error}") from error
        found[gate.name] = read_proof(gate.name, document, str(file))
    return found


def try_case(plan: Plan, project: Project, case: Case, *, tree: Path, folder: Path) -> Tried:
    """Judge what a case says, and compare with what must come out.

    Args:
        plan: The plan of the runbook.
        project: Whose gates are tried.
        case: What to try.
        tree: The oracle's finished tree; it is not touched.
        folder: For this case alone; what is in it is dropped. It keeps the tree that was
            judged, and the log of the pytest that judged it.
    """
    began_s = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    laid_out = lay_out(case, tree, folder / "tree")
    gates = [plan.gates[name] for name in case.gates]
    state = judge(project, laid_out, gates, folder / "judged")
    told = {gate: _told(state, gate) for gate in case.gates}
    return Tried(case, told, objection(case, told), time.monotonic() - began_s)


def lay_out(case: Case, tree: Path, target: Path) -> Path:
    """Make the tree that a case is about.

    Raises:
        ProofError: An edit does not fit the tree.
    """
    if case.kind == "nop":
        target.mkdir(parents=True)
        return target
    shutil.copytree(tree, target, symlinks=True, ignore=_BUILT)
    for edit in case.edits:
        _apply(edit, target, case.name)
    return target


def _apply(edit: Edit, tree: Path, name: str) -> None:
    file = tree / edit.file
    if edit.write is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(edit.write, encoding="utf-8")
        return
    if not file.is_file():
        raise ProofError(f"{name}: the oracle's tree has no file {edit.file}")
    if edit.delete:
        file.unlink()
        return
    text, old = file.read_text(encoding="utf-8"), edit.old or ""
    if (times := text.count(old)) != 1:
        raise ProofError(f"{name}: {edit.file} has {old!r} {times} times, not once")
    file.write_text(text.replace(old, edit.new or ""), encoding="utf-8")


def _told(state: RunState, gate: str) -> Told:
    record = state.gate(gate).record
    if record is None:
        _, reason = state.gate(gate).blocked or ("", "no test of it ran")
        return Told(None, (), reason)
    findings = tuple(f for found in record.findings.values() for f in found)
    return Told(record.verdict(), findings, record.reason())
