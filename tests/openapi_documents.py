"""OpenAPI documents for the tests: a valid one, defects to plant, and random ones."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

VERSIONS = ("3.0.3", "3.1.0", "3.2.0")
GONE = object()
ASK = "/paths/~1items~1{id}~1ask/post"
BODY = f"{ASK}/requestBody/content/application~1json/schema"


def a_contract(version: str = "3.1.0") -> dict[str, Any]:
    """A small valid document with one of everything."""
    return {
        "openapi": version,
        "info": {"title": "Core", "version": "1"},
        "paths": {
            "/health": {
                "get": {
                    "operationId": "health",
                    "responses": {"200": {"description": "It is up."}},
                }
            },
            "/items/{id}/ask": {
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "post": {
                    "operationId": "ask",
                    "parameters": [{"name": "k", "in": "query", "schema": {"type": "integer"}}],
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"question": {"type": "string"}},
                                    "example": {"$ref": "http://example.invalid/not-a-reference"},
                                }
                            }
                        }
                    },
                    "responses": {
                        "2XX": {
                            "description": "An answer.",
                            "content": {
                                "application/json": {
                                    "schema": {"$ref": "#/components/schemas/Answer"}
                                }
                            },
                        },
                        "default": {"description": "A problem."},
                    },
                },
            },
        },
        "components": {
            "parameters": {
                "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            },
            "schemas": {
                "Answer": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "follow_ups": {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/Answer"},
                        },
                    },
                }
            },
        },
    }


def planted(document: dict[str, Any], pointer: str, value: object) -> dict[str, Any]:
    """A copy of the document with one place changed, or taken away by ``GONE``."""
    copy = deepcopy(document)
    *keys, last = [k.replace("~1", "/").replace("~0", "~") for k in pointer.split("/")[1:]]
    place: Any = copy
    for key in keys:
        place = place[int(key) if isinstance(place, list) else key]
    if isinstance(place, list):
        place[int(last)] = value
    elif value is GONE:
        del place[last]
    else:
        place[last] = value
    return copy


NAMES = st.sampled_from(["A", "B", "C"])
TYPES = st.sampled_from(["string", "integer", "number", "null", "object", "array"])
LEAVES = st.one_of(
    st.booleans(),
    st.builds(lambda name: {"$ref": f"#/components/schemas/{name}"}, NAMES),
    st.builds(lambda kind: {"type": kind}, TYPES),
    st.builds(lambda kinds: {"type": kinds}, st.lists(TYPES, min_size=1, unique=True)),
    st.builds(lambda value: {"const": value}, st.sampled_from([None, 0, False, 1.0, "a", [2.0]])),
    st.builds(lambda bound: {"minimum": 5.0, "exclusiveMinimum": bound}, st.booleans()),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from([None, 1, True, "a"]))),
)


def _larger(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas with other schemas in them."""
    return st.fixed_dictionaries(
        {},
        optional={
            "title": st.just("A title"),
            "type": TYPES,
            "nullable": st.booleans(),
            "properties": st.dictionaries(NAMES, below, max_size=2),
            "required": st.lists(NAMES, unique=True),
            "items": below,
            "additionalProperties": below,
            "allOf": st.lists(below, min_size=1, max_size=2),
            "anyOf": st.lists(below, min_size=1, max_size=3),
            "$ref": NAMES.map(lambda name: f"#/components/schemas/{name}"),
        },
    )


SCHEMAS = st.recursive(LEAVES, _larger, max_leaves=6)
OPERATIONS = st.dictionaries(
    st.tuples(st.sampled_from(["/a", "/b", "/c/{id}"]), st.sampled_from(["get", "post"])),
    SCHEMAS,
    min_size=1,
    max_size=3,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """OpenAPI documents whose schemas refer to each other at random."""
    named = {name: draw(SCHEMAS) for name in ("A", "B", "C")}
    for name, schema in named.items():
        if isinstance(schema, dict) and "$ref" in schema:
            named[name] = {"type": "object"}
    document: dict[str, Any] = {
        "openapi": draw(st.sampled_from(VERSIONS)),
        "info": {"title": "A title", "version": "1"},
        "paths": {},
        "components": {"schemas": named},
    }
    for (path, method), schema in draw(OPERATIONS).items():
        content = {"application/json": {"schema": schema}}
        document["paths"].setdefault(path, {})[method] = {
            "responses": {"200": {"description": "", "content": content}}
        }
    return document
