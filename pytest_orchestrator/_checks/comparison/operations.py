"""What of a published OpenAPI document is not served, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.comparison.schemas import SchemaComparison
from pytest_orchestrator._checks.nodes import Node, place, shown
from pytest_orchestrator._checks.rules.faults import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.comparison.outline import Operation, Outline
    from pytest_orchestrator._domain.verdict import Finding

# OpenAPI: header parameters of these names are ignored.
NO_PARAMETER = {("header", "accept"), ("header", "authorization"), ("header", "content-type")}


class Comparison:
    """Compares what was published with what is served; findings in published order."""

    def __init__(self, published: Outline, served: Outline, name: str) -> None:
        self._published = published
        self._served = served
        self._name = name
        self._requests = SchemaComparison(published, served, more="request")
        self._answers = SchemaComparison(published, served, more="response")
        self._told: set[tuple[str, str]] = set()

    def findings(self) -> Iterator[Finding]:
        """All differences; each difference of a schema at its first use."""
        served = {str(operation): operation for operation in self._served.operations()}
        for operation in self._published.operations():
            there = served.get(str(operation))
            if there is None:
                what = f"{operation} is not served; {self._served.instead_of(operation.path)}"
                yield self._finding(operation.node, "operation", what)
            else:
                yield from self._parameters(operation, there)
                yield from self._request(operation, there)
                yield from self._responses(operation, there)

    def _finding(self, node: Node, rule: str, what: str) -> Finding:
        return told(place(self._name, node.pointer), what, rule)

    def _parameters(self, operation: Operation, there: Operation) -> Iterator[Finding]:
        published = self._published.parameters(operation)
        served = self._served.parameters(there)
        for key, node in published.items():
            title = f"{operation}, {key[0]} parameter {key[1]}"
            if key in NO_PARAMETER:
                continue
            if key not in served:
                yield self._finding(node, "parameter", f"{title}: is not served")
            else:
                yield from self._parameter(title, node, served[key])
        for key, node in served.items():
            if is_required(node) and key not in published and key not in NO_PARAMETER:
                what = f"{operation}: {key[0]} parameter {key[1]} is required, but not published"
                yield self._finding(operation.node, "parameter", what)

    def _parameter(self, title: str, mine: Node, theirs: Node) -> Iterator[Finding]:
        for keyword, one, other in (
            ("required", is_required(mine), is_required(theirs)),
            ("style and explode", style(mine), style(theirs)),
        ):
            if one != other:
                what = f"{title}: {keyword} is published as {shown(one)}, served as {shown(other)}"
                yield self._finding(mine, "parameter", what)
        schemas = mine.child("schema"), theirs.child("schema")
        yield from self._schema(title, *schemas, self._requests)
        yield from self._content(title, mine, theirs, self._requests)

    def _request(self, operation: Operation, there: Operation) -> Iterator[Finding]:
        mine = self._published.resolve(operation.node.child("requestBody"))
        theirs = self._served.resolve(there.node.child("requestBody"))
        title = f"{operation}, request body"
        if mine.value is not None and theirs.value is None:
            yield self._finding(mine, "request-body", f"{title}: is not served")
        elif is_required(mine) != is_required(theirs):
            one, other = shown(is_required(mine)), shown(is_required(theirs))
            what = f"{title}: required is published as {one}, served as {other}"
            yield self._finding(mine if mine.value else operation.node, "request-body", what)
        if mine.value is not None and theirs.value is not None:
            yield from self._content(title, mine, theirs, self._requests)

    def _responses(self, operation: Operation, there: Operation) -> Iterator[Finding]:
        served = dict(there.node.child("responses").members())
        for status, written in operation.node.child("responses").members():
            if status.startswith("x-"):
                continue
            title = f"{operation}, response {status}"
            if status in served:
                mine = self._published.resolve(written)
                theirs = self._served.resolve(served[status])
                yield from self._content(title, mine, theirs, self._answers)
            else:
                what = f"{title}: is not served; served are {_listed(served)}"
                yield self._finding(written, "status", what)

    def _content(
        self, title: str, mine: Node, theirs: Node, schemas: SchemaComparison
    ) -> Iterator[Finding]:
        published, served = self._published.content(mine), self._served.content(theirs)
        for media_type, schema in published.items():
            if media_type in served:
                there = served[media_type]
                yield from self._schema(f"{title}, {media_type}", schema, there, schemas)
            else:
                what = f"{title}: {media_type} is not served; served are {_listed(served)}"
                yield self._finding(mine.child("content"), "media-type", what)

    def _schema(
        self, title: str, mine: Node, theirs: Node, schemas: SchemaComparison
    ) -> Iterator[Finding]:
        for difference in schemas.differences(mine, theirs):
            # What is both sent and answered is compared twice, and told once.
            if (key := (difference.pointer, str(difference))) in self._told:
                continue
            self._told.add(key)
            yield told(place(self._name, difference.pointer), f"{title}: {difference}", "schema")


def _listed(there: dict[str, Node]) -> str:
    return ", ".join(there) or "none"


def is_required(node: Node) -> bool:
    """Whether a parameter, a header or a body must be there."""
    return node.child("required").value is True


def style(parameter: Node) -> tuple[object, object]:
    """The style and explode of a parameter or a header, said or by default."""
    default = "form" if parameter.child("in").value in ("query", "cookie") else "simple"
    style = parameter.child("style").value or default
    explode = parameter.child("explode").value
    return style, style == "form" if explode is None else explode
