"""Examples and defaults, held against the schemas they are examples of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.comparison.outline import media_type
from pytest_orchestrator._checks.formats import FORMATS
from pytest_orchestrator._checks.nodes import follow, join
from pytest_orchestrator._checks.rules.conversion import Conversion
from pytest_orchestrator._checks.rules.evaluation import Evaluator, Unchecked
from pytest_orchestrator._checks.rules.faults import Fault
from pytest_orchestrator._checks.rules.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_orchestrator._checks.rules.parts import Part


class _Example(NamedTuple):
    """A value, the schema it must fit, and where both stand."""

    rule: str
    pointer: str
    value: object
    schema_at: str
    schema: object


def example_faults(
    document: object, version: str, parts: Iterable[Part], at: Callable[[str], None]
) -> Iterator[Fault]:
    """What does not fit its schema, and where in the example.

    Args:
        document: The whole document.
        version: E.g. ``"3.1"``.
        parts: All its parts.
        at: Told where the next example stands, as it may take for ever.
    """
    examples = [e for part in parts for e in _examples(document, part, version)]
    if not examples:
        return
    conversion = Conversion(document, version)
    # One schema for all, so that what they share is made once: each example is held
    # against it as the one member that is called like its schema.
    members = {e.schema_at: conversion.reference(e.schema_at, e.schema) for e in examples}
    at("the schemas of its examples")
    try:
        conversion.finish()
        whole = {"properties": members, "$defs": conversion.definitions}
        evaluator = Evaluator(whole, formats=FORMATS)
    except Unchecked as problem:
        what = f"has schemas that examples cannot be held against: {problem}"
        yield Fault("", what, "unchecked", "write plain JSON Schema, less deeply nested")
        return
    ways = Ways(conversion.definitions)
    for example in examples:
        at(example.pointer)
        if ways.explode(members[example.schema_at], example.value):
            what = "is not checked, since its schema would have to be gone through too many times"
            yield Fault(
                example.pointer, what, "unchecked", "offer fewer alternatives within alternatives"
            )
        else:
            yield from _faults(example, evaluator)


def _faults(example: _Example, evaluator: Evaluator) -> Iterator[Fault]:
    above = join("", example.schema_at)
    try:
        for breach in evaluator.breaches({example.schema_at: example.value}):
            pointer = example.pointer + breach.pointer.removeprefix(above)
            if breach.keyword == "slow":
                yield Fault(pointer, breach.what, "slow-pattern", breach.cure)
                continue
            what = f"does not fit its schema: {breach.what}"
            cure = f"{breach.cure}, or change the schema"
            yield Fault(pointer, what, example.rule, cure)
    except Unchecked as problem:
        cure = "write plain JSON, less deeply nested"
        yield Fault(example.pointer, f"cannot be checked: {problem}", "unchecked", cure)


def _examples(document: object, part: Part, version: str) -> Iterator[_Example]:
    if not isinstance(part.value, dict):
        return
    if part.kind == "schema":
        yield from _of_schema(part.value, part, version)
    elif part.kind in {"parameter", "header", "media-type"} and "schema" in part.value:
        is_text = part.kind == "media-type" and not _is_json(part.pointer)
        for pointer, value in _written(document, part.value, part.pointer):
            # In XML, say, an object is written as a text.
            if not (is_text and isinstance(value, str)):
                yield _Example(
                    "example", pointer, value, f"{part.pointer}/schema", part.value["schema"]
                )


def _of_schema(schema: dict[str, object], part: Part, version: str) -> Iterator[_Example]:
    if version == "3.0" and "$ref" in schema:
        return
    for rule in ("default", "example"):
        if rule in schema:
            pointer = f"{part.pointer}/{rule}"
            yield _Example(rule, pointer, schema[rule], part.pointer, schema)
    examples = schema.get("examples")
    if version != "3.0" and isinstance(examples, list):
        for index, value in enumerate(examples):
            pointer = f"{part.pointer}/examples/{index}"
            yield _Example("example", pointer, value, part.pointer, schema)


def _written(
    document: object, holder: dict[str, object], pointer: str
) -> Iterator[tuple[str, object]]:
    if "example" in holder:
        yield f"{pointer}/example", holder["example"]
    examples = holder.get("examples")
    for name, example in examples.items() if isinstance(examples, dict) else ():
        there = join(pointer, "examples", name)
        if isinstance(example, dict) and isinstance(example.get("$ref"), str):
            try:
                example, there = follow(document, example["$ref"])  # noqa: PLW2901
            except LookupError:
                continue
        for key in ("value", "dataValue"):
            if isinstance(example, dict) and key in example:
                yield f"{there}/{key}", example[key]


def _is_json(pointer: str) -> bool:
    kind = media_type(pointer.rpartition("/")[2].replace("~1", "/"))
    return kind.endswith(("/json", "+json"))
