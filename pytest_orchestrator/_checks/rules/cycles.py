"""Schemas that lead back to themselves before they say anything about a value."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import follow
from pytest_orchestrator._checks.rules.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_orchestrator._checks.rules.parts import Part

_IN_PLACE = ("allOf", "anyOf", "oneOf")


def cycle_faults(document: object, parts: Iterable[Part]) -> Iterator[Fault]:
    """One fault for each cycle made only of references and of allOf, anyOf and oneOf."""
    edges = {part.pointer: list(_leads_to(document, part)) for part in parts}
    finished: set[str] = set()
    for start, targets in edges.items():
        if targets and start not in finished:
            yield from _back_edges(start, edges, finished)


def _leads_to(document: object, part: Part) -> Iterator[str]:
    if part.kind != "schema" or not isinstance(part.value, dict):
        return
    reference = part.value.get("$ref")
    if isinstance(reference, str):
        with suppress(LookupError):
            yield follow(document, reference).pointer
    for keyword in _IN_PLACE:
        alternatives = part.value.get(keyword)
        if isinstance(alternatives, list):
            yield from (f"{part.pointer}/{keyword}/{index}" for index in range(len(alternatives)))


def _back_edges(start: str, edges: dict[str, list[str]], finished: set[str]) -> Iterator[Fault]:
    """Depth first, without recursion; ``path`` is the way to the node at hand, in order."""
    path = {start: None}
    todo = [iter(edges[start])]
    while todo:
        target = next(todo[-1], None)
        if target is None:
            finished.add(path.popitem()[0])
            todo.pop()
        elif target in path:
            yield _fault(target, list(path))
        elif edges.get(target) and target not in finished:
            path[target] = None
            todo.append(iter(edges[target]))


def _fault(target: str, path: list[str]) -> Fault:
    cycle = path[path.index(target) :]
    # What is below a schema in place begins with its pointer, so a reference is what does not.
    following = [*cycle[1:], target]
    holder = next(
        node for node, to in zip(cycle, following, strict=True) if not to.startswith(f"{node}/")
    )
    what = "leads back to itself and never to a value"
    cure = "refer to it from within properties or items, or say there what it is"
    return Fault(f"{holder}/$ref", what, "ref-cycle", cure)
