"""Which schema of one list has become which schema of another, whatever their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes.parts import differ
from pytest_orchestrator._checks.comparison.schemas import SchemaComparison
from pytest_orchestrator._checks.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_orchestrator._checks.changes.levels import Level, Levels

Pair = tuple[Node, Node]


class Pairs:
    """Finds pairs of schemas of two documents."""

    def __init__(self, old: Levels, new: Levels) -> None:
        self._old = old
        self._new = new
        self.same = SchemaComparison(old.outline, new.outline).same

    def matched(
        self, old: Iterable[Node], new: Iterable[Node]
    ) -> tuple[list[Pair], list[Node], list[Node]]:
        """Pairs, then what is left of the old list, then what is left of the new one.

        A schema goes with one that is written the same, else with one that says the
        same, else with one of the same name, else with the one it has most in common
        with, if there is anything.
        """
        gone, more = list(old), list(new)
        pairs: list[Pair] = []
        for fits in (_equal, self.same, _same_name):
            pairs += _taken(gone, more, fits)
        alike = [(self._likeness(one, other), one, other) for one in gone for other in more]
        for likeness, one, other in sorted(alike, key=lambda found: -found[0]):
            if likeness and one in gone and other in more:
                pairs.append((one, other))
                gone.remove(one)
                more.remove(other)
        return pairs, gone, more

    def _likeness(self, one: Node, other: Node) -> int:
        """How much they have in common; nothing, if no value can be both."""
        old, new = self._old.level(one), self._new.level(other)
        types = [set(_types(level)) for level in (old, new)]
        if all(types) and types[0].isdisjoint(types[1]):
            return 0
        shared = old.keywords.keys() & new.keywords.keys()
        equal = [key for key in shared if not differ(old.keywords[key], new.keywords[key])]
        return len(shared) + len(equal) + len(old.properties.keys() & new.properties.keys())


def _taken(gone: list[Node], more: list[Node], fits: Callable[[Node, Node], bool]) -> list[Pair]:
    """The pairs that fit, taken out of both lists."""
    pairs: list[Pair] = []
    for one in tuple(gone):
        other = next((node for node in more if fits(one, node)), None)
        if other is not None:
            pairs.append((one, other))
            gone.remove(one)
            more.remove(other)
    return pairs


def _types(level: Level) -> list[str]:
    return [str(name.value) for name in level.keywords.get("type", Node(None)).elements()]


def _equal(one: Node, other: Node) -> bool:
    # ``==`` is quick to say no, but takes ``false`` for ``0``.
    return one.value == other.value and not differ(one, other)


def _same_name(one: Node, other: Node) -> bool:
    return "$ref" in one and one.child("$ref").value == other.child("$ref").value
