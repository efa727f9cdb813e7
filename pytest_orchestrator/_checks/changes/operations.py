"""Changes of operations, and of the operations an API calls back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.changes.access import SecurityChanges, server_changes
from pytest_orchestrator._checks.changes.messages import MessageChanges
from pytest_orchestrator._checks.changes.parts import changed, differ, entries, part, remaining
from pytest_orchestrator._checks.comparison.outline import METHODS
from pytest_orchestrator._checks.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.changes.schemas import SchemaChanges
    from pytest_orchestrator._checks.comparison.outline import Operation, Outline
    from pytest_orchestrator._domain.change import Change, Direction

_ITEM = frozenset((*METHODS, "additionalOperations", "parameters", "servers"))
_OPERATION = frozenset(
    """
    callbacks operationId parameters requestBody responses security servers
    """.split()  # noqa: SIM905 - a paragraph, not a column
)


class Way(NamedTuple):
    """What a request and a response are to a consumer: it sends one and reads the other."""

    request: Direction
    response: Direction


CALLED = Way("request", "response")
# Here the API sends the request, and the consumer answers.
CALLING = Way("response", "request")


class OperationChanges:
    """Compares operations of two documents; a pair is compared once each way."""

    def __init__(self, old: Outline, new: Outline, schemas: SchemaChanges) -> None:
        self._old = old
        self._new = new
        self._messages = MessageChanges(old, new, schemas)
        self.security = SecurityChanges(old, new)
        self._seen: set[tuple[str, str, Way]] = set()

    def of_items(self, old: Node, new: Node, way: Way, kind: str) -> Iterator[Change]:
        """Changes of path items that have names, such as webhooks."""
        before, after = entries(old), entries(new)
        yield from _came_and_went(kind, before, after)
        for name in before.keys() & after.keys():
            yield from self.of_item(before[name], after[name], way)

    def of_item(
        self, old: Node, new: Node, way: Way, renamed: Mapping[str, str] | None = None
    ) -> Iterator[Change]:
        """Changes of a path item; ``renamed`` has the new names of its parameters by the old."""
        one, other = self._old.resolve(old), self._new.resolve(new)
        before = {o.method: o for o in self._old.operations_of("", old)}
        after = {o.method: o for o in self._new.operations_of("", new)}
        yield from _came_and_went(
            "operation",
            {method: operation.node for method, operation in before.items()},
            {method: operation.node for method, operation in after.items()},
        )
        for method in before.keys() & after.keys():
            mine, theirs = before[method], after[method]
            key = mine.node.pointer, theirs.node.pointer, way
            if key not in self._seen:
                self._seen.add(key)
                yield from self._operation(mine, theirs, way, renamed or {})
                yield from self._access((one, mine.node), (other, theirs.node), way)
        yield from remaining(one, other, _ITEM)

    def _operation(
        self, old: Operation, new: Operation, way: Way, renamed: Mapping[str, str]
    ) -> Iterator[Change]:
        one, other = old.node, new.node
        yield from self._messages.parameters(old, new, renamed, way.request)
        bodies = one.child("requestBody"), other.child("requestBody")
        yield from self._messages.body(*bodies, way.request)
        responses = one.child("responses"), other.child("responses")
        yield from self._messages.responses(*responses, way.response)
        yield from self._callbacks(one.child("callbacks"), other.child("callbacks"), way)
        identifiers = part(one, "operationId"), part(other, "operationId")
        if differ(*identifiers):
            subject = "operationId, after which generated code is named,"
            yield changed("annotation", subject, *identifiers)
        yield from remaining(one, other, _OPERATION)

    def _access(self, old: tuple[Node, ...], new: tuple[Node, ...], way: Way) -> Iterator[Change]:
        """Changes of where a path item with an operation is, and who is let in."""
        if way == CALLED:  # what the whole document says is about its own API
            old, new = (self._old.root, *old), (self._new.root, *new)
        ways_in = _innermost("security", old), _innermost("security", new)
        yield from self.security.changes(*ways_in, way.request)
        servers = _innermost("servers", old), _innermost("servers", new)
        yield from server_changes(*servers, way.request)

    def _callbacks(self, old: Node, new: Node, way: Way) -> Iterator[Change]:
        before, after = entries(old), entries(new)
        yield from _came_and_went("callback", before, after)
        for name in before.keys() & after.keys():
            items = self._old.resolve(before[name]), self._new.resolve(after[name])
            yield from self.of_items(*items, Way(way.response, way.request), "callback to")


def _came_and_went(kind: str, old: dict[str, Node], new: dict[str, Node]) -> Iterator[Change]:
    """What is only in one of the two."""
    for name, node in old.items():
        if name not in new:
            yield changed("breaking", f"{kind} {name}", node, None)
    for name, node in new.items():
        if name not in old:
            yield changed("compatible", f"{kind} {name}", None, node)


def _innermost(key: str, holders: tuple[Node, ...]) -> Node:
    """What the last of several holders says that says anything."""
    return next((node.child(key) for node in reversed(holders) if key in node), Node(None))
