"""How two revisions of an OpenAPI document differ, and for whom that matters."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes.operations import CALLED, CALLING, OperationChanges
from pytest_orchestrator._checks.changes.parts import changed, differ, entries, part, remaining
from pytest_orchestrator._checks.changes.schemas import SchemaChanges
from pytest_orchestrator._checks.comparison.outline import Outline
from pytest_orchestrator._checks.nodes import Node
from pytest_orchestrator._domain.change import EFFECTS, Change, Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARAMETER = re.compile(r"\{([^}]*)\}")
_OTHER: dict[Direction, Direction] = {"request": "response", "response": "request"}
_DOCUMENT = frozenset(
    """
    components info openapi paths security servers webhooks
    """.split()  # noqa: SIM905 - a paragraph, not a column
)


def changes(old: object, new: object) -> tuple[Change, ...]:
    """All differences between two OpenAPI documents, and whom each of them breaks.

    Both are taken to be valid and self-contained, as ``check_openapi`` finds
    out; they may be of different versions, 3.0 to 3.2. What the same schema is
    written like is no difference, nor is the order of anything. A schema is
    judged wherever it is used: what is harmless to those who read it may break
    those who send it. A change that no rule knows is breaking.

    Args:
        old: The document consumers were built against, as ``read_document`` returns it.
        new: The document that is to take its place.

    Returns:
        One change for each difference and effect, sorted by pointer, breaking
        ones first; empty if the two mean the same and are described alike.

    Source:
        docs/reference/breaking-changes.md has the rules.
    """
    found: set[Change] = set()
    try:
        found.update(_document_changes(Outline(old), Outline(new)))
    except RecursionError:
        what = "schemas lead to each other too many times to be compared to their end"
        found.add(Change("breaking", "", what))
    return _in_order(found)


def _in_order(found: set[Change]) -> tuple[Change, ...]:
    """Each change once, also if it is the same in both directions."""
    merged = set()
    for change in found:
        other = _OTHER.get(change.direction)
        is_both = other is not None and replace(change, direction=other) in found
        merged.add(replace(change, direction="both") if is_both else change)
    return tuple(sorted(merged, key=_key))


def _key(change: Change) -> tuple[str, int, str, str]:
    return change.pointer, EFFECTS.index(change.effect), change.what, change.direction


def _document_changes(old: Outline, new: Outline) -> Iterator[Change]:
    one, other = old.root, new.root
    if not (isinstance(one.value, dict) and isinstance(other.value, dict)):
        if differ(one, other):
            yield changed("breaking", "document", one, other)
        return
    schemas = SchemaChanges(old, new)
    operations = OperationChanges(old, new, schemas)
    yield from _path_changes(one.child("paths"), other.child("paths"), operations)
    webhooks = one.child("webhooks"), other.child("webhooks")
    yield from operations.of_items(*webhooks, CALLING, "webhook")
    yield from operations.security.hints()
    yield from _name_changes(one, other, schemas)
    yield from _text_changes(one, other)
    yield from remaining(one, other, _DOCUMENT)


def _path_changes(old: Node, new: Node, operations: OperationChanges) -> Iterator[Change]:
    before, after = entries(old), entries(new)
    renamed = {_shape(path): path for path in after if path not in before}
    for path, item in before.items():
        now = path if path in after else renamed.pop(_shape(path), None)
        if now is None:
            yield changed("breaking", f"path {path}", item, None)
            continue
        there = after.pop(now)
        if now != path:
            what = f"path was {path}, is now {now}: the same URLs, but generated code changes"
            yield Change("compatible", there.pointer, what, "request")
        names = zip(_PARAMETER.findall(path), _PARAMETER.findall(now), strict=True)
        yield from operations.of_item(item, there, CALLED, dict(names))
    for path, item in after.items():
        yield changed("compatible", f"path {path}", None, item)


def _shape(path: str) -> str:
    """What is the same for all paths that lead to the same URLs."""
    return _PARAMETER.sub("{}", path)


def _name_changes(old: Node, new: Node, schemas: SchemaChanges) -> Iterator[Change]:
    """Changes of named schemas that only generated code will show."""
    before, after = (dict(root.child("components", "schemas").members()) for root in (old, new))
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            subject = f"name {name}, after which generated code is named,"
            yield changed("annotation", subject, one, other)
        elif not differ(one, other):
            continue  # what it refers to is told where that is written
        elif schemas.is_unused(one, other) and not schemas.same(one, other):
            subject = f"schema {name}, which only generated code may show,"
            yield changed("annotation", subject, one, other)


def _text_changes(old: Node, new: Node) -> Iterator[Change]:
    """Changes of the version of OpenAPI, and of what is said about the API."""
    pairs = [(old, new, "openapi")]
    infos = old.child("info"), new.child("info")
    pairs += [(*infos, key) for key in dict.fromkeys(key for i in infos for key, _ in i.members())]
    for one, other, key in pairs:
        nodes = part(one, key), part(other, key)
        if differ(*nodes):
            yield changed("annotation", key, *nodes)
