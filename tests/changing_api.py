"""An API that changes, and how what is expected of its changes is written down."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st

from pytest_orchestrator._checks.schemas import value_problems
from tests.openapi_documents import planted

VERSIONS = ("3.0.3", "3.1.0")
# Wider and narrower: for those who send, and for those who read.
NARROWER, WIDER = "BC", "CB"
OTHER, HARMLESS, TEXT = "BB", "CC", "AA"
EFFECTS = {"A": "annotation", "B": "breaking", "C": "compatible"}

Expected = tuple[str, str, str]
"""Effect, direction, pointer."""


class Schema(NamedTuple):
    """A schema that changes, and what that is to a request and to a response."""

    name: str
    old: object
    new: object
    shifts: dict[str, str]
    """By pointer below the schema: the letters of both effects, ``-`` for none."""


class Edit(NamedTuple):
    """An edit of the API."""

    name: str
    edits: dict[str, object]
    """By pointer: what stands there now."""
    expected: set[Expected]


def an_api(version: str = "3.1.0", schema: object = None) -> dict[str, Any]:
    """An API with one of everything; a schema that is sent, read, and both."""
    problem = {"$ref": "#/components/schemas/Problem"}
    thing = deepcopy({"type": "string"} if schema is None else schema)
    return {
        "openapi": version,
        "info": {"title": "Things", "version": "1", "description": "All about things."},
        "servers": [{"url": "http://core:8000/v1"}],
        "security": [{"key": []}],
        "tags": [{"name": "things"}],
        "paths": {
            "/things/{id}": {
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "get": {
                    "operationId": "get_thing",
                    "summary": "One thing.",
                    "tags": ["things"],
                    "parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                        {"name": "sort", "in": "query", "required": True,
                         "schema": {"type": "array", "items": {"type": "string"}}},
                    ],
                    "responses": {
                        "200": {
                            "description": "A thing.",
                            "headers": {
                                "X-Total": {"required": True, "schema": {"type": "integer"}},
                                "X-Hint": {"schema": {"type": "string"}},
                            },
                            "content": json({"$ref": "#/components/schemas/Read"}),
                        },
                        "404": {"description": "None.", "content": json(problem)},
                    },
                },
                "delete": {"responses": {"204": {"description": "Gone."}}},
            },
            "/things": {
                "post": {
                    "operationId": "add_thing",
                    "security": [{"key": []}, {"grant": ["write"]}],
                    "requestBody": {"content": json({"$ref": "#/components/schemas/Sent"})},
                    "responses": {
                        "201": {"description": "Added."},
                        "default": {"description": "A problem.", "content": json(problem)},
                    },
                    "callbacks": {
                        "added": {
                            "{$request.query.url}": {
                                "post": {
                                    "requestBody": {"content": json({"type": "object"})},
                                    "responses": {"200": {"description": "Thanks."}},
                                }
                            }
                        }
                    },
                },
                "put": {
                    "requestBody": {
                        "required": True,
                        "content": json({"$ref": "#/components/schemas/Both"}),
                    },
                    "responses": {
                        "2XX": {
                            "description": "Put.",
                            "content": json({"$ref": "#/components/schemas/Both"}),
                        }
                    },
                },
            },
        },
        "components": {
            "parameters": {
                "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            },
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
                "grant": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "/token", "scopes": {"write": ""}}},
                },
            },
            "schemas": {
                "Sent": thing,
                "Read": deepcopy(thing),
                "Both": deepcopy(thing),
                "Problem": {"type": "object", "properties": {"title": {"type": "string"}}},
                "Cat": {"type": "object", "properties": {"purrs": {"type": "boolean"}}},
                "Puss": {"type": "object", "properties": {"purrs": {"type": "boolean"}}},
                "Dog": {"type": "object", "properties": {"barks": {"type": "boolean"}}},
                "Node": {
                    "type": "object",
                    "properties": {"next": {"$ref": "#/components/schemas/Node"}},
                },
                "Unused": {"type": "string"},
            },
        },
    }  # fmt: skip


def json(schema: object) -> dict[str, Any]:
    """The content of a message in JSON."""
    return {"application/json": {"schema": schema}}


def edited(document: dict[str, Any], edits: dict[str, object]) -> dict[str, Any]:
    """A copy with some places changed, one after the other."""
    for pointer, value in edits.items():
        document = planted(document, pointer, value)
    return document


def expected_of(shifts: dict[str, str]) -> set[Expected]:
    """What changes of a schema are where it is sent, where it is read, and where both."""
    found = set()
    for pointer, letters in shifts.items():
        request, response = (EFFECTS.get(letter) for letter in letters)
        if request:
            found.add((request, "request", f"/components/schemas/Sent{pointer}"))
        if response:
            found.add((response, "response", f"/components/schemas/Read{pointer}"))
        both = f"/components/schemas/Both{pointer}"
        if request == response and request:
            found.add((request, "both", both))
        else:
            either = ((request, "request", both), (response, "response", both))
            found |= {(effect, way, at) for effect, way, at in either if effect}
    return found


FEW = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
NAMES = st.sampled_from(["a", "b"])
KINDS = st.sampled_from(["string", "integer", "number", "null", "object", "array"])
VALUES = st.recursive(
    st.sampled_from([None, 0, False, 1.5, 5.0, 6, 7, "", "a", "aa"]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=2),
    max_leaves=5,
)


def saying(below: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas that say any of this at once; no ``oneOf``, of which only one is to fit."""
    return st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS | st.lists(KINDS, min_size=1, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "minimum": st.sampled_from([5, 6.0]),
            "exclusiveMinimum": st.sampled_from([5.0, 6]),
            "maxLength": st.sampled_from([0, 1]),
            "multipleOf": st.sampled_from([2, 3, 1.5]),
            "minItems": st.sampled_from([0, 1]),
            "properties": st.dictionaries(NAMES, below, max_size=2),
            "required": st.lists(NAMES, unique=True),
            "additionalProperties": below,
            "patternProperties": st.dictionaries(st.just("^a"), below),
            "unevaluatedProperties": below,
            "propertyNames": below,
            "items": below,
            "prefixItems": st.lists(below, min_size=1, max_size=2),
            "allOf": st.lists(below, min_size=1, max_size=3),
            "anyOf": st.lists(below, min_size=1, max_size=3),
            "not": below,
            "if": below,
            "then": below,
            "$ref": st.just("#/components/schemas/Few"),
        },
    )


ANY = st.recursive(st.booleans() | saying(st.booleans()), saying, max_leaves=6)


@st.composite
def revisions(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema, and another that has something in common with it."""
    before, other = draw(ANY), draw(ANY)
    if not (isinstance(before, dict) and isinstance(other, dict)):
        return before, other
    kept = draw(st.sets(st.sampled_from([*before, *other] or [""])))
    after = {key: value for key, value in {**other, **before}.items() if key in kept}
    return before, {**after, **other} if draw(st.booleans()) else after


def carries(schema: object) -> dict[str, Any]:
    """An API of one operation that is sent a value and answers with one."""
    content = json({"$ref": "#/components/schemas/it"})
    operation = {"requestBody": {"content": content}, "responses": {"200": {"content": content}}}
    schemas = {"it": schema, "Few": FEW}
    paths = {"/": {"post": operation}}
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}}


def allows(schema: object, value: object) -> bool:
    """Whether a schema allows a value, as somebody else sees it."""
    return not value_problems(value, {**carries(schema), "$ref": "#/components/schemas/it"}, None)
