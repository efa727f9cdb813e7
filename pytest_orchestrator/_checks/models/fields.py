"""The fields of models: what stands in a block, as JSON Schema."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.models.json_text import (
    Array,
    BadJson,
    Example,
    Object,
    Text,
    Value,
    read_json,
)
from pytest_orchestrator._checks.models.types import TYPES, Models, Schema, read_type
from pytest_orchestrator._checks.nodes import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.models.findings import Findings
    from pytest_orchestrator._checks.models.page import Block

_FIELD = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)


class Definition(NamedTuple):
    """A model, as far as it could be read.

    Attributes:
        schema: Of any use only if nothing was found.
        lines: Line of each field, by its place: ``"QueryResponse.citations[].page"``.
    """

    schema: Schema
    lines: dict[str, int]


def read_fields(block: Block, models: Models, findings: Findings) -> Definition:
    """Make the schema of one model.

    Args:
        block: The model's block.
        models: All models there are, by their names in lower case.
        findings: Gets all that is wrong with the block.
    """
    fields = _Fields(models, findings)
    schema: Schema = {}
    try:
        schema = fields.of_block(block)
    except BadJson as bad:
        findings.add(bad.line, str(bad), bad.rule, place=block.model, column=bad.column)
    return Definition(schema, fields.lines)


class _Fields:
    """Makes schemas of values; whatever is wrong is noted, and the rest is made."""

    def __init__(self, models: Models, findings: Findings) -> None:
        self._models = models
        self._findings = findings
        self.lines: dict[str, int] = {}

    def of_block(self, block: Block) -> Schema:
        """The schema of a block; raises ``BadJson``."""
        example = 'write the fields between braces, e.g. {"page": "number"}'
        if block.text is None:
            return {}
        if not block.text.strip():
            what = f"has an empty block; {example}"
            self._findings.add(block.first - 1, what, "empty", place=block.model)
            return {}
        value = read_json(block.text, block.first)
        if isinstance(value, Object):
            return self._of_object(value, block.model)
        self._findings.add(value.line, f"is no object; {example}", "object", place=block.model)
        return {}

    def _of_object(self, written: Object, place: str) -> Schema:
        if not written.members:
            what = 'has no fields; write them, or "object" if any will do'
            self._findings.add(written.line, what, "empty", place=place)
        first: dict[str, Text] = {}
        properties: dict[str, Schema] = {}
        required = []
        for key, value in written.members:
            field = key.value.removesuffix("?")
            there = f"{place}.{field}" if _FIELD.fullmatch(field) else place
            self._judge_key(key, first.setdefault(field.casefold(), key), there)
            self.lines[there] = key.line
            properties[field] = self._of(value, there)
            required += [field] * (field == key.value)
        schema: Schema = {"type": "object", "properties": properties}
        return schema | ({"required": required} if required else {})

    def _judge_key(self, key: Text, first: Text, place: str) -> None:
        if first is not key:
            also = "" if first.value == key.value else f" as {shown(first.value)}"
            what = f"is already in line {first.line}{also}; keep one of them"
            self._findings.add(key.line, what, "duplicate-key", place=place)
        if not _FIELD.fullmatch(key.value.removesuffix("?")):
            what = f"{shown(key.value)} is no name of a field; write letters, digits, _ and -"
            self._findings.add(key.line, what, "field", place=place)

    def _of(self, written: Value, place: str) -> Schema:
        match written:
            case Text():
                schema, problems = read_type(written.value, self._models)
                for problem in problems:
                    self._findings.add(written.line, problem.what, problem.rule, place=place)
                return schema
            case Example():
                what = f"{written.value} is a value; write its type, in quotes"
                self._findings.add(written.line, what, "value", place=place)
                return {}
            case Array():
                return self._of_array(written, place)
            case Object():
                return self._of_inner_object(written, place)

    def _of_array(self, written: Array, place: str) -> Schema:
        if len(written.elements) != 1:
            count = len(written.elements)
            what = f'has {count} elements; a list is written with one, e.g. ["string | null"]'
            self._findings.add(written.line, what, "list", place=place)
        items = [self._of(element, f"{place}[]") for element in written.elements]
        return {"type": "array", "items": items[0] if items else {}}

    def _of_inner_object(self, written: Object, place: str) -> Schema:
        keys = [key.value for key, _ in written.members]
        if len(keys) == 1 and keys[0] in TYPES:
            what = 'has one field, called like a type; if any keys will do, write "object"'
            what = f"{what}, else give it a model of its own"
            self._findings.add(written.line, what, "map", place=place)
        return self._of_object(written, place)


def endless(definitions: Mapping[str, Schema]) -> dict[str, str]:
    """The models no value can ever be complete of, each with the field that keeps it from being.

    A tree whose every node needs a node, say. Counted are fields that must be
    there, must not be null, and are not lists that may be empty.
    """
    todo = {model: deque(_needs(schema)) for model, schema in definitions.items()}
    complete: set[str] = set()
    waiting: dict[str, set[str]] = {}
    ready = list(todo)
    while ready:
        model = ready.pop()
        needs = todo[model]
        while needs and needs[0][1] & complete:
            needs.popleft()
        if needs:
            for need in needs[0][1]:
                waiting.setdefault(need, set()).add(model)
        elif model not in complete:
            complete.add(model)
            ready += sorted(waiting.pop(model, ()))
    return {model: needs[0][0] for model, needs in todo.items() if needs}


def _needs(schema: Schema) -> Iterator[tuple[str, frozenset[str]]]:
    """Each field that asks for models, with those of which one must be complete."""
    for field in schema.get("required", ()):
        for models in _alternatives(schema["properties"][field]):
            yield field, models


def _alternatives(schema: Schema) -> Iterator[frozenset[str]]:
    if "$ref" in schema:
        yield frozenset({schema["$ref"].rpartition("/")[2]})
    elif "anyOf" in schema:
        choices = [list(_alternatives(choice)) for choice in schema["anyOf"]]
        if all(choices):
            yield frozenset().union(*(models for choice in choices for models in choice))
    elif "properties" in schema:
        for _, models in _needs(schema):
            yield models
    elif schema.get("type") == "array" and schema.get("minItems", 0) > 0:
        yield from _alternatives(schema["items"])
