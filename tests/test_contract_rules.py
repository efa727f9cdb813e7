"""Each rule about OpenAPI contracts: what breaks it, where that is told, and what does not."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema.exceptions import best_match
from openapi_spec_validator import (
    OpenAPIV30SpecValidator,
    OpenAPIV31SpecValidator,
    OpenAPIV32SpecValidator,
)

from pytest_orchestrator._checks import check_openapi
from pytest_orchestrator._checks.formats import FORMATS
from pytest_orchestrator._checks.rules import rulebook
from tests.openapi_documents import ASK, BODY, GONE, VERSIONS, a_contract, planted

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reference/contract-rules.md").read_text(encoding="utf-8")
PEERS: dict[str, Any] = {
    "3.0.3": OpenAPIV30SpecValidator,
    "3.1.0": OpenAPIV31SpecValidator,
    "3.2.0": OpenAPIV32SpecValidator,
}
ANSWER = "/components/schemas/Answer"
MEDIA = f"{ASK}/responses/2XX/content/application~1json"
A = {"$ref": "#/components/schemas/A"}
ENGINE = ("confined", "reading", "rules")
SAYING = {"Fault", "Finding", "told"}
STRING = {"type": "string"}


def told(document: object) -> list[tuple[str, str]]:
    """Place and rule of each finding."""
    findings = check_openapi(document, "c").findings
    assert all(finding.cure for finding in findings)
    return [(finding.where.removeprefix("c#"), finding.rule) for finding in findings]


ID = {"name": "id", "in": "path", "required": True, "schema": STRING}
PLANTED: list[tuple[str, object, str, str]] = [
    # references
    (
        f"{ASK}/callbacks",
        {"a": {"b": {"$ref": "#/no"}}},
        f"{ASK}/callbacks/a/b/$ref",
        "ref-dangling",
    ),
    (
        f"{ASK}/requestBody",
        {"$ref": "#/components/requestBodies/No"},
        f"{ASK}/requestBody/$ref",
        "ref-dangling",
    ),
    (
        BODY,
        {"oneOf": [STRING], "discriminator": {"propertyName": "a", "mapping": {"b": "#/no"}}},
        f"{BODY}/discriminator/mapping/b",
        "ref-dangling",
    ),
    ("/components/schemas/A", {"allOf": [A]}, "/components/schemas/A/allOf/0/$ref", "ref-cycle"),
    (
        "/components/schemas/A",
        {"anyOf": [STRING, A]},
        "/components/schemas/A/anyOf/1/$ref",
        "ref-cycle",
    ),
    (
        "/components/schemas/A",
        {"oneOf": [{"allOf": [A]}]},
        "/components/schemas/A/oneOf/0/allOf/0/$ref",
        "ref-cycle",
    ),
    (
        f"{ASK}/responses/2XX",
        {"$ref": "#/components/schemas/Answer"},
        f"{ASK}/responses/2XX/$ref",
        "ref-kind",
    ),
    # parameters
    (f"{ASK}/parameters/0", ID | {"name": "no"}, f"{ASK}/parameters/0", "path-parameter"),
    (f"{ASK}/parameters/0", ID | {"required": False}, f"{ASK}/parameters/0", "path-parameter"),
    (
        "/paths/~1items~1{id}~1ask/parameters",
        [ID, ID],
        "/paths/~1items~1{id}~1ask/parameters/1",
        "same-parameter",
    ),
    (
        f"{ASK}/parameters",
        [{"name": n, "in": "header", "schema": STRING} for n in ("X-A", "x-a")],
        f"{ASK}/parameters/1",
        "same-parameter",
    ),
    # paths, operations, security
    ("/paths", {}, "/paths", "no-paths"),
    (
        "/paths/~1items~1{name}~1ask",
        {"parameters": [ID | {"name": "name"}]},
        "/paths/~1items~1{name}~1ask",
        "same-path",
    ),
    (f"{ASK}/responses", GONE, ASK, "no-responses"),
    (f"{ASK}/responses", {}, f"{ASK}/responses", "no-responses"),
    (f"{ASK}/operationId", "health", f"{ASK}/operationId", "operation-id"),
    ("/security", [{"no": []}], "/security/0/no", "security-scheme"),
    (f"{ASK}/security", [{}, {"no": []}], f"{ASK}/security/1/no", "security-scheme"),
    # schemas
    (f"{BODY}/pattern", "(", f"{BODY}/pattern", "pattern"),
    (f"{BODY}/enum", [], f"{BODY}/enum", "empty-enum"),
    (
        BODY,
        {
            "type": "object",
            "properties": {"a": STRING},
            "required": ["b"],
            "additionalProperties": False,
        },
        f"{BODY}/required/0",
        "impossible-required",
    ),
    # examples and defaults
    (BODY, {"type": "string", "default": 5}, f"{BODY}/default", "default"),
    (BODY, {"type": "string", "example": 5}, f"{BODY}/example", "example"),
    (f"{MEDIA}/example", {"text": 5}, f"{MEDIA}/example/text", "example"),
    (
        f"{MEDIA}/examples",
        {"a": {"value": {"text": 5}}},
        f"{MEDIA}/examples/a/value/text",
        "example",
    ),
    (f"{ASK}/parameters/0/example", "x", f"{ASK}/parameters/0/example", "example"),
    (
        f"{ASK}/parameters/0/examples",
        {"a": {"value": "x"}},
        f"{ASK}/parameters/0/examples/a/value",
        "example",
    ),
    (
        f"{ASK}/responses/2XX/headers",
        {"X-A": {"schema": {"type": "integer"}, "example": "a"}},
        f"{ASK}/responses/2XX/headers/X-A/example",
        "example",
    ),
    (
        BODY,
        {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Answer"},
            "example": [{"text": 1}],
        },
        f"{BODY}/example/0/text",
        "example",
    ),
    (
        BODY,
        {"type": "string", "pattern": r"^((a|aa)+)+\2x$", "default": "a" * 60},
        f"{BODY}/default",
        "slow-pattern",
    ),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("pointer", "value", "where", "rule"), PLANTED)
def test_a_broken_rule_is_told_at_its_place(
    version: str, pointer: str, value: object, where: str, rule: str
) -> None:
    """One finding tells of it, with a cure, and none speaks of what is sound."""
    found = told(planted(a_contract(version), pointer, value))

    assert (where, rule) in found
    # Some mistakes break several rules, but none is told by two of the same kind.
    assert len(found) <= 2


LATER: list[tuple[str, object, str, str]] = [
    (f"{BODY}/nullable", True, f"{BODY}/nullable", "nullable"),
    (BODY, {"type": "string", "examples": ["a", 5]}, f"{BODY}/examples/1", "example"),
    (BODY, {"patternProperties": {"(": {}}}, f"{BODY}/patternProperties/(", "pattern"),
    ("/jsonSchemaDialect", "http://example.invalid/", "/jsonSchemaDialect", "dialect"),
    (f"{BODY}/$schema", "http://example.invalid/", f"{BODY}/$schema", "dialect"),
    (BODY, {"const": 1, "default": 2}, f"{BODY}/default", "default"),
]


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.parametrize(("pointer", "value", "where", "rule"), LATER)
def test_what_came_with_31_has_rules_of_its_own(
    version: str, pointer: str, value: object, where: str, rule: str
) -> None:
    """JSON Schema 2020-12 has more to say, and ``nullable`` is no part of it."""
    assert (where, rule) in told(planted(a_contract(version), pointer, value))


def in_body(schema: object, value: object, version: str) -> bool:
    """Whether a value may be the example of a schema."""
    document = planted(a_contract(version), BODY, schema)
    media = BODY.removesuffix("/schema")
    return "example" not in [rule for _, rule in told(planted(document, f"{media}/example", value))]


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"type": "string", "nullable": True}, [None, "a"], [5]),
        ({"type": "string"}, ["a"], [None]),
        ({"type": "string", "nullable": True, "enum": ["a"]}, ["a"], [None]),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, [2], [1]),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": False}, [1], [0]),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, [0], [1]),
        ({"$ref": ANSWER.replace("/c", "#/c", 1), "type": "string"}, [{"text": "a"}], ["a"]),
    ],
)
def test_schemas_of_30_mean_what_30_says(
    schema: object, fits: list[object], does_not: list[object]
) -> None:
    """Null, bounds and references are read as that version has them."""
    assert [True] * len(fits) == [in_body(schema, value, "3.0.3") for value in fits]
    assert [False] * len(does_not) == [in_body(schema, value, "3.0.3") for value in does_not]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mark", ["readOnly", "writeOnly"])
def test_what_is_only_sent_one_way_may_be_left_out_of_examples(version: str, mark: str) -> None:
    """A request has no id yet, and its example need not have one."""
    base = {
        "type": "object",
        "required": ["id", "a"],
        "properties": {"id": {"type": "string", mark: True}},
    }

    for schema in (base, {"allOf": [base]}):
        assert in_body(schema, {"a": 1}, version)
        assert not in_body(schema, {}, version)
        assert not in_body(schema, {"a": 1, "id": 5}, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [
        ("uuid", "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10", "3f2b8c1e"),
        ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-02-28T12:30:00Z", "2026-02-28 12:30"),
        ("email", "a@b", "a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", "127.0.0.1"),
        ("int32", "anything", None),
    ],
)
def test_formats_are_asserted(version: str, name: str, fits: str, does_not: str | None) -> None:
    """Those that have a predicate; the others are notes for people."""
    schema = {"type": "string", "format": name}

    assert in_body(schema, fits, version)
    assert does_not is None or not in_body(schema, does_not, version)
    assert (name in FORMATS) == (does_not is not None)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_json_may_be_written_as_text(version: str) -> None:
    """The example of an XML document is a text, whatever its schema."""
    document = a_contract(version)
    content = document["paths"]["/items/{id}/ask"]["post"]["requestBody"]["content"]
    content["application/xml"] = {"schema": {"type": "object"}, "example": "<a/>"}
    content["application/problem+json; charset=utf-8"] = {
        "schema": {"type": "object"},
        "example": "",
    }

    assert ["/example"] == [re.sub(".*(/)", r"\1", where) for where, _ in told(document)]


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_is_wrong_with_one_part_is_told(version: str) -> None:
    """A mistake deep within a parameter does not hide the one beside it."""
    document = planted(a_contract(version), f"{ASK}/parameters/0/schema/type", "strng")
    document = planted(document, f"{ASK}/parameters/0/name", 5)

    assert {f"{ASK}/parameters/0/schema/type", f"{ASK}/parameters/0/name"} <= {
        where for where, _ in told(document)
    }


def test_a_cycle_through_properties_is_fine() -> None:
    """A tree is written like that."""
    assert [] == told(planted(a_contract(), BODY, {"properties": {"a": {"$ref": f"#{BODY}"}}}))


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_that_lead_back_by_way_of_all_of_are_used(version: str) -> None:
    """A node is what a base is, and has nodes."""
    document = a_contract(version)
    document["components"]["schemas"] |= {
        "A": {"allOf": [{"$ref": "#/components/schemas/B"}], "example": {"b": {"b": {"c": 5}}}},
        "B": {"properties": {"b": {"allOf": [A, {}]}, "c": STRING}},
    }

    assert [("/components/schemas/A/example/b/b/c", "example")] == told(document)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_closed_schema_knows_what_its_all_of_allows(version: str) -> None:
    """``unevaluatedProperties`` sees what stands beside it."""
    document = a_contract(version)
    closed = {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}
    document["components"]["schemas"]["A"] = closed

    for schema in (A, {"allOf": [A]}, {"allOf": [{"allOf": [A, STRING | {"type": "object"}]}]}):
        found = told(planted(document, BODY, schema | {"examples": [{"a": 1}, {"b": 1}]}))
        assert [(f"{BODY}/examples/1", "example")] == found


def test_names_of_components_are_names_in_30() -> None:
    """Its official schema looks past what is not called as it has to be."""
    where = "/components/schemas/$ref"

    assert [(where, "component-name")] == told(planted(a_contract("3.0.3"), where, STRING))


def test_webhooks_alone_will_do() -> None:
    """A contract may be about what is called back only."""
    document = planted(a_contract(), "/paths", {})

    assert [] == told(
        document | {"webhooks": {"a": {"post": {"responses": {"200": {"description": ""}}}}}}
    )


# ---------------------------------------------------------------- the peer


VALUES = st.sampled_from(
    [
        None,
        5,
        "a",
        [],
        {},
        GONE,
        True,
        "#/no",
        [STRING],
        {"a": STRING},
        STRING,
        {"$ref": "#/no"},
        A,
        "{id}",
    ]
)
KEYWORDS = st.sampled_from(
    ["type", "default", "required", "items", "in", "name", "responses", "$ref"]
)


def places(value: Any, pointer: str = "") -> list[str]:
    """The pointer of every value in there, but the whole."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, child in below:
        there = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
        found.append(there)
        if isinstance(child, (dict, list)):
            found += places(child, there)
    return found


def without_siblings(value: Any) -> Any:
    """A document without what 3.0 ignores beside a reference, and the peer does not."""
    if isinstance(value, list):
        return [without_siblings(each) for each in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str):
        return {"$ref": reference}
    return {key: without_siblings(each) for key, each in value.items()}


def refused_by_peer(document: dict[str, Any], version: str) -> bool:
    """Whether openapi-spec-validator finds anything, or breaks."""
    if version.startswith("3.0"):
        document = without_siblings(document)
    try:
        return best_match(PEERS[version](document).iter_errors()) is not None
    except Exception:  # noqa: BLE001 - whatever it raises, it did not accept
        return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_the_peer_refuses_is_refused(data: st.DataObject) -> None:
    """openapi-spec-validator finds nothing wrong that is not found here."""
    version = data.draw(st.sampled_from(VERSIONS))
    document = a_contract(version)
    document["components"]["schemas"]["A"] = {"type": "object", "default": {}}
    for _ in range(data.draw(st.integers(1, 2))):
        pointer = data.draw(st.sampled_from(places(document)))
        value = data.draw(VALUES)
        if data.draw(st.booleans()) and isinstance(at(document, pointer), dict):
            pointer = f"{pointer}/{data.draw(KEYWORDS)}"
            value = None if value is GONE else value
        # The peer takes data for references.
        if not (pointer.endswith("/default") and "$ref" in repr(value)):
            document = planted(document, pointer, value)

    if check_openapi(document, "c").passed:
        assert not refused_by_peer(document, version)


def at(document: Any, pointer: str) -> Any:
    """What stands at a place."""
    for key in pointer.split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        document = document[int(name) if isinstance(document, list) else name]
    return document


# ---------------------------------------------------------------- the page


def test_the_page_tells_of_each_rule() -> None:
    """What is found has a row, and nothing else has one."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)

    assert sorted(rulebook.RULES) == sorted(name for name, _, _ in rows)


def test_the_code_names_no_other_rule() -> None:
    """Whatever a finding says after its sentence is in the rule book."""
    named: set[str] = set()
    checks = ROOT / "pytest_orchestrator/_checks"
    for file in (
        *(f for folder in ENGINE for f in (checks / folder).glob("*.py")),
        checks / "openapi.py",
    ):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in SAYING:
                rules = [*call.args[2:3], *(k.value for k in call.keywords if k.arg == "rule")]
                named |= {str(r.value) for r in rules if isinstance(r, ast.Constant)}

    assert len(named) > 20
    assert named <= rulebook.RULES
