"""Tell a service's stack from its files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator.errors import GateFailed, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Service, Stack


def recognise(service: Service, stacks: Mapping[str, Stack], tree: Path) -> Stack:
    """Say which stack a service has, going by the files in its folder.

    Args:
        service: The service; the stack it is meant to have is tried first.
        stacks: All stacks, in the order in which the others are tried.
        tree: The folder that ``service.path`` is relative to.

    Returns:
        The first stack all of whose patterns match. Not always the one meant.

    Raises:
        GateFailed: No stack matches, or the folder is not there.
        Unverifiable: A tool of the stack is not on the PATH.
    """
    folder = tree / service.path
    preferred = [stack for stack in stacks.values() if stack.name == service.stack]
    for stack in (*preferred, *stacks.values()):
        if all(_matches(folder, pattern) for pattern in stack.recognised_by):
            _require_tools(stack, service)
            return stack
    rule = "recognise"
    raise GateFailed(rule, [Finding(service.name, _expectation(service, stacks, folder), rule)])


def _matches(folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None


def _require_tools(stack: Stack, service: Service) -> None:
    missing = [tool for tool in stack.tools if shutil.which(tool) is None]
    if missing:
        message = (
            f"{service.name}: {' and '.join(missing)} not found on the PATH; stack {stack.name!r} "
            f"needs {' and '.join(stack.tools)} to build and start it. Install what is missing"
        )
        raise Unverifiable(message)


def _expectation(service: Service, stacks: Mapping[str, Stack], folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder {service.path}"
    held = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    known = ", ".join(f"{s.name} ({', '.join(s.recognised_by)})" for s in stacks.values())
    return f"no stack recognised in {service.path}: expected one of {known}; it holds {held}"
