"""One level of a schema: what it says itself, with everything that ``allOf`` adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from pytest_orchestrator._checks.comparison.normal import (
    NULL,
    SAYS_NOTHING,
    Keywords,
    normal,
    topics,
)
from pytest_orchestrator._checks.nodes import Node, canonical, follow, join

if TYPE_CHECKING:
    from pytest_orchestrator._checks.comparison.outline import Outline

CHOICES = ("anyOf", "oneOf")
# They speak of all properties but those beside them, so they stay where they are.
_SCOPED = frozenset(("additionalProperties", "patternProperties"))
# What they mean depends on what is in the same schema, whatever that is.
_ALONE = frozenset(("nullable", "unevaluatedItems", "unevaluatedProperties"))
_NO_NOTES = frozenset(("$defs", "$schema", "definitions"))
# 3.0 writes as a format what 3.1 writes as a keyword.
_ENCODED = {
    "byte": ("contentEncoding", "base64"),
    "binary": ("contentMediaType", "application/octet-stream"),
}


class Level(NamedTuple):
    """What a schema says, apart from the schemas below it.

    Attributes:
        keywords: In normal form; without those that have a field of their own.
        properties: By name.
        required: By name, each with the list it is in.
        choices: The schemas of ``anyOf`` and ``oneOf``.
        apart: Schemas of ``allOf`` that contradict the others or each other.
        notes: What validates nothing, e.g. titles and defaults, by keyword.
    """

    keywords: Keywords
    properties: dict[str, Node]
    required: dict[str, Node]
    choices: dict[str, tuple[Node, ...]]
    apart: tuple[Node, ...]
    notes: Keywords

    @property
    def is_anything(self) -> bool:
        """Whether all values are allowed, as by ``true``."""
        return not any(self[:5])


# Schemas that are part of each other in so many ways are not followed to their end.
_PATIENCE = 200
_EMPTY = Level({}, {}, {}, {}, (), {})


class Levels:
    """The levels of the schemas of one document; each is made once."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self._made: dict[tuple[str, int], Level] = {}
        # What is being made, by how deep inside of what else; and the least deep
        # that has been met again meanwhile.
        self._open: dict[tuple[str, int], int] = {}
        self._reached = 0
        self._unkept = 0

    def level(self, schema: Node) -> Level:
        """The level of a schema; nothing is said by one that is not there."""
        key = identity(schema)
        known = self._made.get(key)
        if known is not None:
            return known
        there = self.outline.schema(schema)
        if there is not schema:
            return self.level(there)
        if key in self._open:  # a schema that is part of itself
            self._reached = min(self._reached, self._open[key])
            return _EMPTY
        return self._made_of(schema, key)

    def _made_of(self, schema: Node, key: tuple[str, int]) -> Level:
        """A level that is kept, unless it would say more outside of what is being made now."""
        depth, reached = len(self._open), self._reached
        self._open[key] = self._reached = depth
        level = self._make(schema)
        del self._open[key]
        if self._reached == depth:
            self._made[key] = level
            self._reached = reached
            return level
        self._reached = min(self._reached, reached)
        self._unkept += 1
        if self._unkept > _PATIENCE:
            raise RecursionError(schema.pointer)
        return level

    def has_made(self, schema: Node) -> bool:
        """Whether anybody has asked for the level of a schema."""
        return identity(self.outline.schema(schema)) in self._made

    def is_nothing(self, schema: Node) -> bool:
        """Whether no value is allowed, as by ``false``, whatever else is said."""
        keywords = self.level(schema).keywords
        return "not" in keywords and self.level(keywords["not"]).is_anything

    def _make(self, schema: Node) -> Level:
        keywords = normal(self.outline, schema)
        written = _taken(keywords, "allOf", list)
        level = _own(keywords, schema)
        nodes = [self._standing(element) for element in written.elements()]
        members = [self.level(node) for node in nodes]
        # Whatever the order, the same ones are found to contradict any of the others.
        everything = [level, *members]
        for number, (node, member) in enumerate(zip(nodes, members, strict=True), start=1):
            others = [*everything[:number], *everything[number + 1 :]]
            agrees = all(_joined(member, other) is not None for other in others)
            both = _joined(level, member) if agrees else None
            level = level._replace(apart=(*level.apart, node)) if both is None else both
        return level._replace(notes=self._notes(schema))

    def _standing(self, node: Node) -> Node:
        """A schema of ``allOf`` where it stands; the normal form adds what is referred to."""
        holder, _, index = node.pointer.rpartition("/")
        if not holder.endswith("/$ref"):
            return node
        target = self.outline.target(follow(self.outline.root.value, f"#{quote(holder)}"))
        beside = join(holder.removesuffix("/$ref"), "allOf", index)
        return target if target.value is node.value else node._replace(pointer=beside)

    def _notes(self, schema: Node) -> Keywords:
        """A schema's own notes, then those of what it is made of, nearest first."""
        found: Keywords = {}
        seen: set[tuple[str, int]] = set()
        nearest = [schema]
        while nearest:
            seen.update(map(identity, nearest))
            notes = [note for part in nearest for note in part.members() if _is_note(*note)]
            # Of the equally near ones the same comes first, whatever their order.
            for key, node in sorted(notes, key=lambda note: canonical(note[1].value)):
                found.setdefault(key, node)
            parts = {identity(part): part for near in nearest for part in self._parts(near)}
            nearest = [part for key, part in parts.items() if key not in seen]
        return found

    def _parts(self, schema: Node) -> list[Node]:
        parts = list(schema.child("allOf").elements())
        if "$ref" in schema:
            parts.append(self.outline.target(schema.child("$ref")))
        for choice in (key for key in CHOICES if key in schema):
            real = [node for node in schema.child(choice).elements() if node.value != NULL]
            parts += real if len(real) == 1 else []
        return [self.outline.schema(node) for node in parts]


def identity(schema: Node) -> tuple[str, int]:
    """What tells a schema from all others; values alone may be shared, as ``True`` is."""
    return schema.pointer, id(schema.value)


def _own(keywords: Keywords, schema: Node) -> Level:
    """The level without what ``allOf`` says."""
    properties = dict(_taken(keywords, "properties", dict).members())
    names = _taken(keywords, "required", list)
    required = {str(name.value): names for name in names.elements()}
    written = {key: _chosen(_taken(keywords, key, list), schema) for key in CHOICES}
    choices = {key: nodes for key, nodes in written.items() if nodes}
    return Level(_encoded(keywords), properties, required, choices, (), {})


def _chosen(written: Node, schema: Node) -> tuple[Node, ...]:
    """The schemas of a choice; null stands where it is allowed."""
    return tuple(
        node._replace(pointer=join(schema.pointer, "nullable")) if node.value is NULL else node
        for node in written.elements()
    )


def _taken(keywords: Keywords, key: str, kind: type) -> Node:
    """A keyword that is taken out, if it is well-formed; else it stays among the others."""
    well_formed = key in keywords and isinstance(keywords[key].value, kind)
    return keywords.pop(key) if well_formed else Node(None)


def _encoded(keywords: Keywords) -> Keywords:
    written = keywords.get("format", Node(None))
    if written.value in ("byte", "binary"):
        keyword, value = _ENCODED[str(written.value)]
        rest = {key: node for key, node in keywords.items() if key != "format"}
        return {keyword: written._replace(value=value), **rest}
    return keywords


def _is_note(key: str, node: Node) -> bool:
    if key in _NO_NOTES or (key == "deprecated" and node.value is False):
        return False
    return key in SAYS_NOTHING or key.startswith("x-")


def _joined(some: Level, others: Level) -> Level | None:
    """Both at once; ``None`` if that cannot be said in one level."""
    keywords = {**some.keywords, **others.keywords}
    properties = {**others.properties, **some.properties}
    alike = _agree(some.keywords, others.keywords) and _agree(some.properties, others.properties)
    on_one_side = topics(some.keywords.keys() ^ others.keywords.keys())
    if not alike or on_one_side & topics(some.keywords) & topics(others.keywords):
        return None
    if some.choices.keys() & others.choices.keys() or (properties and _SCOPED & keywords.keys()):
        return None
    if not _ALONE.isdisjoint(keywords):
        return None
    return Level(
        keywords,
        properties,
        {**others.required, **some.required},
        {**some.choices, **others.choices},
        (*some.apart, *others.apart),
        {},
    )


def _agree(some: dict[str, Node], others: dict[str, Node]) -> bool:
    """Whether they say the same of what both speak of."""
    both = some.keys() & others.keys()
    return all(canonical(some[key].value) == canonical(others[key].value) for key in both)
