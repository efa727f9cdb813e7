"""Changes of the properties of an object: which there are, and which there must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.changes.parts import changed
from pytest_orchestrator._checks.nodes import Node, shown
from pytest_orchestrator._domain.change import Change, Direction, Effect, Shift, effect_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.changes.levels import Level, Levels

# OpenAPI: what is only read is no part of a request, and what is only written none of a response.
_HIDDEN = {"request": "readOnly", "response": "writeOnly"}


class Sent(NamedTuple):
    """What of an object is sent in one direction.

    Attributes:
        all: Its properties by name, whether they are sent or not.
        properties: Those that are sent.
        required: Of what is sent, the names that must be, each with the list it is in.
    """

    all: dict[str, Node]
    properties: dict[str, Node]
    required: dict[str, Node]


def sent(level: Level, levels: Levels, direction: Direction) -> Sent:
    """What of a level is sent in a direction."""
    hidden = _HIDDEN.get(direction, "")
    properties = {
        name: node
        for name, node in level.properties.items()
        if not (levels.outline.mentions(hidden) and hidden in levels.level(node).keywords)
    }
    required = {
        name: node
        for name, node in level.required.items()
        if name in properties or name not in level.properties
    }
    return Sent(level.properties, properties, required)


def property_changes(
    old: Sent, new: Sent, direction: Direction, *, is_closed: bool
) -> Iterator[Change]:
    """Properties that came or went, and those that became required or optional.

    ``is_closed`` says that so far there could be no others.
    """
    for name, node in old.properties.items():
        if name not in new.properties:
            # Of a request, too: who goes on sending it means something nobody listens to.
            subject = _subject("property", name, direction, is_hidden=name in new.all)
            yield changed("breaking", subject, node, new.all.get(name), direction)
    for name, node in new.properties.items():
        if name not in old.properties:
            is_needed = name in new.required and name not in old.required
            is_breaking = is_needed if direction == "request" else is_closed
            kind = "required property" if name in new.required else "optional property"
            subject = _subject(kind, name, direction, is_hidden=name in old.all)
            effect: Effect = "breaking" if is_breaking else "compatible"
            yield changed(effect, subject, old.all.get(name), node, direction)
    yield from _requirements(old, new, direction)


def _subject(kind: str, name: str, direction: Direction, *, is_hidden: bool) -> str:
    """What is spoken of; a property that is there, but not sent, is told apart."""
    if not is_hidden:
        return f"{kind} {shown(name)}"
    return f"{kind} {shown(name)}, {_HIDDEN[direction]} in one of the two,"


def _requirements(old: Sent, new: Sent, direction: Direction) -> Iterator[Change]:
    came, went = new.properties.keys() - old.properties, old.properties.keys() - new.properties
    for name in sorted(new.required.keys() - old.required - came):
        effect, pointer = effect_of(Shift.NARROWER, direction), new.required[name].pointer
        what = f"property {shown(name)} was optional, is now required"
        yield Change(effect, pointer, what, direction)
    for name in sorted(old.required.keys() - new.required - went):
        effect, pointer = effect_of(Shift.WIDER, direction), old.required[name].pointer
        what = f"property {shown(name)} was required, is now optional"
        yield Change(effect, pointer, what, direction)
