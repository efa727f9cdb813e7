"""For people who write back-ends: what every back-end has to be able to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.agent import (
    AgentBackend,
    AgentResult,
    Assignment,
    ToolAnswer,
    ToolDescription,
    Tools,
    Usage,
)
from pytest_orchestrator._domain.plan import Agent, Budget, Task

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AgentBackend",
    "AgentResult",
    "Assignment",
    "ToolAnswer",
    "ToolDescription",
    "Tools",
    "Usage",
    "check_backend",
    "make_assignment",
]


def make_assignment(
    workspace: Path, *, task: str = "write-hello", brief: str = "", attempt: int = 1
) -> Assignment:
    """An assignment for one task of an agent that owns the folder ``own/``.

    Args:
        workspace: The folder the agent may write in.
        task: The task's name.
        brief: What the agent is told; the name of the task if empty.
        attempt: From 1.
    """
    return Assignment(
        task=Task(name=task, agent="worker", phase=1, brief="brief.md"),
        agent=Agent(name="worker", role="backend-developer", owns=("own/",)),
        brief=brief or task,
        workspace=workspace,
        stack="",
        attempt=attempt,
        budget=Budget(max_attempts=1, max_wall_s=60.0),
    )


def check_backend(make_backend: Callable[[Path], AgentBackend], folder: Path) -> AgentResult:
    """Check that a back-end keeps the promises of ``AgentBackend``.

    Args:
        make_backend: Makes the back-end for a project's root folder.
        folder: An empty folder to work in.

    Returns:
        How the back-end ended its one assignment; whether it succeeded is its own affair.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    root, workspace = folder / "project", folder / "workspace"
    root.mkdir()
    workspace.mkdir()
    backend = make_backend(root)
    assert isinstance(backend, AgentBackend), "it has no name, carry_out or fingerprint"  # noqa: S101 - this is a test
    assert backend.name, "its name is empty"  # noqa: S101
    first = backend.fingerprint()
    assert first == make_backend(root).fingerprint(), (  # noqa: S101
        "two back-ends of one project have different fingerprints, so no run could be resumed"
    )
    before = _content(folder, workspace)
    result = backend.carry_out(make_assignment(workspace))
    assert isinstance(result, AgentResult), f"carry_out returned {result!r}"  # noqa: S101
    assert result.status == "succeeded" or result.reason, "it failed and does not say why"  # noqa: S101
    assert before == _content(folder, workspace), "it wrote outside of its workspace"  # noqa: S101
    return result


def _content(folder: Path, workspace: Path) -> dict[str, bytes]:
    """Every file that is not in the workspace."""
    files = (f for f in folder.rglob("*") if f.is_file() and not f.is_relative_to(workspace))
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}
