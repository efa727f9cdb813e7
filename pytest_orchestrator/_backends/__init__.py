"""Back-ends by name; each is one file, imported when it is asked for.

Others can be added under the entry point group ``pytest_orchestrator.backends``:
a callable that takes the project's root folder and returns an ``AgentBackend``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from pytest_orchestrator.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_orchestrator._domain.agent import AgentBackend
    from pytest_orchestrator._domain.plan import Plan

GROUP = "pytest_orchestrator.backends"
_OURS = {"nop": "Nop", "oracle": "Oracle"}


def names() -> tuple[str, ...]:
    """The back-ends there are, sorted."""
    return tuple(sorted({*_OURS, *(point.name for point in entry_points(group=GROUP))}))


def make_backend(name: str, root: Path) -> AgentBackend:
    """Make a back-end.

    Args:
        name: One of ``names()``.
        root: The project's folder.

    Raises:
        RunError: There is no back-end of that name.
    """
    if name in _OURS:
        module = import_module(f"pytest_orchestrator._backends.{name}")
        factory = cast("Callable[[Path], AgentBackend]", getattr(module, _OURS[name]))
        return factory(root)
    for point in entry_points(group=GROUP, name=name):
        return cast("Callable[[Path], AgentBackend]", point.load())(root)
    raise RunError(f"there is no back-end {name!r}; there are {', '.join(names())}")


def remarks(name: str, plan: Plan, root: Path) -> list[str]:
    """What a back-end wants people to know before it starts, a line each; mostly nothing."""
    told = getattr(make_backend(name, root), "remarks", None)
    return list(told(plan)) if told is not None else []
