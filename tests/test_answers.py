"""Answers of a service, against what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._checks import check_json, check_response, parse_json
from pytest_orchestrator._checks.schemas import Problem, survived

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "QueryResponse": {
            "type": "object",
            "properties": {
                "status": {"enum": ["answered", "unknown", "error"]},
                "answer": {"type": ["string", "null"]},
                "citations": {"type": "array", "items": {"$ref": "#/$defs/Citation"}},
                "interaction_id": {"type": "string", "format": "uuid"},
            },
            "required": ["status", "answer", "citations", "interaction_id"],
        },
        "Citation": {
            "type": "object",
            "properties": {
                "page": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                "a/b": {"type": "string"},
            },
            "required": ["page"],
        },
    },
}
IDENTIFIER = "0b5c9a3e-6d0a-4c1e-9d4f-0a1b2c3d4e5f"


def an_answer(**changed: object) -> dict[str, object]:
    """A right answer, except for what is changed."""
    return {
        "status": "answered",
        "answer": "42",
        "citations": [{"page": 3}, {"page": None}],
        "interaction_id": IDENTIFIER,
        **changed,
    }


def test_a_right_answer_fits() -> None:
    """An answer with all the model asks for has no findings."""
    assert check_json(an_answer(), MODELS, "a", definition="QueryResponse").passed


@pytest.mark.parametrize(
    ("changed", "where", "rule"),
    [
        ({"status": "done"}, "a#/status", "enum"),
        ({"answer": 42}, "a#/answer", "type"),
        ({"citations": None}, "a#/citations", "type"),
        ({"citations": [{"page": 1}, {}]}, "a#/citations/1", "required"),
        ({"citations": [{"page": "3"}]}, "a#/citations/0/page", "type"),
        ({"citations": [{"page": True}]}, "a#/citations/0/page", "type"),
        ({"citations": [{"page": 1, "a/b": 1}]}, "a#/citations/0/a~1b", "type"),
        ({"interaction_id": "nope"}, "a#/interaction_id", "format"),
    ],
)
def test_a_wrong_answer_is_found_at_its_place(
    changed: dict[str, object], where: str, rule: str
) -> None:
    """Each defect is one finding, with the pointer to it."""
    verdict = check_json(an_answer(**changed), MODELS, "a", definition="QueryResponse")

    assert [(where, rule)] == [(f.where, f.rule) for f in verdict.findings]


def test_all_that_is_wrong_is_found() -> None:
    """One look finds every defect, so that one attempt can mend them all."""
    answer = an_answer(status=1, citations=[{}, {"page": "x"}])

    verdict = check_json(answer, MODELS, "a", definition="QueryResponse")

    assert {"a#/status", "a#/citations/0", "a#/citations/1/page"} == {
        f.where for f in verdict.findings
    }


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("uuid", [IDENTIFIER, IDENTIFIER.upper()], ["nope", IDENTIFIER[:-1], IDENTIFIER + "\n"]),
        ("uuid", [], [IDENTIFIER.replace("0", "\N{FULLWIDTH DIGIT ZERO}"), "{" + IDENTIFIER + "}"]),
        ("date", ["2024-02-29"], ["2023-02-29", "20240229", "2024-02-29\n", "2024-2-9"]),
        ("date-time", ["2024-02-29T10:00:00Z", "2024-02-29t10:00:00.25+01:30"], []),
        ("date-time", [], ["2024-02-29", "2024-02-29T10:00:00", "2024-02-30T10:00:00Z", "now"]),
        ("email", ["a@b"], ["a", "a@", "@b", "a b@c"]),
        ("ipv4", ["127.0.0.1"], ["127.0.0.256", "::1"]),
        ("ipv6", ["::1"], ["127.0.0.1", "::g"]),
    ],
)
def test_formats_are_asserted(form: str, right: list[str], wrong: list[str]) -> None:
    """A format is not a remark: a value that has not got it is a finding."""
    schema = {"format": form}

    assert all(check_json(value, schema, "a").passed for value in [*right, 1, None])
    assert not any(check_json(value, schema, "a").passed for value in wrong)


@pytest.mark.parametrize(
    ("schema", "where", "rule"),
    [
        ({"properties": {"a": {"format": "postcode"}}}, "#/properties/a/format", "format"),
        ({"type": "strng"}, "#/type", "enum"),
        ({"pattern": "("}, "#/pattern", "format"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "#/$schema", "dialect"),
        ({"properties": {"a": {"$ref": "#/$defs/No"}}}, "#/properties/a/$ref", "ref-dangling"),
        ({"$ref": "other.json"}, "#/$ref", "ref-external"),
        ({"$ref": "file:///etc/hostname"}, "#/$ref", "ref-external"),
        ({"$defs": {"A": {"$id": "http://x.example/"}}}, "#/$defs/A/$id", "ref-base"),
        (5, "#", "type"),
    ],
)
def test_a_schema_that_cannot_be_asserted_is_a_finding(
    schema: object, where: str, rule: str
) -> None:
    """A schema that would let everything pass is said to be at fault, not the value."""
    verdict = check_json({}, schema, "a")

    assert [(f"a (schema){where}", rule)] == [(f.where, f.rule) for f in verdict.findings]


def test_a_property_called_format_is_not_a_format() -> None:
    """Names and examples in a schema are not taken for keywords."""
    schema = {
        "properties": {"format": {"type": "string"}, "$ref": {"enum": [{"format": "x"}]}},
        "default": {"$ref": "http://x.example/"},
    }

    assert check_json({"format": "pdf", "$ref": {"format": "x"}}, schema, "a").passed


def test_a_definition_that_is_not_there_is_a_finding() -> None:
    """The finding names the definitions there are."""
    verdict = check_json({}, MODELS, "a", definition="Answer")

    assert ["a (schema)#/$defs"] == [f.where for f in verdict.findings]
    assert "QueryResponse, Citation" in verdict.findings[0].what


@pytest.mark.parametrize("name", ["A b", "a/b", "a~b", "a%b", "ä"])
def test_a_definition_may_have_any_name(name: str) -> None:
    """What a pointer or a URL would have to escape is escaped."""
    assert check_json("x", {"$defs": {name: {"type": "string"}}}, "a", definition=name).passed


def test_a_schema_may_have_an_id_of_its_own() -> None:
    """References within a schema mean that schema, whatever it calls itself."""
    schema = {**MODELS, "$id": "https://models.example/shared"}

    verdict = check_json(an_answer(citations=[{}]), schema, "a", definition="QueryResponse")

    assert ["a#/citations/0"] == [f.where for f in verdict.findings]


def test_a_schema_that_never_ends_is_a_finding() -> None:
    """Recursion that leads nowhere is neither a crash nor a pass."""
    schema = {"$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}, "$ref": "#/$defs/A"}

    assert ["unchecked"] == [f.rule for f in check_json({}, schema, "a").findings]


def test_a_panic_of_a_vendor_is_a_finding() -> None:
    """Rust's panics are no ``Exception``, and still the gate goes on; an interrupt stops it."""
    panic = type("PanicException", (BaseException,), {})

    def problems(broken: BaseException) -> Iterator[Problem]:
        """Find one problem, then break."""
        yield Problem("/a", "is wrong", "type")
        raise broken

    assert ["type", "unchecked"] == [p.rule for p in survived(problems(panic("oh")))]
    with pytest.raises(KeyboardInterrupt):
        survived(problems(KeyboardInterrupt()))


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.text(max_size=8) | st.integers(), st.lists))
def test_any_value_and_any_schema_have_a_verdict(anything: object) -> None:
    """Neither a strange value nor a strange schema raises."""
    check_json(anything, MODELS, "a", definition="QueryResponse")
    check_json(anything, anything, "a")
    check_json({}, {"properties": anything, "$ref": anything, "$defs": anything}, "a")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b'{"a": NaN}', "number"),
        (b'{"a": 1, "a": 2}', "duplicate-key"),
        (b"[" * 10_000, "depth"),
        (b"a: 1", "syntax"),
        (b"", "syntax"),
        (b"\xff", "encoding"),
    ],
)
def test_a_body_that_is_not_json_is_refused(data: bytes, rule: str) -> None:
    """What other languages would not read is not read here either."""
    value, verdict = parse_json(data, "POST /api/query")

    assert value is None
    assert [rule] == [f.rule for f in verdict.findings]
    assert verdict.findings[0].where.startswith("POST /api/query")


def test_a_json_body_is_read() -> None:
    """The value is what was sent."""
    value, verdict = parse_json(b' {"a": [1.5, null]}\n', "a")

    assert (value, True) == ({"a": [1.5, None]}, verdict.passed)


def a_response(status: int, content_type: str | None, body: str) -> httpx.Response:
    """What a service might answer."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    return httpx.Response(status, headers=headers, content=body.encode())


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_the_right_status_and_content_type_pass(content_type: str) -> None:
    """Parameters and case of the content type do not matter."""
    response = a_response(200, content_type, "{}")

    assert check_response(response, status=200, media_type="application/json", name="a").passed


@pytest.mark.parametrize(
    ("status", "content_type", "rules"),
    [
        (500, "application/json", ["status"]),
        (200, "text/html", ["media-type"]),
        (200, "application/jsonp", ["media-type"]),
        (200, None, ["media-type"]),
        (404, "text/html", ["status", "media-type"]),
    ],
)
def test_another_status_or_content_type_is_found(
    status: int, content_type: str | None, rules: list[str]
) -> None:
    """Each is a finding of its own, under the name of the request."""
    response = a_response(status, content_type, "oh")

    verdict = check_response(
        response, status=200, media_type="application/json", name="GET /health"
    )

    assert [("GET /health", rule) for rule in rules] == [
        (f.where, f.rule) for f in verdict.findings
    ]


def test_a_finding_shows_how_the_body_begins() -> None:
    """Whoever sees the finding sees the traceback in the body, but not ten pages of it."""
    response = a_response(500, "text/plain", "Traceback\n" + "x" * 10_000)

    (finding,) = check_response(response, status=200, media_type="text/plain", name="a").findings

    assert r"answers with status 500, not 200; body: 'Traceback\nxxx" in finding.what
    assert 300 < len(finding.what) < 400
