"""The normal form of a schema."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from pytest_orchestrator._checks.comparison.normal import normal
from pytest_orchestrator._checks.comparison.outline import Outline
from pytest_orchestrator._checks.nodes import Node
from tests.openapi_documents import documents

KINDS = st.sampled_from(["string", "integer", "number", "null", "object", "array"])
NAMES = st.sampled_from(["A", "B"])
REFERENCES = NAMES.map(lambda name: f"#/components/schemas/{name}")
CONSTANTS = st.sampled_from([None, 0, False, 1.0, "a"])


def saying(below: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of draft 2020-12 that say any of this at once."""
    return st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS | st.lists(KINDS, min_size=1, unique=True),
            "const": CONSTANTS,
            "enum": st.lists(CONSTANTS, min_size=1),
            "minimum": st.just(5.0),
            "properties": st.dictionaries(NAMES, below, max_size=2),
            "required": st.lists(NAMES, unique=True),
            "items": below,
            "additionalProperties": below,
            "unevaluatedProperties": below,
            "patternProperties": st.dictionaries(st.just("^A"), below),
            "unevaluatedItems": below,
            "prefixItems": st.lists(below, min_size=1, max_size=2),
            "allOf": st.lists(below, min_size=1, max_size=2),
            "anyOf": st.lists(below, min_size=1, max_size=3),
            "oneOf": st.lists(below, min_size=1, max_size=2),
        },
    )


def referring(below: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The same, besides what it refers to."""
    return st.builds(lambda said, to: {**said, "$ref": to}, saying(below), REFERENCES)


SIMPLE = st.booleans() | st.just({"type": "null"}) | saying(st.just({"type": "null"}))
NAMED = st.fixed_dictionaries({"A": SIMPLE, "B": SIMPLE})
SCHEMAS = st.recursive(
    SIMPLE | REFERENCES.map(lambda to: {"$ref": to}),
    lambda below: saying(below) | referring(below),
    max_leaves=5,
)
VALUES = st.recursive(
    CONSTANTS | st.integers(4, 6) | st.just(1.5),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=2),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, NAMED, st.lists(VALUES, min_size=3, max_size=6))
def test_the_normal_form_allows_the_same_values(
    schema: object, named: dict[str, Any], values: list[object]
) -> None:
    """Nothing is left out that a value could break, and nothing is added."""
    components = {"schemas": {**named, "It": schema}}
    outline = Outline({"openapi": "3.1.0", "components": components})
    form = {key: node.value for key, node in normal(outline, Node(schema)).items()}
    written, formed = (
        Draft202012Validator(
            {"components": {"schemas": named}, "allOf": [which]}, registry=Registry()
        )
        for which in (schema, form)
    )

    for value in values:
        assert written.is_valid(value) == formed.is_valid(value)


@settings(max_examples=150, deadline=None)
@given(documents())
def test_the_normal_form_of_a_normal_form_is_itself(document: dict[str, Any]) -> None:
    """Normalising twice changes nothing."""
    outline = Outline(document)
    for schema in document["components"]["schemas"].values():
        once = {key: node.value for key, node in normal(outline, Node(schema)).items()}
        twice = {key: node.value for key, node in normal(outline, Node(once)).items()}

        assert once == twice
