"""Changes of schemas, judged by who sends and who reads what they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.change_keywords import judged
from pytest_orchestrator._checks.change_levels import Level, Levels
from pytest_orchestrator._checks.change_notes import note_changes
from pytest_orchestrator._checks.change_pairs import Pairs
from pytest_orchestrator._checks.change_parts import changed, differ
from pytest_orchestrator._checks.nodes import Node, join, shown
from pytest_orchestrator._domain.change import Change, Direction, Effect, Shift, effect_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.outline import Outline

# Allowing less below allows less here, and a schema that is not there allows everything.
_BELOW = (
    "additionalProperties",
    "contentSchema",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
# The same, if the names are the same.
_NAMED_BELOW = ("dependentSchemas", "patternProperties")
# What these allow depends on one another in ways nobody here follows.
_WHOLE = ("contains", "else", "if", "not", "then")
_HIDDEN: dict[Direction, str] = {"request": "readOnly", "response": "writeOnly"}
_NOWHERE = Node(None)


class SchemaChanges:
    """Compares schemas of two documents; a pair is compared once in each direction."""

    def __init__(self, old: Outline, new: Outline) -> None:
        self._old = Levels(old)
        self._new = Levels(new)
        self._outlines = old, new
        self._pairs = Pairs(old, new, self._old, self._new)
        self._seen: set[tuple[int, int, Direction]] = set()

    def changes(self, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
        """All changes from one schema to the other that have not been told yet."""
        todo = [(old, new)]
        while todo:
            one, other = todo.pop()
            one, other = self._outlines[0].schema(one), self._outlines[1].schema(other)
            key = id(one.value), id(other.value), direction
            if key not in self._seen:
                self._seen.add(key)
                comparison = _Comparison(self, one, other, direction)
                yield from comparison.changes()
                todo.extend(comparison.below)
