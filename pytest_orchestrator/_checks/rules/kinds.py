"""References to something else than what is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import follow
from pytest_orchestrator._checks.rules.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_orchestrator._checks.rules.parts import Part


def kind_faults(document: object, parts: Iterable[Part]) -> Iterator[Fault]:
    """A fault for each reference to a part of another kind, e.g. to a schema for a response."""
    kinds = {part.pointer: part.kind for part in parts}
    targets: dict[str, str] = {}
    for part in parts:
        reference = part.value.get("$ref") if isinstance(part.value, dict) else None
        if not isinstance(reference, str):
            continue
        if reference not in targets:
            targets[reference] = _target(document, reference)
        kind = kinds.get(targets[reference], part.kind)
        if kind != part.kind:
            what = f"refers to a {kind}, where a {part.kind} is meant"
            yield Fault(f"{part.pointer}/$ref", what, "ref-kind", f"refer to a {part.kind}")


def _target(document: object, reference: str) -> str:
    try:
        return follow(document, reference).pointer
    except LookupError:  # which is told of elsewhere
        return "nowhere"
