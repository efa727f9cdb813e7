"""Whether the bodies of operations are the shared models they are to be."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Literal

from pytest_orchestrator._checks.comparison.schemas import SchemaComparison
from pytest_orchestrator._checks.rules.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.comparison.outline import Operation, Outline
    from pytest_orchestrator._checks.nodes import Node

    Direction = Literal["request", "response"]

_SUCCESS = re.compile(r"2([0-9]{2}|XX)")
_BOUNDS = frozenset(
    """
    exclusiveMaximum exclusiveMinimum maximum maxItems maxLength minimum minItems minLength
    multipleOf pattern uniqueItems
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
_OF_NUMBERS = frozenset(("decimal", "double", "float", "int32", "int64"))
_CURE = "describe it as the page of shared models has it"


def model_faults(
    document: Outline,
    models: Outline,
    requests: Mapping[str, str],
    responses: Mapping[str, str],
) -> Iterator[Fault]:
    """A fault for each body that is not the model it is to be, at its place in the document."""
    for operation in document.operations():
        if (model := requests.get(str(operation))) is not None:
            body = document.resolve(operation.node.child("requestBody"))
            yield from _body(document, models, f"{operation}, request body", body, model, "request")
        if (model := responses.get(str(operation))) is not None:
            for title, answer in _answers(document, operation):
                yield from _body(document, models, title, answer, model, "response")


def _answers(document: Outline, operation: Operation) -> Iterator[tuple[str, Node]]:
    for status, written in operation.node.child("responses").members():
        if _SUCCESS.fullmatch(status):
            yield f"{operation}, response {status}", document.resolve(written)


def _body(
    document: Outline, models: Outline, title: str, body: Node, name: str, direction: Direction
) -> Iterator[Fault]:
    model = models.root.child("$defs", name)
    if model.value is None:
        there = ", ".join(key for key, _ in models.root.child("$defs").members()) or "none"
        what = f"{title} is to be {name}, which is no shared model; there are {there}"
        yield Fault(body.pointer, what, "model", "write it on the page, or name another")
        return
    schemas = {kind: schema for kind, schema in document.content(body).items() if _is_json(kind)}
    if not any(schema.value is not None for schema in schemas.values()):
        what = f"{title} describes no JSON, and is to be {name}"
        yield Fault(body.pointer, what, "model", _CURE)
    for kind, schema in schemas.items():
        comparison = SchemaComparison(
            models, document, more=direction, forgives=partial(_forgives, direction)
        )
        for difference in comparison.differences(model, schema):
            one = difference.published or "nothing"
            other = difference.served or "nothing"
            at = difference.pointer.removeprefix("/$defs/").replace("/properties", "")
            what = f"{title}, {kind}: {difference.what} at {at} is {other}, shared is {one}"
            yield Fault(schema.pointer, what, "model", _CURE)


def _forgives(direction: Direction, keyword: str, shared: Node | None, here: Node | None) -> bool:
    """Whether a body may differ from the shared model in this."""
    if here is None:  # a bound that is not repeated holds all the same
        return keyword in _BOUNDS
    if shared is not None:
        return False
    if keyword == "format":
        return here.value in _OF_NUMBERS
    return keyword == "additionalProperties" or (direction == "response" and keyword in _BOUNDS)


def _is_json(kind: str) -> bool:
    return kind.endswith(("/json", "+json"))
