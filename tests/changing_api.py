"""An API that changes, and how what is expected of its changes is written down."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from pytest_orchestrator._checks.comparison.normal import CHOICES, NAMED_BELOW, ONE_BELOW
from tests.openapi_documents import planted

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_PLAIN: list[Any] = [None, True, False, 0, 1, 1.5, 5, 5.5, 6, 7, "", "a", "aa"]
_LISTS: list[Any] = [[], *([one] for one in _PLAIN), [0, False], ["a", 5], [[]], [{}], [{"a": 6}]]
_OBJECTS: list[Any] = [{name: one} for name in ("a", "c") for one in (*_PLAIN, [], {})]
_PAIRS: list[Any] = [{"a": None, "b": 6}, {"a": 5, "b": 6}, {"a": "a", "b": 6}, {"a": {}, "b": 6}]
VALUES = [*_PLAIN, *_LISTS, {}, *_OBJECTS, *_PAIRS, {"a": {"a": 5}}, {"a": {"b": 5}, "b": {}}]
CONSTANTS = st.sampled_from([None, True, False, 0, 1, 1.0, 5, 6.0, "a", "aa", [], [5], {"a": 5}])
KEYWORDS = (
    *("type", "enum", "const", "minimum", "exclusiveMinimum", "exclusiveMaximum", "maxLength"),
    *("multipleOf", "minItems", "uniqueItems", "maxProperties", "properties", "required"),
    *("additionalProperties", "patternProperties", "unevaluatedProperties", "unevaluatedItems"),
    *("dependentSchemas", "propertyNames", "items", "prefixItems", "contains", "allOf", "anyOf"),
    *("oneOf", "not", "if", "then", "else", "$ref"),
)
REFERENCE = {"$ref": "#/components/schemas/Few"}


def saying(
    below: st.SearchStrategy[Any], few: set[str] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of OpenAPI 3.1 that say any of this at once, or just of a few keywords."""
    said = {
        "type": KINDS | st.lists(KINDS, min_size=1, unique=True),
        "enum": st.lists(CONSTANTS, min_size=1, max_size=3),
        "const": CONSTANTS,
        "minimum": st.sampled_from([5, 6.0]),
        "exclusiveMinimum": st.sampled_from([5.0, 6]),
        "exclusiveMaximum": st.sampled_from([6, 7]),
        "maxLength": st.sampled_from([0, 1]),
        "multipleOf": st.sampled_from([2, 3, 1.5]),
        "minItems": st.sampled_from([0, 1]),
        "uniqueItems": st.booleans(),
        "maxProperties": st.just(1),
        "properties": st.dictionaries(NAMES, below, max_size=2),
        "required": st.lists(NAMES, unique=True),
        "additionalProperties": below,
        "patternProperties": st.dictionaries(st.just("^a"), below),
        "unevaluatedProperties": below,
        "unevaluatedItems": below,
        "dependentSchemas": st.dictionaries(NAMES, below, max_size=1),
        "propertyNames": below,
        "items": below,
        "prefixItems": st.lists(below, min_size=1, max_size=2),
        "contains": below,
        "allOf": st.lists(below, min_size=1, max_size=3),
        "anyOf": st.lists(below, min_size=1, max_size=3),
        "oneOf": st.lists(below, min_size=1, max_size=3),
        "not": below,
        "if": below,
        "then": below,
        "else": below,
        "$ref": st.just(REFERENCE["$ref"]),
    }
    optional = {key: values for key, values in said.items() if few is None or key in few}
    return st.fixed_dictionaries({}, optional=optional)


def saying_in_3_0(below: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of OpenAPI 3.0 that say any of this at once."""
    kinds = KINDS.filter(lambda kind: kind != "null")
    said = st.fixed_dictionaries(
        {},
        optional={
            "type": kinds,
            "nullable": st.booleans(),
            "enum": st.lists(CONSTANTS, min_size=1, max_size=3),
            "minimum": st.sampled_from([5, 6.0]),
            "exclusiveMinimum": st.booleans(),
            "maximum": st.sampled_from([6.0, 7]),
            "exclusiveMaximum": st.booleans(),
            "maxLength": st.sampled_from([0, 1]),
            "minItems": st.sampled_from([0, 1]),
            "properties": st.dictionaries(NAMES, below, max_size=2),
            "required": st.lists(NAMES, min_size=1, unique=True),
            "additionalProperties": below | st.booleans(),
            "items": below,
            "allOf": st.lists(below, min_size=1, max_size=3),
            "anyOf": st.lists(below, min_size=1, max_size=3),
            "oneOf": st.lists(below, min_size=1, max_size=3),
            "not": below,
        },
    )
    return said.map(_agreed) | st.just(REFERENCE)


def _agreed(schema: dict[str, Any]) -> dict[str, Any]:
    """Without what ``nullable`` stands beside, if not everybody agrees on what it means there."""
    if "nullable" not in schema or is_clear(schema):
        return schema
    if "type" in schema:
        return {key: value for key, value in schema.items() if key not in CHOICES}
    return {key: value for key, value in schema.items() if key != "nullable"}


def _about(few: set[str]) -> st.SearchStrategy[Any]:
    """Schemas of a few keywords, which so meet in every way."""
    return st.recursive(
        st.booleans() | saying(st.booleans(), {*few, "type"}),
        lambda below: saying(below, few),
        max_leaves=6,
    )


SCHEMAS_IN_3_1 = st.recursive(st.booleans() | saying(st.booleans()), saying, max_leaves=6)
FEW_SCHEMAS_IN_3_1 = st.sets(st.sampled_from(KEYWORDS), min_size=2, max_size=5).map(_about)
SCHEMAS_IN_3_0 = st.recursive(saying_in_3_0(st.just({})), saying_in_3_0, max_leaves=6)


@st.composite
def revisions(draw: st.DrawFn, kinds: st.SearchStrategy[st.SearchStrategy[Any]]) -> tuple[Any, Any]:
    """A schema and what has become of it; most of it stays as it was."""
    schemas = draw(kinds)
    before = draw(schemas)
    whole = {"": deepcopy(before)}
    for _ in range(draw(st.integers(1, 2))):
        holder, key = draw(st.sampled_from(list(_places(whole, ""))))
        holder[key] = deepcopy(draw(_edited(holder[key], draw(schemas))))
    return before, whole[""]


def _places(holder: Any, key: Any) -> Iterator[tuple[Any, Any]]:
    """A schema and those below it, each by what holds it and by its key there."""
    yield holder, key
    for keyword, below in holder[key].items() if isinstance(holder[key], dict) else ():
        if keyword in ONE_BELOW:
            yield from _places(holder[key], keyword)
        elif keyword in {*NAMED_BELOW, *CHOICES, "prefixItems"}:
            for each in below if isinstance(below, dict) else range(len(below)):
                yield from _places(below, each)


def _edited(schema: Any, other: Any) -> st.SearchStrategy[Any]:
    """What may become of a schema; it is replaced, put into another, or says more or less."""
    edits = [
        st.just(other),
        st.sampled_from([{"anyOf": [schema, other]}, {"allOf": [schema, other]}]),
    ]
    if isinstance(schema, dict):
        edits += [st.sets(st.sampled_from([*schema, ""])).map(lambda kept: _kept(schema, kept))]
        edits += [st.just(_more(schema, other))] if isinstance(other, dict) else []
    return st.one_of(edits)


def _kept(schema: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    return {keyword: value for keyword, value in schema.items() if keyword in kept}


def _more(schema: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both; what has names or is a list has those of both."""
    if "$ref" in (schema or other) and "$ref" in other:
        return other
    both = {**schema, **other}
    for keyword in schema.keys() & other.keys():
        if isinstance(schema[keyword], dict) and keyword in NAMED_BELOW:
            both[keyword] = {**schema[keyword], **other[keyword]}
        elif keyword in {*CHOICES, "prefixItems"}:
            both[keyword] = [*schema[keyword], *other[keyword]]
    return both


def is_clear(schema: Any) -> bool:
    """Whether everybody agrees on what is ``nullable`` in a schema of OpenAPI 3.0."""
    if isinstance(schema, list):
        return all(map(is_clear, schema))
    if not isinstance(schema, dict):
        return True
    choices = [schema[key] for key in CHOICES if key in schema]
    is_choice = (
        len(schema) == 2 and "allOf" not in schema and any(len(each) > 1 for each in choices)
    )
    is_agreed = is_choice if choices else "type" in schema
    return all(map(is_clear, schema.values())) and (is_agreed or "nullable" not in schema)


def in_3_1(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as 3.1 writes it."""
    if isinstance(schema, list):
        return [in_3_1(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return REFERENCE
    now = {key: value if key == "enum" else in_3_1(value) for key, value in schema.items()}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(now.get(exclusive), bool) and now.pop(exclusive) and bound in now:
            now[exclusive] = now.pop(bound)
    return now if now.pop("nullable", False) is False else _with_null(now)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that allows ``null``, too, as is meant by ``nullable``."""
    choice = next((key for key in ("anyOf", "oneOf") if key in schema), "")
    if "type" in schema:
        values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, **values, "type": [schema["type"], "null"]}
    if choice:
        return {**schema, choice: [*schema[choice], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]} if "allOf" in schema else schema


def carries(schema: object, version: str = "3.1.0") -> dict[str, Any]:
    """An API of one operation that is sent a value and answers with one."""
    content = json({"$ref": "#/components/schemas/it"})
    operation = {"requestBody": {"content": content}, "responses": {"200": {"content": content}}}
    schemas = {"it": schema, "Few": FEW}
    paths = {"/": {"post": operation}}
    return {"openapi": version, "paths": paths, "components": {"schemas": schemas}}


def allowed(schema: object) -> list[bool]:
    """Which values a schema of 3.1 allows, as somebody else sees it.

    Of ``oneOf``, only one is taken ever to fit, so here it is an ``anyOf``.
    """
    document = {**carries(_inclusive(schema)), "$ref": "#/components/schemas/it"}
    validator = Draft202012Validator(document, registry=Registry())
    return [validator.is_valid(value) for value in VALUES]


def _inclusive(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_inclusive(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    said = {key: _inclusive(value) for key, value in schema.items()}
    if "oneOf" not in said:
        return said
    return {"allOf": [{"anyOf": said.pop("oneOf")}, *said.pop("allOf", [])], **said}
