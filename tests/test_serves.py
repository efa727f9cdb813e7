"""Whether what was published is what is served."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._checks import check_covers, check_openapi, check_serves
from tests.openapi_documents import (
    ASK,
    BODY,
    GONE,
    SCHEMAS,
    VERSIONS,
    a_contract,
    documents,
    planted,
)

ANSWER = "/components/schemas/Answer"
CONTENT = f"{ASK}/responses/2XX/content"


def with_answer(schema: object, version: str = "3.1.0") -> dict[str, Any]:
    """A contract whose response is this schema."""
    return planted(a_contract(version), ANSWER, schema)


@pytest.mark.parametrize("published", VERSIONS)
@pytest.mark.parametrize("served", VERSIONS)
def test_a_document_serves_itself_in_any_version(published: str, served: str) -> None:
    """The version of OpenAPI alone is no difference."""
    assert check_serves(a_contract(published), a_contract(served), "c").passed


@pytest.mark.parametrize(
    ("pointer", "value", "where", "told"),
    [
        ("/paths/~1health", GONE, "/paths/~1health/get", "the nearest path is /items/{id}/ask"),
        ("/paths/~1health", {"put": {}}, "/paths/~1health/get", "this path has PUT"),
        (f"{ASK}/parameters", [], f"{ASK}/parameters/0", "query parameter k: is not served"),
        (f"{ASK}/parameters/0/required", True, f"{ASK}/parameters/0", "required is published"),
        (f"{ASK}/parameters/0/explode", False, f"{ASK}/parameters/0", "explode"),
        (f"{ASK}/parameters/0/schema/type", "string", f"{ASK}/parameters/0/schema/type", "type"),
        ("/components/parameters/Id/name", "no", "/components/parameters/Id", "path parameter id"),
        (f"{ASK}/requestBody", GONE, f"{ASK}/requestBody", "request body: is not served"),
        (f"{ASK}/requestBody/required", True, f"{ASK}/requestBody", "served as true"),
        (f"{ASK}/requestBody/content", {"text/plain": {}}, f"{ASK}/requestBody/content", "json"),
        (f"{BODY}/properties/question/type", "number", f"{BODY}/properties/question/type", "type"),
        (f"{BODY}/required", ["question"], BODY, 'required is not published, served as ["ques'),
        (f"{ASK}/responses/2XX", GONE, f"{ASK}/responses/2XX", "served are default"),
        (CONTENT, {"text/plain": {}}, CONTENT, "application/json is not served"),
        (f"{ANSWER}/type", "array", f"{ANSWER}/type", 'published as ["object"], served as ["arr'),
        (f"{ANSWER}/type", ["object", "null"], f"{ANSWER}/type", 'served as ["null", "object"]'),
        (f"{ANSWER}/nullable", True, f"{ANSWER}/type", 'served as ["null", "object"]'),
        (f"{ANSWER}/additionalProperties", False, ANSWER, "served as false"),
        (f"{ANSWER}/properties/text", GONE, f"{ANSWER}/properties/text", "not served"),
        (f"{ANSWER}/properties/text/format", "uuid", f"{ANSWER}/properties/text", '"uuid"'),
        (f"{ANSWER}/properties/text/enum", ["a"], f"{ANSWER}/properties/text", 'served as ["a"]'),
        (
            f"{ANSWER}/properties/follow_ups/items",
            {"type": "string"},
            f"{ANSWER}/type",
            'published as ["object"], served as ["string"]',
        ),
    ],
)
def test_a_difference_is_found_at_its_place(
    pointer: str, value: object, where: str, told: str
) -> None:
    """The finding points into the published document and says what is served."""
    served = planted(a_contract(), pointer, value)

    findings = check_serves(a_contract(), served, "c").findings

    assert [f for f in findings if f.where == f"c#{where}" and told in f.what], findings


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/paths/~1more", {"get": {"responses": {}}}),
        ("/paths/~1health/put", {"responses": {}}),
        (f"{ASK}/responses/404", {"description": "Gone."}),
        (f"{CONTENT}/text~1plain", {}),
        (f"{ASK}/parameters/0", {"name": "K", "in": "header", "schema": {}}),
        ("/paths/~1health/get/requestBody", {"content": {"text/plain": {}}}),
        ("/paths/~1health/get/operationId", "other"),
        ("/paths/~1health/get/summary", "Other"),
        ("/info/title", "Other"),
        ("/servers", [{"url": "http://127.0.0.1:8000"}]),
        (f"{ANSWER}/description", "Other"),
        (f"{ANSWER}/x-other", {"type": "string"}),
        (f"{ANSWER}/additionalProperties", True),
        (f"{ANSWER}/required", []),
        (f"{ANSWER}/required", ["more"]),
        (f"{ANSWER}/properties/more", {}),
        (f"{BODY}/properties/more", {"type": "string"}),
        (f"{ANSWER}/properties/text/default", "x"),
        (f"{ANSWER}/properties/text/title", "Text"),
        (f"{ANSWER}/properties/text/nullable", False),
        ("/components/schemas/More", {"type": "string"}),
    ],
)
def test_what_does_not_matter_to_a_consumer_is_no_difference(pointer: str, value: object) -> None:
    """Additions and texts are fine."""
    published = planted(a_contract(), f"{ASK}/parameters", [])
    served = planted(published, f"{ASK}/parameters", [{}])

    assert check_serves(published, planted(served, pointer, value), "c").passed


def test_what_a_request_must_have_was_published() -> None:
    """A parameter or a body that is required only when served breaks every consumer."""
    parameter = {"name": "k", "in": "query", "required": True, "schema": {}}
    served = planted(a_contract(), "/paths/~1health/get/parameters", [parameter])
    served = planted(served, "/paths/~1health/get/requestBody", {"required": True})

    findings = check_serves(a_contract(), served, "c").findings

    assert [("c#/paths/~1health/get", rule) for rule in ("parameter", "request-body")] == [
        (f.where, f.rule) for f in findings
    ]


def test_a_request_that_must_have_more_than_was_published_is_told() -> None:
    """A consumer does not send what it does not know of."""
    served = planted(a_contract(), f"{BODY}/properties/more", {"type": "string"})
    served = planted(served, f"{BODY}/required", ["more"])

    findings = check_serves(a_contract(), served, "c").findings

    assert ["schema", "schema"] == [f.rule for f in findings]
    assert "'more' of properties" in findings[0].what


def test_a_closed_object_may_not_be_answered_with_more() -> None:
    """Whoever was told that there is nothing else refuses it."""
    closed = {"properties": {"a": {}}, "additionalProperties": False}
    wider = {"properties": {"a": {}, "b": {}}, "additionalProperties": False}

    assert not check_serves(with_answer(closed), with_answer(wider), "c").passed


PAGE = {"type": ["number", "null"], "minimum": 1}
SAME = [
    (PAGE, {"type": "number", "nullable": True, "minimum": 1.0}),
    (PAGE, {"anyOf": [{"type": "number", "minimum": 1}, {"type": "null"}], "title": "Page"}),
    (PAGE, {"oneOf": [{"type": "null"}, {"type": "number", "minimum": 1}]}),
    (PAGE, {"allOf": [{"type": "number", "minimum": 1}], "nullable": True}),
    (PAGE, {"$ref": "#/components/schemas/Page"}),
    (PAGE, {"allOf": [{"$ref": "#/components/schemas/Page"}], "default": 1}),
    (PAGE, {"anyOf": [{"$ref": "#/components/schemas/Number"}, {"type": "null"}]}),
    ({"const": "a"}, {"type": "string", "enum": ["a"]}),
    ({"enum": ["a", "b"]}, {"type": "string", "enum": ["b", "a"]}),
    ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
    ({"enum": [1, None]}, {"anyOf": [{"enum": [1.0]}, {"const": None}]}),
    ({"exclusiveMinimum": 5}, {"minimum": 5.0, "exclusiveMinimum": True}),
    ({"maximum": 5}, {"maximum": 5, "exclusiveMaximum": False}),
    ({"required": ["a", "b"]}, {"required": ["b", "a"]}),
    ({"anyOf": [{"type": "string"}, PAGE]}, {"anyOf": [PAGE, {"type": "string"}]}),
    ({}, True),
    ({"not": {}}, False),
    ({"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"type": ["string"]}}}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_a_schema_are_no_difference(one: object, other: object) -> None:
    """What a code generator writes is compared with what a person writes."""
    components = {"Page": PAGE, "Number": {"type": "number", "minimum": 1}}
    published, served = with_answer(one), with_answer(other)
    for document in (published, served):
        document["components"]["schemas"].update(components)

    assert check_serves(published, served, "c").passed
    assert check_serves(served, published, "c").passed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"minimum": 1}, {"minimum": True}),
        ({"enum": [1]}, {"enum": [True]}),
        ({"enum": [0]}, {"enum": [False]}),
        ({"exclusiveMinimum": 5}, {"minimum": 5}),
        ({"type": "integer"}, {"type": "number"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string"}),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [{"type": "string"}]}),
        ({"oneOf": [{"type": "string"}]}, {"oneOf": [{"type": "string"}, {"minimum": 1}]}),
        ({"prefixItems": [{}, {"type": "string"}]}, {"prefixItems": [{"type": "string"}, {}]}),
        ({"prefixItems": [{}]}, {"prefixItems": [{}, {}]}),
        ({"items": {"type": "string"}}, {}),
        ({"not": {"type": "string"}}, {"not": {}}),
        ({}, False),
        ({"readOnly": True}, {}),
        ({"oneOf": [{"minimum": 1}, {"type": "null"}]}, {"minimum": 1}),
        (
            {"anyOf": [{"type": "string", "not": {}}, {"type": "null"}]},
            {"type": ["string", "null"], "not": {}},
        ),
        (
            {"allOf": [{"properties": {"a": {}}}], "additionalProperties": False},
            {"properties": {"a": {}}, "additionalProperties": False},
        ),
        ({"unknownKeyword": 1}, {}),
        ({"$ref": "#/components/parameters/Id/schema", "minLength": 3}, {"type": "string"}),
    ],
)
def test_schemas_that_differ_are_told_apart(one: object, other: object) -> None:
    """What looks alike is not taken for the same, in either direction."""
    assert not check_serves(with_answer(one), with_answer(other), "c").passed
    assert not check_serves(with_answer(other), with_answer(one), "c").passed


def test_openapi_3_0_ignores_what_stands_beside_a_reference() -> None:
    """The same document means something else from 3.1 on, and is compared as such."""
    schema = {"$ref": "#/components/parameters/Id/schema", "minLength": 3}

    for written in (schema, {"allOf": [schema]}):
        old, new, plain = with_answer(written, "3.0.3"), with_answer(written), {"type": "string"}

        assert check_serves(old, with_answer(plain), "c").passed
        assert not check_serves(new, with_answer(plain), "c").passed


def test_a_difference_is_told_once() -> None:
    """A schema that many operations use is not a finding for each of them."""
    published = planted(a_contract(), "/paths/~1health/get/responses", {
        "200": {"content": {"application/json": {"schema": {"$ref": f"#{ANSWER}"}}}},
    })  # fmt: skip
    served = planted(published, f"{ANSWER}/type", "array")

    (finding,) = check_serves(published, served, "c").findings

    assert finding.where == f"c#{ANSWER}/type"
    assert finding.what.startswith("GET /health, response 200, application/json: type is published")


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "properties"])
def test_many_ways_to_the_same_schema_do_not_multiply_it(keyword: str) -> None:
    """Sixty schemas that refer twice to the next one are compared in no time."""
    published = a_contract()
    schemas = published["components"]["schemas"]
    for level in range(60):
        reference = {"$ref": f"#/components/schemas/L{level + 1}"}
        schemas[f"L{level}"] = {
            keyword: {"a": reference, "b": reference}
            if keyword == "properties"
            else [reference, {**reference}]
        }
    schemas["L60"] = {"type": "object"}
    schemas["Answer"] = {"$ref": "#/components/schemas/L0"}
    served = planted(published, "/components/schemas/L60/type", "string")

    assert check_serves(published, deepcopy(published), "c").passed
    assert ["c#/components/schemas/L60/type"] == [
        f.where for f in check_serves(published, served, "c").findings
    ]


def test_recursion_that_never_ends_ends_here() -> None:
    """Schemas that are nothing but each other are compared, not followed for ever."""
    for schema in (
        {"allOf": [{"$ref": f"#{ANSWER}"}]},
        {"anyOf": [{"$ref": f"#{ANSWER}"}, {"type": "null"}]},
        {"anyOf": [{"$ref": f"#{ANSWER}"}, {"items": {"$ref": f"#{ANSWER}"}}]},
        {"properties": {"a": {"anyOf": [{"$ref": f"#{ANSWER}"}, {"type": "null"}]}}},
    ):
        assert check_serves(with_answer(schema), with_answer(deepcopy(schema)), "c").passed
        check_serves(with_answer(schema), a_contract(), "c")


def test_a_chain_too_long_to_follow_is_a_finding() -> None:
    """Two thousand schemas that are each the next one are not compared, and that is said."""
    document = a_contract()
    for level in range(2000):
        step = {"allOf": [{"$ref": f"#/components/schemas/L{level + 1}"}]}
        document["components"]["schemas"][f"L{level}"] = step
    document["components"]["schemas"]["L2000"] = {}
    document = planted(document, ANSWER, {"$ref": "#/components/schemas/L0"})

    assert ["unchecked"] == [f.rule for f in check_serves(document, document, "c").findings]


@pytest.mark.parametrize("served", [None, [], {}, {"paths": None}, "<html>"])
def test_a_service_that_shows_no_document_serves_nothing(served: object) -> None:
    """The finding is on what is served, not on the contract."""
    assert ["c (as served)#/paths"] == [
        f.where for f in check_serves(a_contract(), served, "c").findings
    ]


def test_references_that_lead_nowhere_are_found_in_both_documents() -> None:
    """Nothing is compared before both documents can be read by themselves."""
    published = planted(a_contract(), BODY, {"$ref": "#/nowhere"})
    served = planted(a_contract(), BODY, {"$ref": "http://example.invalid/"})

    assert [f"c#{BODY}/$ref", f"c (as served)#{BODY}/$ref"] == [
        f.where for f in check_serves(published, served, "c").findings
    ]


@settings(max_examples=150, deadline=None)
@given(documents())
def test_every_document_serves_itself(document: dict[str, Any]) -> None:
    """However its schemas hang together, a document does not differ from its copy."""
    assert not check_serves(document, deepcopy(document), "c").findings


@settings(max_examples=50, deadline=None)
@given(documents(), SCHEMAS)
def test_one_more_operation_is_never_a_finding_and_one_less_always(
    document: dict[str, Any], schema: object
) -> None:
    """Consumers need what was published, and nothing else."""
    content = {"application/json": {"schema": schema}}
    more = deepcopy(document)
    more["paths"]["/more"] = {"put": {"responses": {"200": {"content": content}}}}

    assert check_serves(document, more, "c").passed
    assert ["c#/paths/~1more/put"] == [f.where for f in check_serves(more, document, "c").findings]


@settings(max_examples=150, deadline=None)
@given(documents(), SCHEMAS)
def test_a_difference_does_not_depend_on_the_direction(
    document: dict[str, Any], schema: object
) -> None:
    """If one does not serve the other, the other does not serve the one."""
    other = planted(document, "/components/schemas/A", schema)

    there = check_serves(document, other, "c").passed
    back = check_serves(other, document, "c").passed

    assert there == back


WORDS = (
    "paths /a get parameters responses 200 content schema $ref type properties allOf anyOf items "
    "name in nullable required enum const minimum exclusiveMinimum"
)
KEYS = st.sampled_from(WORDS.split())
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.sampled_from(["#/paths", "#", "null", "3.1.0"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({"paths": ANYTHING}, optional={"components": ANYTHING}), ANYTHING)
def test_no_document_raises(document: dict[str, Any], other: object) -> None:
    """However malformed, there is a verdict."""
    for version in ("3.0.0", "3.1.0"):
        check_openapi({"openapi": version, "info": {"title": "", "version": ""}, **document}, "c")
    check_covers(document, ["GET /a"], "c")
    check_serves(document, document, "c")
    check_serves(document, other, "c")
