"""How a change is worded, and what is said of parts that no rule knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import Node, canonical, shown
from pytest_orchestrator._domain.change import Change, Direction, Effect

if TYPE_CHECKING:
    from collections.abc import Iterator

# Texts for people; ``links`` only tell what else could be asked for.
_TEXTS = frozenset(
    """
    bearerFormat deprecated description example examples externalDocs links summary tags title
    """.split()  # noqa: SIM905 - a paragraph, not a column
)


# Off is as good as not there.
_FLAGS = frozenset(("allowEmptyValue", "allowReserved", "deprecated"))


def part(node: Node, key: str) -> Node | None:
    """A member of an object; ``None`` if there is none."""
    return node.child(key) if key in node else None


def entries(node: Node) -> dict[str, Node]:
    """The members of an object whose keys are names, without extensions."""
    return {key: member for key, member in node.members() if not key.startswith("x-")}


def changed(
    effect: Effect,
    subject: str,
    one: Node | None,
    other: Node | None,
    direction: Direction = "",
) -> Change:
    """The change from one node to the other; ``None`` is one that is not there."""
    if other is not None:
        now = shown(other.value)
        what = f"{subject} is new: {now}"
        if one is not None:
            what = f"{subject} was {shown(one.value)}, is now {now}"
        return Change(effect, other.pointer, what, direction)
    if one is None:
        raise ValueError(subject)
    what = f"{subject} is gone; it was {shown(one.value)}"
    return Change(effect, one.pointer, what, direction)


def differ(one: Node | None, other: Node | None) -> bool:
    """Whether two nodes say different things; ``None`` is one that is not there."""
    if one is None or other is None:
        return one is not other
    return canonical(one.value) != canonical(other.value)


def remaining(
    one: Node, other: Node, known: frozenset[str], direction: Direction = ""
) -> Iterator[Change]:
    """Changes of all members but the known ones: breaking, if they are not just texts."""
    before, after = _said(one, known), _said(other, known)
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if not differ(old, new):
            continue
        if key in _TEXTS or key.startswith("x-"):
            yield changed("annotation", key, old, new, direction)
        else:
            yield changed("breaking", f"{key}, for which there is no rule,", old, new, direction)


def _said(node: Node, known: frozenset[str]) -> dict[str, Node]:
    """The members of an object that say something, but for the known ones."""
    return {
        key: member
        for key, member in node.members()
        if not (key in known or (key in _FLAGS and member.value is False))
    }
