"""The parts of an OpenAPI document, wherever they are written down."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.nodes import Node, follow
from pytest_orchestrator._checks.rules.near import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")

LEFT_OVER = frozenset(("unevaluatedItems", "unevaluatedProperties"))


class Operation(NamedTuple):
    """A method of a path: ``("POST", "/internal/query", …)``."""

    method: str
    path: str
    node: Node
    shared: Node
    """The path item's parameters, which hold for all its methods."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Outline:
    """An OpenAPI document by its parts; what is malformed or leads nowhere is not a part."""

    def __init__(self, document: object) -> None:
        self.root = Node(document)
        self.ignores_siblings = str(self.root.child("openapi").value).startswith("3.0")
        """Whether what stands beside a ``$ref`` counts for nothing, as in OpenAPI 3.0."""

    @property
    def asks_for_the_rest(self) -> bool:
        """Whether it matters anywhere what schemas leave over, e.g. to ``unevaluatedItems``."""
        return not self.ignores_siblings and any(map(self.mentions, LEFT_OVER))

    def mentions(self, key: str) -> bool:
        """Whether anything in the document is called that."""
        return key in self._keys

    @cached_property
    def _keys(self) -> set[str]:
        found: set[str] = set()
        todo = [self.root.value]
        while todo:
            value = todo.pop()
            if isinstance(value, dict):
                found.update(value)
                todo += value.values()
            elif isinstance(value, list):
                todo += value
        return found

    def resolve(self, node: Node) -> Node:
        """The node itself, or what it refers to in the end."""
        return self._followed(node, lambda _: True)

    def schema(self, node: Node) -> Node:
        """The schema itself, or the one it refers to and says nothing about itself."""
        return self._followed(node, lambda schema: self.ignores_siblings or len(schema) == 1)

    def target(self, reference: Node) -> Node:
        """Where one ``$ref`` leads to."""
        try:
            return follow(self.root.value, str(reference.value))
        except LookupError:
            return reference._replace(value=None)

    def _followed(self, node: Node, is_bare: Callable[[dict[str, object]], bool]) -> Node:
        seen: set[int] = set()
        while isinstance(node.value, dict) and "$ref" in node.value and is_bare(node.value):
            if id(node.value) in seen:
                return node._replace(value=None)
            seen.add(id(node.value))
            node = self.target(node.child("$ref"))
        return node

    def operations(self) -> Iterator[Operation]:
        """All operations, in document order."""
        for path, item in self.root.child("paths").members():
            yield from self.operations_of(path, item)

    def operations_of(self, path: str, written: Node) -> Iterator[Operation]:
        """The operations of one path item, in document order."""
        item = self.resolve(written)
        shared = item.child("parameters")
        for key, node in item.members():
            if key in METHODS and isinstance(node.value, dict):
                yield Operation(key.upper(), path, node, shared)
        for method, node in item.child("additionalOperations").members():
            yield Operation(method, path, node, shared)

    def instead_of(self, path: str) -> str:
        """What there is when an operation of this path is not, for the end of a sentence."""
        methods = [operation.method for operation in self.operations() if operation.path == path]
        if methods:
            return f"this path has {', '.join(methods)}"
        paths = [operation.path for operation in self.operations()]
        near = nearest(path, paths, cutoff=0)
        if near is None:
            return f"{len(paths)} others are" if paths else "no operation is"
        return f"the nearest path is {near}"

    def parameters(self, operation: Operation) -> dict[tuple[str, str], Node]:
        """Parameters by place and name, ``("path", "id")``; an operation's own come first."""
        written = self.written_parameters(operation)
        return {key: self.resolve(node) for key, node in written.items()}

    def written_parameters(self, operation: Operation) -> dict[tuple[str, str], Node]:
        """The same, as they are written: a parameter or a reference to one."""
        found: dict[tuple[str, str], Node] = {}
        for source in (operation.node.child("parameters"), operation.shared):
            for written in source.elements():
                node = self.resolve(written)
                kind, name = node.child("in").value, node.child("name").value
                if isinstance(kind, str) and isinstance(name, str):
                    found.setdefault((kind, name.lower() if kind == "header" else name), written)
        return found

    def content(self, holder: Node) -> dict[str, Node]:
        """Schemas by media type, without the media type's parameters."""
        return {
            media_type(written): self.resolve(node).child("schema")
            for written, node in holder.child("content").members()
        }


def media_type(text: str) -> str:
    """``"application/json"`` for ``"Application/JSON; charset=utf-8"``."""
    return text.partition(";")[0].strip().lower()
