"""What a document refers to, found without following anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import Node, follow, join, place, shown
from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

# Members that are data of the application: a "$ref" in there refers to nothing.
_DATA = frozenset({"const", "dataValue", "default", "enum", "example", "value"})
# Objects whose keys were chosen by the author, so that none of them is a keyword.
_NAMED = frozenset(
    """
    $defs additionalOperations callbacks content definitions dependentSchemas encoding examples
    headers links mapping mediaTypes parameters pathItems paths patternProperties properties
    requestBodies responses schemas scopes securitySchemes variables webhooks
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
# They change what a reference means, or are references of a kind nobody here resolves.
_ELSEWHERE = ("$id", "$anchor", "$dynamicAnchor", "$dynamicRef")


def find_references(document: object, name: str) -> tuple[Finding, ...]:
    """Everything that keeps a document from being read by itself; reads nothing else."""
    return tuple(_wrong_references(document, name))


def objects(document: object) -> Iterator[Node]:
    """The objects of a document whose keys have a meaning, in document order."""
    todo = [(Node(document), False)]
    while todo:
        node, named = todo.pop()
        if isinstance(node.value, dict) and not named:
            yield node
        below = [(child, False) for child in node.elements()]
        for key, child in node.members():
            if named:
                below.append((child, False))
            elif not _is_data(key, child.value):
                below.append((child, key in _NAMED and isinstance(child.value, dict)))
        todo.extend(reversed(below))


def _is_data(key: str, value: object) -> bool:
    listed_examples = key == "examples" and isinstance(value, list)
    return key in _DATA or key.startswith("x-") or listed_examples


def _wrong_references(document: object, name: str) -> Iterator[Finding]:
    for node in objects(document):
        for reference in _references(node):
            problem = _problem(document, reference.value)
            if problem is not None:
                rule, what = problem
                yield Finding(place(name, reference.pointer), what, rule)
        for keyword in _ELSEWHERE:
            if keyword in node and (node.pointer or keyword != "$id"):
                what = f"{keyword} is not supported; refer to a place in this document by '#/…'"
                yield Finding(place(name, join(node.pointer, keyword)), what, "ref-base")


def _references(node: Node) -> Iterator[Node]:
    if "$ref" in node:
        yield node.child("$ref")
    for _, target in node.child("mapping").members():
        # A discriminator may also give the bare name of a schema.
        if isinstance(target.value, str) and ("/" in target.value or "#" in target.value):
            yield target


def _problem(document: object, reference: object) -> tuple[str, str] | None:
    seen: set[object] = set()
    step = reference
    while True:
        if not isinstance(step, str) or not (step == "#" or step.startswith("#/")):
            return "ref-external", f"refers to {shown(step)}; references must begin with '#/'"
        if step in seen:
            return "ref-cycle", f"{shown(reference)} leads back to itself and never to a value"
        seen.add(step)
        try:
            target = follow(document, step)
        except LookupError:
            return "ref-dangling", f"refers to {shown(step)}, which is not there"
        if "$ref" not in target:
            return None
        step = target.child("$ref").value
