"""Changes of one level of a schema, in one direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.changes.keywords import Judged, judged
from pytest_orchestrator._checks.changes.parts import changed, differ
from pytest_orchestrator._checks.changes.properties import property_changes, sent
from pytest_orchestrator._checks.nodes import Node
from pytest_orchestrator._domain.change import Change, Direction, Shift, effect_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_orchestrator._checks.changes.levels import Level, Levels
    from pytest_orchestrator._checks.changes.pairs import Pairs
    from pytest_orchestrator._checks.comparison.normal import Keywords

# Allowing less below allows less here, and a schema that is not there allows everything.
_BELOW = (
    "additionalProperties",
    "contentSchema",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
# The same, if all the names or all the positions are the same.
_MANY_BELOW = ("dependentSchemas", "patternProperties", "prefixItems")
# What these allow depends on one another in ways nobody here follows.
_WHOLE = ("contains", "else", "if", "not", "then")
_SCHEMAS = (*_BELOW, *_MANY_BELOW, *_WHOLE)
_ONE_WAY = ("readOnly", "writeOnly")
_NOWHERE = Node(None)
_PLAIN: dict[str, object] = {
    name: {"type": name}
    for name in ("array", "boolean", "integer", "null", "number", "object", "string")
}


class Rest(NamedTuple):
    """What schemas in the same place leave over to the ``unevaluated…`` around them.

    Attributes:
        properties: What is allowed of other properties; ``None``: nobody asks for them.
        items: Whether anybody asks for other items.
    """

    properties: Node | None = None
    items: bool = False


class Met(NamedTuple):
    """Two schemas to be compared, and what becomes of what they leave over."""

    one: Node
    other: Node
    rest: Rest = Rest()


class Comparison:
    """Compares two schemas, and collects the pairs of schemas below them."""

    def __init__(self, old: Levels, new: Levels, pairs: Pairs, direction: Direction) -> None:
        self._old = old
        self._new = new
        self._pairs = pairs
        self._direction = direction
        self._rest = Rest()
        self.below: list[Met] = []

    def changes(self, met: Met) -> Iterator[Change]:
        """What has changed between the two themselves."""
        one, other, around = met
        old, new = self._old.level(one), self._new.level(other)
        self._rest = Rest(
            old.keywords.get("unevaluatedProperties", around.properties),
            "unevaluatedItems" in old.keywords or around.items,
        )
        was_nothing, is_nothing = self._old.is_nothing(one), self._new.is_nothing(other)
        if was_nothing or is_nothing:
            if was_nothing != is_nothing:
                shift = Shift.NARROWER if is_nothing else Shift.WIDER
                yield self._change(Judged(shift, _name(one, other), _there(one), _there(other)))
            return
        alternatives = _alternatives(one, old, other, new)
        if alternatives is not None:
            yield from self._choice(*alternatives)
            return
        yield from map(self._change, judged(_plain(old), _plain(new)))
        yield from self._properties(old, new)
        yield from self._choices(old, new)
        yield from self._schemas(old.keywords, new.keywords)
        yield from self._left_over(old.keywords, new.keywords, around)
        self._conjuncts(old, new)

    def _change(self, shifted: Judged) -> Change:
        shift, subject, one, other = shifted
        return changed(effect_of(shift, self._direction), subject, one, other, self._direction)

    def _properties(self, old: Level, new: Level) -> Iterator[Change]:
        others = old.keywords.get("additionalProperties", self._rest.properties)
        is_closed = others is not None and self._old.is_nothing(others)
        before = sent(old, self._old, self._direction)
        after = sent(new, self._new, self._direction)
        yield from property_changes(before, after, self._direction, is_closed=is_closed)
        # So far, a property nobody named was like all the additional ones; which
        # of them the patterns are about is not looked into.
        unnamed = list(_children(old.keywords.get("patternProperties", _NOWHERE)).values())
        unnamed += [others] if others is not None and not is_closed else []
        for name, node in after.properties.items():
            known = [before.properties[name]] if name in before.properties else unnamed
            if not known and name in before.required:
                known = [_NOWHERE]  # it was sent, whatever it was
            self.below += [Met(each, node) for each in known]
        for flag in _ONE_WAY:
            one, other = old.keywords.get(flag), new.keywords.get(flag)
            if differ(one, other):
                yield changed("annotation", flag, one, other, self._direction)

    def _choices(self, old: Level, new: Level) -> Iterator[Change]:
        """Changes of ``anyOf`` and ``oneOf``; of the latter, only one is taken ever to fit."""
        if len(old.choices) == len(new.choices) == 1:
            (one, mine), (other, theirs) = *old.choices.items(), *new.choices.items()
            if one != other:
                shift = Shift.NARROWER if other == "oneOf" else Shift.WIDER
                yield self._change(Judged(shift, f"{one}, now {other},", _all(mine), _all(theirs)))
            yield from self._choice(other, mine, theirs)
            return
        for key in dict.fromkeys((*old.choices, *new.choices)):
            mine, theirs = old.choices.get(key, ()), new.choices.get(key, ())
            # It also takes something from what is left over, or gives it back.
            both_ways = Shift.OTHER if any(self._rest) else None
            if not mine:
                yield self._change(Judged(both_ways or Shift.NARROWER, key, None, _all(theirs)))
            elif not theirs:
                yield self._change(Judged(both_ways or Shift.WIDER, key, _all(mine), None))
            else:
                yield from self._choice(key, mine, theirs)

    def _choice(self, key: str, old: Iterable[Node], new: Iterable[Node]) -> Iterator[Change]:
        pairs, gone, more = self._pairs.matched(old, new)
        self.below += [Met(*pair, self._rest) for pair in pairs]
        for node in gone:
            yield self._change(Judged(Shift.NARROWER, f"schema of {key}", node, None))
        for node in more:
            yield self._change(Judged(Shift.WIDER, f"schema of {key}", None, node))

    def _conjuncts(self, old: Level, new: Level) -> None:
        """Go on with what ``allOf`` adds; what is not there adds nothing."""
        pairs, gone, more = self._pairs.matched(old.apart, new.apart)
        pairs += [(node, _NOWHERE) for node in gone]
        pairs += [(_NOWHERE, node) for node in more]
        self.below += [Met(*pair, self._rest) for pair in pairs]

    def _schemas(self, old: Keywords, new: Keywords) -> Iterator[Change]:
        """Go on with the schemas below; tell what cannot be gone on with."""
        for key in _SCHEMAS:
            one, other = old.get(key), new.get(key)
            if one is other:  # neither is there
                continue
            if key in _BELOW:
                self.below.append(Met(one or _NOWHERE, other or _NOWHERE))
            elif one is None or other is None:
                yield self._change(Judged(Shift.OTHER, key, one, other))
            elif key in _MANY_BELOW:
                yield from self._many(key, one, other)
            elif not self._pairs.same(one, other):
                yield self._change(Judged(Shift.OTHER, key, one, other))

    def _left_over(self, old: Keywords, new: Keywords, around: Rest) -> Iterator[Change]:
        """Keywords that leave nothing over, or no longer; what they allow is judged as such."""
        keys = ["additionalProperties"] * (self._rest.properties is not None)
        keys += ["unevaluatedProperties"] * (around.properties is not None)
        keys += ["items"] * self._rest.items + ["unevaluatedItems"] * around.items
        for key in keys:
            one, other = old.get(key), new.get(key)
            if (one is None) != (other is None):
                subject = f"{key}, which leaves nothing over,"
                yield self._change(Judged(Shift.OTHER, subject, one, other))

    def _many(self, key: str, one: Node, other: Node) -> Iterator[Change]:
        mine, theirs = _children(one), _children(other)
        if mine.keys() != theirs.keys():
            yield self._change(Judged(Shift.OTHER, key, one, other))
        self.below += [Met(mine[name], theirs[name]) for name in mine.keys() & theirs.keys()]


def _name(one: Node, other: Node) -> str:
    """What two schemas are of, e.g. ``"additionalProperties"``."""
    pointer = one.pointer if other.value is None else other.pointer
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _there(node: Node) -> Node | None:
    return None if node.value is None else node


def _plain(level: Level) -> Keywords:
    """The keywords without schemas below."""
    return {key: node for key, node in level.keywords.items() if key not in _SCHEMAS}


def _children(node: Node) -> dict[object, Node]:
    return {**dict(node.members()), **dict(enumerate(node.elements()))}


def _all(choices: Sequence[Node]) -> Node:
    """The list some schemas are in."""
    return Node([node.value for node in choices], choices[0].pointer.rpartition("/")[0])


def _alternatives(
    one: Node, old: Level, other: Node, new: Level
) -> tuple[str, Sequence[Node], Sequence[Node]] | None:
    """A choice, and what was chosen when there was no choice; ``None`` if there is none."""
    if _is_choice(old) and not new.choices and not new.is_anything:
        ((key, nodes),) = old.choices.items()
        return key, nodes, _by_type(other, new)
    if _is_choice(new) and not old.choices and not old.is_anything:
        ((key, nodes),) = new.choices.items()
        return key, _by_type(one, old), nodes
    return None


def _is_choice(level: Level) -> bool:
    """Whether a schema is a choice and nothing else."""
    return len(level.choices) == 1 and not (any(level[:3]) or level.apart)


def _by_type(schema: Node, level: Level) -> list[Node]:
    """A schema for each type, if a schema speaks of nothing else; or the schema itself."""
    types = level.keywords.get("type", schema)
    if list(level.keywords) != ["type"] or any(level[1:5]) or not isinstance(types.value, list):
        return [schema]
    return [types._replace(value=_PLAIN.get(str(name), schema.value)) for name in types.value]
