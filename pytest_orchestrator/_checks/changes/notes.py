"""Changes of what validates nothing: texts, examples, defaults, and discriminators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes.parts import changed, differ, part, remaining
from pytest_orchestrator._checks.nodes import Node, join
from pytest_orchestrator._domain.change import Change, Direction, Shift, effect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_orchestrator._checks.comparison.normal import Keywords
    from pytest_orchestrator._checks.comparison.outline import Outline

_DISCRIMINATOR = frozenset(("mapping", "propertyName"))


class NoteChanges:
    """Compares the notes of two schemas."""

    def __init__(self, old: Outline, new: Outline, same: Callable[[Node, Node], bool]) -> None:
        self._old = old
        self._new = new
        self._same = same

    def changes(self, old: Keywords, new: Keywords, direction: Direction) -> Iterator[Change]:
        """What has changed; only discriminators can break anything."""
        for key in dict.fromkeys((*old, *new)):
            one, other = old.get(key), new.get(key)
            if not differ(one, other):
                continue
            if key == "discriminator":
                yield from self._discriminator(one, other, direction)
            elif key == "default" and direction == "request":
                # The same may be sent, but what is left out now means something else.
                yield changed("compatible", key, one, other, direction)
            else:
                yield changed("annotation", key, one, other, direction)

    def _discriminator(
        self, one: Node | None, other: Node | None, direction: Direction
    ) -> Iterator[Change]:
        """A discriminator promises a property with one of certain values."""
        if one is None or other is None:
            shift = Shift.NARROWER if one is None else Shift.WIDER
            yield changed(effect_of(shift, direction), "discriminator", one, other, direction)
            return
        names = part(one, "propertyName"), part(other, "propertyName")
        if differ(*names):
            yield changed("breaking", "discriminating property", *names, direction)
        yield from remaining(one, other, _DISCRIMINATOR, direction)
        yield from self._mapping(dict(_explicit(one)), dict(_explicit(other)), direction)

    def _mapping(
        self, old: dict[str, Node], new: dict[str, Node], direction: Direction
    ) -> Iterator[Change]:
        for name in dict.fromkeys((*old, *new)):
            one, other = old.get(name), new.get(name)
            if one is None or other is None:
                shift = Shift.NARROWER if other is None else Shift.WIDER
            elif differ(one, other) and not self._same_target(one, other):
                shift = Shift.OTHER
            else:
                continue
            subject = f"schema for {name!r}"
            yield changed(effect_of(shift, direction), subject, one, other, direction)

    def _same_target(self, one: Node, other: Node) -> bool:
        return self._same(self._old.target(_reference(one)), self._new.target(_reference(other)))


def _explicit(discriminator: Node) -> Iterator[tuple[str, Node]]:
    """The entries of a mapping that say more than the names of schemas do."""
    for name, target in discriminator.child("mapping").members():
        if str(target.value).rpartition("/")[2] != name:
            yield name, target


def _reference(target: Node) -> Node:
    """What a mapping refers to; a bare name is that of a schema."""
    text = str(target.value)
    bare = "/" not in text and "#" not in text
    return target._replace(value=join("#/components/schemas", text)) if bare else target
