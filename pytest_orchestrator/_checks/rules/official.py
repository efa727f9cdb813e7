"""The official OpenAPI schemas: the only module that knows openapi-spec-validator.

Only the files it brings are read: importing it takes as long as judging a contract.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.rules.evaluation import Evaluator, Unchecked
from pytest_orchestrator._checks.rules.faults import Fault
from pytest_orchestrator._checks.rules.rulebook import official_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

DIALECT = "https://json-schema.org/draft/2020-12/schema"
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
    schema = _official(version)
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


def _official(version: str) -> dict[str, Any]:
    """The schema of a version, as the package brings it."""
    spec = find_spec("openapi_spec_validator")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise ModuleNotFoundError("openapi-spec-validator is not installed")
    file = Path(folders[0], "resources", "schemas", f"v{version}", "schema.json")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
