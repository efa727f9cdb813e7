"""The parts of an OpenAPI document by their kinds, wherever they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.comparison.outline import METHODS
from pytest_orchestrator._checks.nodes import follow, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Part(NamedTuple):
    """An object of a document whose meaning is known.

    Attributes:
        kind: As the official schemas of 3.1 call it, e.g. ``"media-type"``.
        value: May be of any type, as documents may be malformed anywhere.
        pointer: Where it stands.
        entered: Whether it is only known by a reference, and not by what is around it.
    """

    kind: str
    value: object
    pointer: str
    entered: bool = False


_SCHEMA = {
    **dict.fromkeys(
        ("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
        ("one", "schema"),
    ),
    **dict.fromkeys(
        ("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"), ("one", "schema")
    ),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), ("list", "schema")),
    **dict.fromkeys(
        ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"),
        ("map", "schema"),
    ),
}
_VALUED = {
    "schema": ("one", "schema"),
    "content": ("map", "media-type"),
    "examples": ("map", "example"),
}
_BELOW: dict[str, dict[str, tuple[str, str]]] = {
    "document": {
        "paths": ("map", "path-item"),
        "webhooks": ("map", "path-item"),
        "components": ("one", "components"),
    },
    "components": {
        "schemas": ("map", "schema"),
        "responses": ("map", "response"),
        "parameters": ("map", "parameter"),
        "examples": ("map", "example"),
        "requestBodies": ("map", "request-body"),
        "headers": ("map", "header"),
        "securitySchemes": ("map", "security-scheme"),
        "links": ("map", "link"),
        "callbacks": ("map", "callbacks"),
        "pathItems": ("map", "path-item"),
        "mediaTypes": ("map", "media-type"),
    },
    "path-item": {
        **dict.fromkeys(METHODS, ("one", "operation")),
        "additionalOperations": ("map", "operation"),
        "parameters": ("list", "parameter"),
    },
    "operation": {
        "parameters": ("list", "parameter"),
        "requestBody": ("one", "request-body"),
        "responses": ("map", "response"),
        "callbacks": ("map", "callbacks"),
    },
    "request-body": {"content": ("map", "media-type")},
    "response": {
        "headers": ("map", "header"),
        "content": ("map", "media-type"),
        "links": ("map", "link"),
    },
    "parameter": _VALUED,
    "header": _VALUED,
    "media-type": {
        "schema": ("one", "schema"),
        "itemSchema": ("one", "schema"),
        "examples": ("map", "example"),
        "encoding": ("map", "encoding"),
        "prefixEncoding": ("list", "encoding"),
        "itemEncoding": ("one", "encoding"),
    },
    "encoding": {"headers": ("map", "header"), "encoding": ("map", "encoding")},
    "schema": _SCHEMA,
}


def parts(document: object) -> list[Part]:
    """Every part once, in document order; then what is only reached by references."""
    found: dict[str, Part] = {}
    pending: dict[str, str] = {}
    _walk(Part("document", document, ""), found, pending)
    while pending:
        reference, kind = pending.popitem()
        try:
            target = follow(document, reference)
        except LookupError:
            continue
        if target.pointer not in found:
            _walk(Part(kind, target.value, target.pointer, entered=True), found, pending)
    return list(found.values())


def _walk(start: Part, found: dict[str, Part], pending: dict[str, str]) -> None:
    todo = [start]
    while todo:
        part = todo.pop()
        if part.pointer in found:
            continue
        found[part.pointer] = part
        if isinstance(part.value, dict):
            reference = part.value.get("$ref")
            if isinstance(reference, str):
                pending.setdefault(reference, part.kind)
            below = list(_below(part.kind, part.value, part.pointer))
            below.reverse()
            todo += below


def _below(kind: str, value: dict[object, object], pointer: str) -> Iterator[Part]:
    if kind == "callbacks":
        yield from _members(value, pointer, "path-item")
        return
    table = _BELOW.get(kind)
    if table is None:
        return
    for key, child in value.items():
        entry = table.get(key) if isinstance(key, str) else None
        if entry is None:
            continue
        shape, below = entry
        there = f"{pointer}/{key}"
        if shape == "one":
            yield Part(below, child, there)
        elif shape == "map" and isinstance(child, dict):
            yield from _members(child, there, below)
        elif shape == "list" and isinstance(child, list):
            yield from _elements(child, there, below)


def _members(value: dict[object, object], pointer: str, kind: str) -> Iterator[Part]:
    named = kind == "schema"
    for key, child in value.items():
        if named or not str(key).startswith("x-"):
            yield Part(kind, child, join(pointer, key))


def _elements(value: Iterable[object], pointer: str, kind: str) -> Iterator[Part]:
    for index, child in enumerate(value):
        yield Part(kind, child, f"{pointer}/{index}")
