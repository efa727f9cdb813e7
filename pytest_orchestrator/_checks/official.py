"""The official OpenAPI schemas: the only module that imports openapi-spec-validator."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from openapi_spec_validator.schemas import schema_v30, schema_v31, schema_v32

from pytest_orchestrator._checks.evaluation import Evaluator, Unchecked
from pytest_orchestrator._checks.faults import Fault
from pytest_orchestrator._checks.rulebook import official_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OFFICIAL: dict[str, Any] = {"3.0": schema_v30, "3.1": schema_v31, "3.2": schema_v32}
# The names of the parts of a document in the schemas, as this package calls them.
_IN_30 = {"callbacks": "Callback"}


def official_faults(document: object, version: str) -> Iterator[Fault]:
    """What the official schema of a version, e.g. ``"3.1"``, does not allow.

    Schema objects are looked at with the rest, wherever they stand.
    """
    yield from _faults(_evaluator(version, ""), document, "")


def part_faults(kind: str, value: object, pointer: str, version: str) -> Iterator[Fault]:
    """The same for one part that stands where the schema does not look, e.g. ``"path-item"``."""
    try:
        evaluator = _evaluator(version, kind)
    except Unchecked:  # a kind that this version does not have
        return
    yield from _faults(evaluator, value, pointer)


def _faults(evaluator: Evaluator, value: object, pointer: str) -> Iterator[Fault]:
    try:
        for breach in evaluator.breaches(value):
            rule = official_rule(breach.keyword)
            yield Fault(pointer + breach.pointer, breach.what, rule, breach.cure)
    except Unchecked as problem:
        what = f"cannot be checked to its end: {problem}"
        yield Fault(pointer, what, "unchecked", "write plain JSON, less deeply nested")


@cache
def _evaluator(version: str, kind: str) -> Evaluator:
    schema: Mapping[str, Any] = dict(_OFFICIAL[version])
    if version == "3.0":
        if not kind:
            return Evaluator(schema)
        name = _IN_30.get(kind, re.sub(r"(^|-)(\w)", lambda found: found[2].upper(), kind))
        return Evaluator(
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "definitions": schema["definitions"],
                "oneOf": [{"$ref": f"#/definitions/{name}"}, {"$ref": "#/definitions/Reference"}],
            }
        )
    # From 3.1 on, the official schema leaves schema objects to a dialect; this binds one.
    bound = {
        "$schema": DIALECT,
        "$id": "urn:openapi",
        "$ref": schema["$id"] + (f"#/$defs/{kind}" if kind else ""),
        "$defs": {"schema": {"$dynamicAnchor": "meta", "$ref": DIALECT}},
    }
    if kind == "schema":
        bound["$ref"] = DIALECT
    return Evaluator(bound, resources={str(schema["$id"]): schema})
