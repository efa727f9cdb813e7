"""The agent that knows the answers: it applies pre-written solutions, and costs nothing.

The solution of a task is a folder of whole files, laid out as in the project:
``oracle/<stack>/<task>/src/backend/core/main.py``. What does not depend on a
stack is in ``oracle/any/``. Where there is no solution for a service's stack,
or a tool that stack needs is missing, the Python stand-in takes its place.
"""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.agent import AgentResult

if TYPE_CHECKING:
    from pytest_orchestrator._domain.agent import Assignment
    from pytest_orchestrator._domain.plan import Plan, Service

FOLDER = "oracle"
STAND_IN = "python"
ANY_STACK = "any"


class Oracle:
    """Copies a task's solution into the workspace.

    Args:
        root: The project's folder; the solutions are below ``oracle/``.
    """

    name = "oracle"

    def __init__(self, root: Path) -> None:
        self._solutions = root / FOLDER

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Apply the solution of the task."""
        task = assignment.task.name
        stacks = self._stacks(assignment.stack, assignment.tools)
        solution = next((f for s in stacks if (f := self._solutions / s / task).is_dir()), None)
        if solution is None:
            looked = ", ".join(f"{FOLDER}/{stack}/{task}" for stack in stacks)
            return AgentResult("failed", f"there is no pre-written solution in {looked}")
        shutil.copytree(solution, assignment.workspace, dirs_exist_ok=True, symlinks=True)
        return AgentResult("succeeded")

    def fingerprint(self) -> str:
        """Digest of all solutions."""
        digest = sha256()
        files = (f for f in self._solutions.rglob("*") if f.is_file() and not _is_cache(f))
        for file in sorted(files):
            name = file.relative_to(self._solutions)
            digest.update(f"{name}\0".encode() + file.read_bytes())
        return digest.hexdigest()

    def remarks(self, plan: Plan) -> list[str]:
        """Which services are built as a stand-in, and why."""
        return [line for s in plan.services.values() if (line := self._stand_in(plan, s))]

    def _stacks(self, stack: str, tools: tuple[str, ...]) -> tuple[str, ...]:
        """Where to look for a solution, best first."""
        wanted = stack if stack and not _missing(tools) else STAND_IN
        return tuple(dict.fromkeys((wanted, STAND_IN, ANY_STACK)))

    def _stand_in(self, plan: Plan, service: Service) -> str:
        if service.stack == STAND_IN:
            return ""
        if missing := _missing(plan.stacks[service.stack].tools):
            return f"{service.name}: Python stand-in for {service.stack}, {missing} is missing"
        if not (self._solutions / service.stack).is_dir():
            return f"{service.name}: Python stand-in, {FOLDER}/{service.stack} is not there"
        return ""


def _missing(tools: tuple[str, ...]) -> str:
    """The first of some programs that is not on the PATH; empty if all are."""
    return next((tool for tool in tools if shutil.which(tool) is None), "")


def _is_cache(file: Path) -> bool:
    return "__pycache__" in file.parts
