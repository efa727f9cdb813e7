"""How two revisions of an OpenAPI document differ."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_orchestrator._checks.changes import changes, is_breaking, told
from pytest_orchestrator._domain.change import Change, Effect
from tests.changing_api import (
    FEW_SCHEMAS_IN_3_1,
    SCHEMAS_IN_3_0,
    SCHEMAS_IN_3_1,
    VALUES,
    VERSIONS,
    Edit,
    Expected,
    Schema,
    allowed,
    an_api,
    carries,
    edited,
    expected_of,
    in_3_1,
    is_clear,
    json,
    revisions,
)
from tests.openapi_documents import ASK, GONE, a_contract, documents, planted
from tests.planted_changes import EDITS, IN_3_0, IN_3_1, POST, SCHEMAS, TEXTS
from tests.strategies import calm

PLANTED = [
    *((version, row) for version in VERSIONS for row in SCHEMAS),
    *(("3.0.3", row) for row in IN_3_0),
    *(("3.1.0", row) for row in IN_3_1),
]
TOP = "/components/schemas/Read"


def classed(found: tuple[Change, ...]) -> set[Expected]:
    """What is asserted of changes; how they are worded is not."""
    return {(change.effect, change.direction, change.pointer) for change in found}


def named(value: object) -> str | None:
    """The name of a row of a table."""
    return value.name if isinstance(value, Schema | Edit) else None


def turned(value: Any) -> Any:
    """The same document with everything that has no order in another one."""
    if isinstance(value, dict):
        return {key: turned(each) for key, each in reversed(value.items())}
    return [turned(each) for each in reversed(value)] if isinstance(value, list) else value


@pytest.mark.parametrize(("version", "row"), PLANTED, ids=named)
def test_a_change_of_a_schema_is_judged_where_it_is_used(version: str, row: Schema) -> None:
    """Those who send it, those who read it, and both are told apart, at the exact place."""
    found = changes(an_api(version, row.old), an_api(version, row.new))

    assert classed(found) == expected_of(row.shifts), told(found)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("row", EDITS, ids=named)
def test_a_change_of_an_operation_is_classed(version: str, row: Edit) -> None:
    """There is the change that was planted, and no other."""
    found = changes(an_api(version), edited(an_api(version), row.edits))

    assert classed(found) == row.expected, told(found)


@pytest.mark.parametrize(("version", "row"), PLANTED, ids=named)
def test_the_order_of_things_is_no_change(version: str, row: Schema) -> None:
    """Neither of members nor of what is listed, except for positions in an array."""
    if "prefixItems" in str(row):
        return
    for schema in (row.old, row.new):
        document = an_api(version, schema)

        assert not changes(document, turned(document))


@settings(calm, max_examples=500)
@given(documents())
def test_a_document_has_not_changed_from_itself(document: dict[str, Any]) -> None:
    """Whatever is in it, in whatever order, and however its schemas refer to each other."""
    for operation in (each for item in document["paths"].values() for each in item.values()):
        operation["requestBody"] = {"content": json({"$ref": "#/components/schemas/A"})}

    assert not changes(document, deepcopy(document))
    assert not changes(document, turned(document))


def test_titles_of_schemas_that_lead_to_themselves_have_no_order() -> None:
    """Which of them is met first makes no difference."""
    itself = {"$ref": f"#{TOP}"}
    parts = [{"allOf": [itself], "items": False}, {**itself, "title": "A", "items": itself}]
    document = planted(an_api(), TOP, {"allOf": parts})

    assert not changes(document, turned(document))


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_zero_is_not_false(keyword: str) -> None:
    """Though they are equal to Python, and stand side by side."""
    document = planted(an_api(), TOP, {keyword: [{"const": 0}, {"const": False}]})

    assert not changes(document, turned(document))
    assert is_breaking(changes(document, planted(document, f"{TOP}/{keyword}/0/const", 1)))


def test_texts_break_nothing() -> None:
    """All that is said to people is an annotation."""
    old = an_api()
    new = edited(old, {
        "/info/description": "Other.",
        "/components/schemas/Read/title": "Other",
        "/components/schemas/Both/description": "Other.",
        "/components/schemas/Problem/properties/title/examples": ["Other"],
        "/components/parameters/Id/description": "Other.",
        f"{POST}/requestBody/description": "Other.",
        f"{POST}/responses/201/description": "Other.",
        f"{POST}/externalDocs": {"url": "http://docs.invalid"},
    })  # fmt: skip

    found = changes(old, new)

    assert {change.effect for change in found} == {"annotation"}
    assert len(found) == 8


SAME = [
    ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
    ({"type": "string", "nullable": True}, {"anyOf": [TEXTS, {"type": "null"}]}),
    ({"allOf": [{"$ref": "#/components/schemas/Cat"}], "nullable": True},
     {"anyOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "null"}]}),
    ({"oneOf": [{"$ref": "#/components/schemas/Cat"}], "nullable": True},
     {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Cat"}]}),
    ({"anyOf": [TEXTS, {"type": "number"}], "nullable": True},
     {"anyOf": [{"type": "number"}, {"type": "null"}, TEXTS]}),
    ({"anyOf": [TEXTS, {"type": "number"}]}, {"type": ["number", "string"]}),
    ({"type": "string", "enum": ["a"]}, {"const": "a"}),
    ({"type": "string", "enum": ["a", "b"]}, {"enum": ["b", "a"]}),
    ({"type": "number", "minimum": 5.0, "exclusiveMinimum": True}, {"type": "number",
     "exclusiveMinimum": 5}),
    ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}),
    ({"type": "integer", "maximum": 9}, {"type": "integer", "exclusiveMaximum": 10}),
    ({"type": "integer"}, {"type": "integer", "minLength": 0, "uniqueItems": False}),
    ({"type": "string", "format": "byte"}, {"type": "string", "contentEncoding": "base64"}),
    ({"type": "string", "format": "binary"},
     {"type": "string", "contentMediaType": "application/octet-stream"}),
    ({"type": "object", "additionalProperties": {}}, {"type": "object"}),
    ({"type": "object", "additionalProperties": False},
     {"type": "object", "additionalProperties": {"not": {}}}),
    ({"allOf": [{"$ref": "#/components/schemas/Cat"}, {"properties": {"age": TEXTS},
     "required": ["age"]}]},
     {"type": "object", "required": ["age"],
      "properties": {"age": TEXTS, "purrs": {"type": "boolean"}}}),
    ({"allOf": [{"$ref": "#/components/schemas/Cat"}, {"required": ["purrs"]}]},
     {"$ref": "#/components/schemas/Cat", "required": ["purrs"]}),
    ({"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
     {"type": "array", "items": {"type": "object", "properties": {
         "next": {"$ref": "#/components/schemas/Node"}}}}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_versions_of_the_same_api_are_compatible(one: object, other: object) -> None:
    """What 3.0 and 3.1 write differently is the same, also as far as order goes."""
    old, new = an_api("3.0.3", one), turned(an_api("3.1.0", other))

    assert classed(changes(old, new)) == {("annotation", "", "/openapi")}
    assert classed(changes(new, old)) == {("annotation", "", "/openapi")}


def test_the_same_words_mean_something_else_in_another_version() -> None:
    """What stands beside a reference counts from 3.1 on."""
    schema = {"$ref": "#/components/schemas/Cat", "minProperties": 1}
    old, new = an_api("3.0.3", {"items": schema}), an_api("3.1.0", {"items": schema})

    assert is_breaking(changes(old, new))
    assert is_breaking(changes(new, old))


def test_a_change_is_found_behind_words_that_are_the_same() -> None:
    """What refers to something that has changed has changed, too, round every corner."""
    old = edited(an_api(), {
        TOP: {"items": {"$ref": "#/components/schemas/One"}},
        "/components/schemas/One": {"items": {"$ref": "#/components/schemas/Two"}},
        "/components/schemas/Two": {"items": {"$ref": "#/components/schemas/One"}, "type": "array"},
    })  # fmt: skip
    new = planted(old, "/components/schemas/Two/type", "string")

    assert classed(changes(old, new)) == {("breaking", "response", "/components/schemas/Two/type")}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_added_field_and_a_removed_one_are_mirror_images(version: str) -> None:
    """What is compatible one way is breaking the other, at the same place."""
    few = an_api(version, {"type": "object", "properties": {"a": TEXTS}})
    more = planted(few, f"{TOP}/properties/b", TEXTS)

    (added,), (removed,) = changes(few, more), changes(more, few)

    assert (added.effect, removed.effect) == ("compatible", "breaking")
    assert added.pointer == removed.pointer == f"{TOP}/properties/b"
    assert added.direction == removed.direction == "response"
    assert added.what.startswith('optional property "b" is new: {"type": "string"}')
    assert removed.what.startswith('property "b" is gone; it was {"type": "string"}')


@settings(calm, max_examples=100)
@given(revisions(FEW_SCHEMAS_IN_3_1 | st.just(SCHEMAS_IN_3_1)))
def test_what_is_not_breaking_does_not_break(revised: tuple[Any, Any]) -> None:
    """A value that could be sent still can be; one that is read could have been before."""
    before, after = revised

    assert_safe(carries(before), carries(after), allowed(before), allowed(after))


@settings(calm, max_examples=60)
@given(revisions(st.just(SCHEMAS_IN_3_0)), st.sampled_from(VERSIONS))
def test_what_is_not_breaking_in_3_0_does_not_break(revised: tuple[Any, Any], version: str) -> None:
    """Neither does it when the API is described in 3.1 from then on, or no longer."""
    before, after = revised
    assume(is_clear(before) and is_clear(after))
    old, new = carries(before, "3.0.3"), carries(after, "3.0.3")
    if version != "3.0.3":
        new = carries(in_3_1(after), version)

    assert_safe(old, new, allowed(in_3_1(before)), allowed(in_3_1(after)))


@settings(calm, max_examples=200)
@given(SCHEMAS_IN_3_0)
def test_an_api_described_in_3_1_is_the_same_as_in_3_0(schema: Any) -> None:
    """Only the version is another."""
    old, new = carries(schema, "3.0.3"), carries(in_3_1(schema))

    assert classed(changes(old, new)) == {("annotation", "", "/openapi")}
    assert classed(changes(new, old)) == {("annotation", "", "/openapi")}


def assert_safe(old: Any, new: Any, before: list[bool], after: list[bool]) -> None:
    """What is allowed differs only where that is told to break something, there and back."""
    there = changes(old, new), changes(new, old)
    for found, then, now in zip(there, (before, after), (after, before), strict=True):
        breaks = {change.direction for change in found if change.effect == "breaking"}
        # Nobody is to send properties of which it has not been told yet.
        news = [change.pointer[-1] for change in found if "optional property" in change.what]
        for value, was, is_now in zip(VALUES, then, now, strict=True):
            if was and not is_now and not mentions(value, news):
                assert breaks & {"request", "both"}, (value, told(found))
            if is_now and not was:
                assert breaks & {"response", "both"}, (value, told(found))
            assert found or was is is_now, value


def mentions(value: Any, names: list[str]) -> bool:
    """Whether there is a property of one of some names anywhere in a value."""
    if isinstance(value, list):
        return any(mentions(each, names) for each in value)
    if not isinstance(value, dict):
        return False
    return any(name in names or mentions(each, names) for name, each in value.items())


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "properties"])
def test_many_ways_to_the_same_schema_do_not_multiply_it(keyword: str) -> None:
    """Sixty schemas that refer twice to the next one are compared in no time."""
    old = an_api()
    schemas = old["components"]["schemas"]
    for level in range(60):
        to = {"$ref": f"#/components/schemas/L{level + 1}"}
        below = {"a": to, "b": {**to}} if keyword == "properties" else [to, {**to}]
        schemas[f"L{level}"] = {keyword: below}
    schemas["L60"] = {"type": "object"}
    schemas["Read"] = {"$ref": "#/components/schemas/L0"}
    new = planted(old, "/components/schemas/L60/type", "string")

    assert not changes(old, deepcopy(old))
    assert classed(changes(old, new)) == {("breaking", "response", "/components/schemas/L60/type")}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": f"#{TOP}"}]},
        {"allOf": [{"$ref": f"#{TOP}"}, TEXTS]},
        {"anyOf": [{"$ref": f"#{TOP}"}, {"type": "null"}]},
        {"anyOf": [{"$ref": f"#{TOP}"}, {"items": {"$ref": f"#{TOP}"}}]},
        {"not": {"$ref": f"#{TOP}"}},
        {"$ref": f"#{TOP}", "type": "string"},
    ],
)
def test_recursion_that_never_ends_ends_here(schema: object) -> None:
    """Schemas that are nothing but themselves are compared, not followed for ever."""
    document = planted(an_api(), TOP, schema)

    assert not changes(document, turned(document))
    changes(document, an_api())


def test_a_chain_too_long_to_follow_is_breaking() -> None:
    """What has not been compared to its end may have changed."""
    old = an_api()
    for level in range(2000):
        below = [{"$ref": f"#/components/schemas/L{level + 1}"}, {"maxLength": level}]
        old["components"]["schemas"][f"L{level}"] = {"allOf": below}
    old = planted(old, TOP, {"$ref": "#/components/schemas/L0"})

    (change,) = changes(old, deepcopy(old))

    assert change.effect == "breaking"
    assert change.what.startswith("schemas lead to each other too many times")


def test_schemas_that_are_all_part_of_each_other_are_breaking() -> None:
    """There are too many ways through them to follow each to its end."""
    old = an_api()
    names = [f"L{level}" for level in range(12)]
    for name in names:
        others = [{"$ref": f"#/components/schemas/{other}"} for other in names if other != name]
        old["components"]["schemas"][name] = {"allOf": others, "maxLength": len(name)}
    old = planted(old, TOP, {"$ref": "#/components/schemas/L0"})

    assert is_breaking(changes(old, planted(old, "/components/schemas/L11/maxLength", 1)))


def test_a_webhook_is_read_by_consumers() -> None:
    """What it sends may become less, what it is answered may become more, and so on."""
    body = {"requestBody": {"content": json(TEXTS)}, "responses": {"200": {"description": ""}}}
    old = {**a_contract(), "webhooks": {"added": {"post": body}, "gone": {"post": body}}}
    at = "/webhooks/added/post"
    new = edited(old, {
        "/webhooks/gone": GONE,
        "/webhooks/more": {"post": body},
        f"{at}/requestBody/content/application~1json/schema/maxLength": 5,
        f"{at}/responses/202": {"description": ""},
        f"{at}/parameters": [{"name": "a", "in": "query", "required": True, "schema": TEXTS}],
    })  # fmt: skip

    assert classed(changes(old, new)) == {
        ("breaking", "", "/webhooks/gone"),
        ("compatible", "", "/webhooks/more"),
        ("compatible", "response", f"{at}/requestBody/content/application~1json/schema/maxLength"),
        ("compatible", "request", f"{at}/responses/202"),
        ("compatible", "response", f"{at}/parameters/0"),
    }


def test_callbacks_that_lead_to_themselves_are_compared_once() -> None:
    """An operation that is called back may itself name what it calls back."""
    old = edited(an_api(), {
        "/components/callbacks": {"again": {"{$url}": {"$ref": "#/paths/~1things"}}},
        f"{POST}/callbacks/again": {"$ref": "#/components/callbacks/again"},
    })  # fmt: skip

    assert not changes(old, deepcopy(old))


@pytest.mark.parametrize(
    "edits",
    [
        {"/paths/~1health/get/parameters": [{"name": "Accept", "in": "header", "schema": TEXTS}]},
        {"/paths/~1health/get/parameters": []},
        {"/paths/~1health/get/deprecated": False},
        {"/paths/~1health/get/responses/200/headers": {"Content-Type": {"schema": TEXTS}}},
        {"/paths/~1health/get/responses/200/headers": {}},
        {f"{ASK}/parameters/0/style": "form"},
        {f"{ASK}/parameters/0/required": False},
        {"/servers": [{"url": "/"}]},
        {"/security": [{}]},
    ],
    ids=str,
)
def test_what_goes_without_saying_is_no_change(edits: dict[str, object]) -> None:
    """Defaults may be written down, and what OpenAPI ignores is ignored."""
    assert not changes(a_contract(), edited(a_contract(), edits))


def test_names_that_ignore_case_are_the_same() -> None:
    """Header fields and media types; their parameters still count, but for UTF-8."""
    old, new = an_api(), an_api()
    answer = old["paths"]["/things/{id}"]["get"]["responses"]["200"]
    now = new["paths"]["/things/{id}"]["get"]["responses"]["200"]
    now["headers"] = {name.lower(): header for name, header in answer["headers"].items()}
    now["content"] = {"Application/JSON; charset=utf-8": answer["content"]["application/json"]}

    assert not changes(old, new)
    now["content"] = {"application/json;v=2": answer["content"]["application/json"]}
    assert is_breaking(changes(old, new))


@pytest.mark.parametrize(("old", "new"), [(None, {}), ({}, "openapi"), ([], {}), (1, True)])
def test_what_is_no_document_has_changed_altogether(old: object, new: object) -> None:
    """One change is all there is to say."""
    assert classed(changes(old, new)) == {("breaking", "", "")}
    assert not changes(old, old)


def test_changes_are_sorted_by_place() -> None:
    """Of one place, what breaks comes first."""
    shared = {"type": "object", "properties": {"a": TEXTS, "b": TEXTS}}
    new = edited(an_api("3.1.0", shared), {
        "/components/schemas/Both/properties/b/maxLength": 1,
        "/components/schemas/Both/properties/a/maxLength": 1,
        "/info/title": "Other",
    })  # fmt: skip

    found = changes(an_api("3.1.0", shared), new)

    assert [change.pointer for change in found] == sorted(change.pointer for change in found)
    assert [change.effect for change in found] == ["breaking", "compatible"] * 2 + ["annotation"]


def test_a_change_is_told_with_both_values() -> None:
    """Whoever has to follow it needs nothing else."""
    found = changes(an_api("3.1.0", TEXTS), planted(an_api("3.1.0", TEXTS), f"{TOP}/type", "null"))

    assert told(found).splitlines() == [
        "1 breaking, 0 compatible, 0 annotation",
        f'  breaking (response): #{TOP}/type: type was ["string"], is now ["null"]',
    ]
    assert told(()) == "nothing has changed"


def test_what_is_too_much_to_tell_is_counted() -> None:
    """What breaks is told first, and most of it."""
    effects: tuple[Effect, ...] = ("annotation", "compatible", "breaking")
    many = [Change(effect, f"/{n}", "has changed") for n in range(60) for effect in effects]

    lines = told(many).splitlines()

    assert lines[0] == "60 breaking, 60 compatible, 60 annotation"
    assert lines[50:52] == ["  breaking: #/49: has changed", "  breaking: and 10 more"]
    assert lines[72] == "  compatible: and 40 more"
    assert lines[-1] == "  annotation: and 50 more"
    assert len(lines) == 1 + 51 + 21 + 11


def test_only_breaking_changes_break() -> None:
    """Neither compatible ones do, nor annotations."""
    harmless = (Change("compatible", "", ""), Change("annotation", "", ""))

    assert not is_breaking(harmless)
    assert is_breaking((*harmless, Change("breaking", "", "")))


def test_the_example_of_the_reference_is_real() -> None:
    """What the page shows is what is told."""
    question = {"type": "object", "properties": {"top_k": {"type": "integer"}}}
    answer = {"type": "object", "properties": {"page": {"type": "integer"}}}
    old = edited(an_api(), {
        "/info/version": "1.0",
        "/components/schemas/Question": question,
        "/components/schemas/Answer": answer,
        "/components/schemas/Sent": {"$ref": "#/components/schemas/Question"},
        TOP: {"$ref": "#/components/schemas/Answer"},
    })  # fmt: skip
    new = edited(old, {
        "/info/version": "1.1",
        "/components/schemas/Question/required": ["top_k"],
        "/components/schemas/Answer/properties/page/type": ["integer", "null"],
        "/components/schemas/Answer/properties/cost": {"type": "number"},
    })  # fmt: skip
    page = Path(__file__).parents[1] / "docs" / "reference" / "breaking-changes.md"

    assert f"```text\n{told(changes(old, new))}\n```" in page.read_text()
