"""Changes of schemas, judged by who sends and who reads what they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes.comparison import Comparison, Met
from pytest_orchestrator._checks.changes.levels import Levels, identity
from pytest_orchestrator._checks.changes.notes import NoteChanges
from pytest_orchestrator._checks.changes.pairs import Pairs
from pytest_orchestrator._checks.changes.unchanged import Unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.comparison.outline import Outline
    from pytest_orchestrator._checks.nodes import Node
    from pytest_orchestrator._domain.change import Change, Direction


class SchemaChanges:
    """Compares schemas of two documents; a pair is compared once in each direction."""

    def __init__(self, old: Outline, new: Outline) -> None:
        self._old = Levels(old)
        self._new = Levels(new)
        self._pairs = Pairs(self._old, self._new)
        self._notes = NoteChanges(old, new, self._pairs.same)
        self._unchanged = Unchanged(old, new)
        self._seen: set[tuple[object, ...]] = set()

    def changes(self, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
        """All changes from one schema to the other that have not been told yet."""
        todo = [Met(old, new)]
        while todo:
            one, other, rest = todo.pop()
            one, other = self._old.outline.schema(one), self._new.outline.schema(other)
            left_over = rest.properties and identity(rest.properties), rest.items
            key = identity(one), identity(other), left_over, direction
            if key not in self._seen:
                self._seen.add(key)
                if self._unchanged(one, other):
                    continue
                levels = self._old.level(one), self._new.level(other)
                yield from self._notes.changes(levels[0].notes, levels[1].notes, direction)
                comparison = Comparison(self._old, self._new, self._pairs, direction)
                yield from comparison.changes(Met(one, other, rest))
                todo += comparison.below

    def is_unused(self, old: Node, new: Node) -> bool:
        """Whether neither of two schemas has been looked at so far."""
        return not (self._old.has_made(old) or self._new.has_made(new))

    def same(self, old: Node, new: Node) -> bool:
        """Whether two schemas allow the same values."""
        return self._pairs.same(old, new)
