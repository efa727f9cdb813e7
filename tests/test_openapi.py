"""OpenAPI documents: whether they are valid, and whether they cover the runbook."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_orchestrator._checks import check_covers, check_openapi
from tests.openapi_documents import ASK, BODY, GONE, VERSIONS, a_contract, planted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_valid_document_passes(version: str) -> None:
    """Recursive schemas, shared parameters and examples that look odd are all fine."""
    assert check_openapi(a_contract(version), "c").passed


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("pointer", "value", "where", "rule"),
    [
        ("/info", GONE, "", "required"),
        ("/info/title", GONE, "/info", "required"),
        ("/paths", [], "/paths", "type"),
        ("/components/schemas/Answer/type", "strng", "/components/schemas/Answer/type", "enum"),
        (
            "/components/schemas/Answer/properties/text/pattern",
            "(",
            "/components/schemas/Answer/properties/text/pattern",
            "pattern",
        ),
        (
            "/components/schemas/Answer/properties/text/default",
            5,
            "/components/schemas/Answer/properties/text/default",
            "default",
        ),
        (f"{BODY}/properties/question/type", "strng", f"{BODY}/properties/question/type", "enum"),
        (f"{BODY}/required", "question", f"{BODY}/required", "type"),
        (f"{ASK}/parameters/0/name", GONE, f"{ASK}/parameters/0", "required"),
        (f"{ASK}/parameters/0/in", "body", f"{ASK}/parameters/0/in", "enum"),
        (f"{ASK}/operationId", "health", f"{ASK}/operationId", "operation-id"),
        ("/paths/~1items~1{id}~1ask/parameters", GONE, ASK, "path-parameter"),
        ("/components/parameters/Id/name", "no", "/components/parameters/Id", "path-parameter"),
        (
            "/components/parameters/Id/required",
            False,
            "/components/parameters/Id",
            "path-parameter",
        ),
        (f"{BODY}/$ref", "#/components/schemas/No", f"{BODY}/$ref", "ref-dangling"),
        (f"{BODY}/$ref", "#/paths/0/x", f"{BODY}/$ref", "ref-dangling"),
        (f"{BODY}/$ref", "other.yaml#/A", f"{BODY}/$ref", "ref-external"),
        (f"{BODY}/$ref", "file:///etc/hostname", f"{BODY}/$ref", "ref-external"),
        (f"{BODY}/$ref", "//example.invalid/a", f"{BODY}/$ref", "ref-external"),
        (f"{BODY}/$ref", 5, f"{BODY}/$ref", "ref-external"),
        (f"{BODY}/$ref", "#" + BODY, f"{BODY}/$ref", "ref-cycle"),
        (f"{BODY}/items", {"$ref": "#anchor"}, f"{BODY}/items/$ref", "ref-external"),
        (f"{BODY}/$id", "http://example.invalid/", f"{BODY}/$id", "ref-base"),
    ],
)
def test_a_planted_defect_is_found_at_its_place(
    version: str, pointer: str, value: object, where: str, rule: str
) -> None:
    """Whatever is broken, in whatever version, one finding points to it."""
    verdict = check_openapi(planted(a_contract(version), pointer, value), "c")

    assert (f"c#{where}", rule) in [(f.where, f.rule) for f in verdict.findings]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("parameter", [f"{ASK}/parameters/0", "/components/parameters/Id"])
def test_the_cause_is_told_and_not_that_a_reference_would_have_done(
    version: str, parameter: str
) -> None:
    """Where a reference is allowed, too, the finding speaks of what was written."""
    document = planted(a_contract(version), f"{parameter}/name", GONE)

    finding = check_openapi(document, "c").findings[0]

    assert (f"c#{parameter}", '"name" is missing', "add it") == (
        finding.where,
        finding.what,
        finding.cure,
    )


def test_extensions_are_nobody_s_business() -> None:
    """What stands below ``x-…`` has no meaning here, so it refers to nothing."""
    document = planted(a_contract(), f"{BODY}/x-origin", {"$ref": "http://example.invalid/"})

    assert check_openapi(document, "c").passed


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "openapi",
        {},
        {"openapi": 3.1},
        {"openapi": "3.1"},
        {"openapi": "2.0.0"},
        {"openapi": "3.3.0"},
        {"swagger": "2.0"},
    ],
)
def test_what_is_not_openapi_of_these_versions_is_found(document: object) -> None:
    """The version is told from the text alone, and nothing else is looked at."""
    assert len(check_openapi(document, "c").findings) == 1


def test_independent_defects_are_found_together() -> None:
    """One look finds what is wrong with schemas, parameters and operation ids."""
    document = planted(a_contract(), f"{BODY}/properties/question/type", "strng")
    document = planted(document, f"{ASK}/operationId", "health")
    document = planted(document, "/components/parameters/Id/name", "no")

    assert {"enum", "operation-id", "path-parameter"} == {
        f.rule for f in check_openapi(document, "c").findings
    }


def test_references_that_lead_out_do_not_hide_the_rest() -> None:
    """What leads out of the document is never followed, so all else can be looked at."""
    document = planted(a_contract(), f"{BODY}/$ref", "http://example.invalid/")
    document = planted(document, "/info", GONE)

    assert {"ref-external", "required"} == {f.rule for f in check_openapi(document, "c").findings}


def test_a_discriminator_may_name_a_schema_but_not_another_document() -> None:
    """Its mapping holds references, too."""
    schema = {
        "oneOf": [{"$ref": "#/components/schemas/Answer"}],
        "discriminator": {"propertyName": "text", "mapping": {"a": "Answer", "b": "b.json#/B"}},
    }

    verdict = check_openapi(planted(a_contract(), BODY, schema), "c")

    assert [f"c#{BODY}/discriminator/mapping/b"] == [f.where for f in verdict.findings]


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}},
        {"A": {"type": "object", "properties": {"$ref": 5}}},
        {"A": {"items": {}}, 5: {}},
    ],
)
def test_what_breaks_a_validator_is_a_finding(schemas: object) -> None:
    """A document that makes a vendor's code raise is at fault, and the gate goes on."""
    assert not check_openapi({**a_contract(), "components": {"schemas": schemas}}, "c").passed


def test_deep_nesting_is_survived() -> None:
    """A schema nested a thousand levels is a finding; one of eighty is fine."""
    for depth, passes in ((80, True), (1000, False)):
        schema: dict[str, Any] = {"type": "string"}
        for _ in range(depth):
            schema = {"type": "array", "items": schema}

        assert passes == check_openapi(planted(a_contract(), BODY, schema), "c").passed


def test_operations_of_the_runbook_are_covered() -> None:
    """A status, or all of the 200s, is a response; other operations do not matter."""
    operations = ["GET /health", "POST /items/{id}/ask"]

    assert check_covers(a_contract(), operations, "c").passed
    assert check_covers(a_contract(), [], "c").passed


@pytest.mark.parametrize(
    ("operation", "where", "told"),
    [
        ("GET /helth", "c#/paths", "the nearest path is /health"),
        ("GET /items/ask", "c#/paths", "the nearest path is /items/{id}/ask"),
        ("POST /health", "c#/paths/~1health", "this path has GET"),
        ("get /health", "c#/paths/~1health", "this path has GET"),
    ],
)
def test_an_operation_that_is_missing_is_found(operation: str, where: str, told: str) -> None:
    """The finding says what there is in its place."""
    (finding,) = check_covers(a_contract(), ["GET /health", operation], "c").findings

    assert where == finding.where
    assert f"{operation} is not described; {told}" == finding.what


@pytest.mark.parametrize(
    "responses", [GONE, {}, {"404": {}}, {"default": {}}, {"20": {}}, [], None]
)
def test_an_operation_that_never_succeeds_is_found(responses: object) -> None:
    """Covered means that at least one response of the 200s is described."""
    document = planted(a_contract(), f"{ASK}/responses", responses)

    (finding,) = check_covers(document, ["POST /items/{id}/ask"], "c").findings

    assert f"c#{ASK}/responses" == finding.where


@pytest.mark.parametrize("document", [None, [], {}, {"paths": []}, {"paths": {"/a": {"get": 5}}}])
def test_a_document_without_operations_covers_none(document: object) -> None:
    """A malformed document is a finding here, too, not an exception."""
    (finding,) = check_covers(document, ["GET /health"], "c").findings

    assert "no operation is" in finding.what
