"""Shared models: what a page may say, what is refused where, and the schema made of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._checks import check_json
from pytest_orchestrator._checks.models.document import (
    COMMAND,
    check_drift,
    check_models,
    read_models,
    schema_bytes,
)
from pytest_orchestrator._checks.models.findings import MAX_FINDINGS
from pytest_orchestrator._checks.models.page import MAX_BYTES
from pytest_orchestrator._domain.verdict import Finding
from tests.model_pages import (
    Models,
    fits,
    is_complete,
    pages,
    rendered,
    rings,
    values,
)

ROOT = Path(__file__).parents[1]
SEED = ROOT / "oracle/any/write-models/docs/contracts/shared-models.md"
REFERENCE = (ROOT / "docs/reference/shared-models.md").read_text(encoding="utf-8")

UUID = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
MODEL = '## A\n\n```json\n{\n  "x": "string"\n}\n```\n'
OTHER = '\n## Other\n\n```json\n{"y": "string"}\n```\n'
TYPES = "string, number, integer, boolean, null, uuid, date-time, date, object, any"


def page(written: str) -> bytes:
    """A page whose model A has one field x, in line 5, and a model to refer to."""
    return MODEL.replace('"string"', written).encode() + OTHER.encode()


def block(text: str) -> bytes:
    """A page with one model, whose block begins in line 4."""
    return f"## A\n\n```json\n{text}\n```\n".encode()


def told(data: bytes) -> list[tuple[str, str]]:
    """Where there are findings, and by which rule."""
    return [(finding.where, finding.rule) for finding in check_models(data, "m.md").findings]


def whole(finding: Finding) -> str:
    """What is wrong and what to do about it, in one sentence; there is always both."""
    assert finding.cure
    return f"{finding.what}; {finding.cure}"


def definitions(data: bytes) -> Any:
    """The schema of each model of a page without findings, by name."""
    document, verdict = read_models(data, "m.md")
    verdict.raise_for_findings()
    assert document is not None
    return document["$defs"]


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("written", "rule", "words"),
    [
        ('"strng"', "type", 'did you mean "string"?'),
        ('"String"', "type", 'did you mean "string"?'),
        ('"UUID"', "type", 'did you mean "uuid"?'),
        ('"int"', "type", 'did you mean "integer"?'),
        ('"Int"', "type", 'did you mean "integer"?'),
        ('"float | null"', "type", 'did you mean "number"?'),
        ('"string | none"', "type", 'did you mean "null"?'),
        ('"low | high | nul"', "type", 'did you mean "null"?'),
        ('"datetime"', "type", 'did you mean "date-time"?'),
        ('"date_time"', "type", 'did you mean "date-time"?'),
        ('"list"', "type", 'did you mean ["string"]?'),
        ('"other"', "type", 'did you mean "Other"?'),
        ('"other | another"', "type", 'did you mean "Other"?'),
        ('"string1..500"', "type", 'did you mean "string"?'),
        ('"answered"', "type", f"quote it, 'answered', if a literal is meant); there are {TYPES}"),
        ('"answered | null"', "type", "'answered'"),
        ('"strng | null"', "type", 'did you mean "string"?'),
        ('"[srting]"', "type", 'did you mean "string"?'),
        ('"Otter"', "model", 'did you mean "Other"?'),
        ('"Message"', "model", f"there are {TYPES}, A, Other"),
        ('"inProgress | done"', "literal", "quote it, 'inProgress'"),
        ("\"'' | 'a'\"", "literal", '"" is no literal'),
        ("\"' a' | 'b'\"", "literal", "without blanks around it"),
        ('"date | time"', "mixed", "quote that, 'date', if it is a literal, too"),
        ('"answered | string"', "mixed", 'the literal "answered" with the type "string"'),
        ('"low | [string]"', "mixed", "say one or the other"),
        ('"string | string"', "twice", "say it once"),
        ('"string 1.. | string ..5"', "twice", "say it once"),
        ("\"low | 'low'\"", "twice", "say it once"),
        ('"A | A"', "twice", "say it once"),
        ('"[string] | [string]"', "twice", "say it once"),
        ('"string | uuid"', "contained", '"string" contains "uuid"'),
        ('"string 1.. | date-time"', "contained", '"string" contains "date-time"'),
        ('"date | string"', "contained", '"string" contains "date"'),
        ('"number | integer"', "contained", '"number" contains "integer"'),
        ('"any | null"', "contained", 'say only "any"'),
        ('"object | Other"', "contained", '"object" contains every model'),
        ('"uuid 1..2"', "bounds", '"uuid" has no bounds'),
        ('"Other 1.."', "bounds", '"Other" has no bounds'),
        ("\"'string' 1..2 | b\"", "bounds", '"string" has no bounds'),
        ('"string 5..1"', "bounds", "the lower bound comes first"),
        ('"string -1..2"', "bounds", "a length is not negative"),
        ('"[Other] -1.."', "bounds", "a length is not negative"),
        ('"integer 0.5..2"', "bounds", 'a bound of "integer" is a whole number'),
        ('"number 0..1234567890123456"', "bounds", "at most 15 digits"),
        ('"string 500"', "notation", "write 1..500, 1.. or ..500"),
        ('"string .."', "notation", "write 1..500, 1.. or ..500"),
        ('"number 0-1"', "notation", "write 1..500, 1.. or ..500"),
        ('"number 0 .. 1"', "notation", "write 1..500, 1.. or ..500"),
        ('"number 01..2"', "notation", "write 1..500, 1.. or ..500"),
        ('"number >= 0"', "notation", "bounds follow a type like 1..500"),
        ('"string(500)"', "notation", "bounds follow a type like 1..500"),
        ('""', "notation", 'says nothing; write a type, e.g. "string"'),
        ('" string"', "notation", "has blanks around it"),
        ('"string?"', "notation", 'marked at its key: "page?"'),
        ('"string[]"', "notation", 'a list is written ["string"]'),
        ('"Array<string>"', "notation", 'a list is written ["string"]'),
        ('"[]"', "notation", "a list has one element"),
        ('"[string, null]"', "notation", "a list has one element"),
        ('"[string"', "notation", "brackets come in pairs"),
        ('"string]"', "notation", "brackets come in pairs"),
        ('"string, null"', "notation", 'between two alternatives stands one "|"'),
        ('"string or null"', "notation", 'between two alternatives stands one "|"'),
        ('"string || null"', "notation", 'between two alternatives stands one "|"'),
        ('"string |"', "notation", 'between two alternatives stands one "|"'),
        ('"\'date"', "notation", "begins and ends with '"),
        ('"How do bees keep warm?"', "notation", "a value is no type"),
        (f'"{UUID}"', "notation", "a value is no type"),
        (f'"{"[" * 17}any{"]" * 17}"', "notation", "nests deeper than 16 levels"),
        ("5", "value", "5 is a value; write its type, in quotes"),
        ("-1.5e3", "value", "-1.5e3 is a value"),
        ("true", "value", "true is a value"),
        ("null", "value", "null is a value"),
        ("[]", "list", "has 0 elements"),
        ('["string", "null"]', "list", "has 2 elements"),
        ("{}", "empty", 'has no fields; write them, or "object"'),
        ('{"string": "number"}', "map", 'if any keys will do, write "object"'),
        ('"A"', "endless", 'make it "x?", add "| null", or list it'),
        ('"[A] 1.."', "endless", 'make it "x?"'),
        ('{"z": "A"}', "endless", 'make it "x?"'),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(written: str, rule: str, words: str) -> None:
    """There is one finding, with line, model and field, and with what to write instead."""
    document, verdict = read_models(page(written), "m.md")

    assert document is None
    assert [("m.md:5#A.x", rule)] == [(f.where, f.rule) for f in verdict.findings]
    assert words in whole(verdict.findings[0])


@pytest.mark.parametrize(
    ("written", "right", "wrong"),
    [
        ('"string"', ["", "a", UUID], [None, 1, True, [], {}]),
        ('"string 1..3"', ["a", "äöü"], ["", "abcd", None]),
        ('"string 2.."', ["ab", "a" * 999], ["a"]),
        ('"string ..2"', ["", "ab"], ["abc"]),
        ('"number"', [3, 3.5, -1e9], ["3", True, None]),
        ('"number 0..1"', [0, 1, 0.5], [-0.001, 1.001, "0"]),
        ('"number -0.5.."', [-0.5, 7], [-0.6]),
        ('"integer"', [3, 3.0, -3], [3.5, "3", False]),
        ('"integer -5..5"', [-5, 5], [-6, 6, 0.5]),
        ('"boolean"', [True, False], [0, 1, "true", None]),
        ('"null"', [None], [0, "", False, "null"]),
        ('"uuid"', [UUID, UUID.upper()], ["nope", UUID[:-1], f"{UUID}\n", 1]),
        ('"date-time"', ["2026-01-31T10:00:00Z"], ["2026-01-31", "2026-01-31T10:00:00", "now"]),
        ('"date"', ["2026-01-31"], ["2026-02-30", "2026-1-31", "2026-01-31T10:00:00Z"]),
        ('"object"', [{}, {"a": 1}], [[], None, "{}"]),
        ('"any"', [None, 1, "a", [], {}], []),
        ('"Other"', [{"y": "a"}, {"y": "a", "z": 1}], [{}, {"y": 1}, None, []]),
        ('"low | high"', ["low", "high"], ["", "Low", "low | high", None]),
        ('"low | high | null"', ["low", None], ["null", 0]),
        ("\"'date' | 'GET' | 'a | b'\"", ["date", "GET", "a | b"], ["2026-01-31", "get", "'date'"]),
        ("\"'ok'\"", ["ok"], ["'ok'", "", None]),
        ("\"'null' | null\"", ["null", None], [""]),
        ("\"'null' | low\"", ["null", "low"], [None]),
        ('"update | delete"', ["update"], ["2026-01-31"]),
        ('"string | null"', ["", None], [0]),
        ('"string 1.. | null"', ["a", None], [""]),
        ('"null | uuid"', [UUID, None], ["nope"]),
        ('"Other | null"', [{"y": "a"}, None], [{}]),
        ('"object | null"', [{}, None], [[]]),
        ('"string|number"', ["a", 1], [None, True]),
        ('"uuid | date"', [UUID, "2026-01-31"], ["nope"]),
        ('"integer 1.. | string ..2 | null"', [1, "ab", None], [0, "abc", 1.5]),
        ('"Other | A | null"', [{"y": "a"}, {"x": None}, None], [{}, 1]),
        ('["string"]', [[], ["a", "b"]], [["a", 1], "a", None]),
        ('["string | null"]', [[None, "a"]], [[0]]),
        ('[["integer"]]', [[], [[]], [[1], [2]]], [[1], [["1"]]]),
        ('["low | high"]', [["low", "low"]], [["mid"]]),
        ('["Other"]', [[], [{"y": ""}]], [[{}]]),
        ('"[Other] 1..2"', [[{"y": ""}], [{"y": ""}] * 2], [[], [{"y": ""}] * 3, [{}]]),
        ('"[string 1..] | null"', [[], ["a"], None], [[""], ""]),
        ('"[string] | [number]"', [[], ["a"], [1]], [["a", 1], None]),
        ('"[low | high] 1.."', [["low"]], [[], ["mid"]]),
        ('"[[integer] 1..] ..1"', [[], [[1]]], [[[]], [[1], [2]]]),
        ('[{"y": "Other", "z?": "integer"}]', [[{"y": {"y": ""}}]], [[{}], [{"y": {"y": 1}}]]),
        ('{"z?": "string"}', [{}, {"z": ""}, {"other": 1}], [{"z": None}, [], None]),
        ('{"y": "null", "z": "A | null"}', [{"y": None, "z": None}], [{"y": None}]),
        ('"A | null"', [None, {"x": None}, {"x": {"x": None}}], [{}, {"x": {}}]),
        ('["A"]', [[], [{"x": []}]], [[{}], None]),
        ('"[A] 0.."', [[], [{"x": []}]], [[{}]]),
    ],
)
def test_a_type_allows_what_it_says(written: str, right: list[object], wrong: list[object]) -> None:
    """Each type and each way to put types together accepts and rejects; formats are asserted."""
    document, _ = read_models(page(written), "m.md")
    verdicts = [check_json({"x": v}, document, "v", definition="A") for v in [*right, *wrong]]

    assert [verdict.passed for verdict in verdicts] == [True] * len(right) + [False] * len(wrong)
    assert {f.where.partition("#")[0] for v in verdicts for f in v.findings} <= {"v"}


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ('"page | uuid"', None),
        ('"number | null"', {"type": ["number", "null"]}),
        ('"number 0.0..1.50"', {"type": "number", "minimum": 0, "maximum": 1.5}),
        ('"number -0.0.."', {"type": "number", "minimum": 0}),
        ('"low | null | high"', {"type": ["string", "null"], "enum": ["low", "high", None]}),
        ('"[date] ..3"', {"type": "array", "items": {"type": "string", "format": "date"}}),
    ],
)
def test_a_type_has_one_schema(written: str, schema: dict[str, object] | None) -> None:
    """What is generated is plain, so that people can compare it with an OpenAPI document."""
    if schema is None:
        assert told(page(written))
    else:
        made = definitions(page(written))["A"]["properties"]["x"]
        assert json.dumps(schema) == json.dumps({key: made[key] for key in schema})


def test_what_was_read_is_the_callers() -> None:
    """Changing a schema changes no other, now or later."""
    before = definitions(MODEL.encode())
    before["A"]["properties"]["x"]["type"] = "number"

    assert definitions(MODEL.encode())["A"]["properties"]["x"] == {"type": "string"}


def test_a_field_may_be_missing_only_if_it_says_so() -> None:
    """A key is required unless it is written with a question mark; others are ignored."""
    document, _ = read_models(block('{"x": "string", "y?": "string | null"}'), "m.md")

    assert check_json({"x": ""}, document, "v", definition="A").passed
    assert check_json({"x": "", "y": None, "z": 1}, document, "v", definition="A").passed
    assert not check_json({"y": ""}, document, "v", definition="A").passed
    assert not check_json({"x": None}, document, "v", definition="A").passed


def test_models_refer_to_each_other() -> None:
    """Rings of models are fine as long as somewhere a value can end."""
    ends = '## A\n```json\n{"b": "B | A"}\n```\n## B\n```json\n{"a?": "A"}\n```\n'

    document, _ = read_models(ends.encode(), "m.md")
    verdict = check_json({"b": {"a": {"b": {}}}}, document, "v", definition="A")

    assert verdict.passed
    assert [("m.md:3#A.b", "endless"), ("m.md:7#B.a", "endless")] == told(
        ends.replace("a?", "a").encode()
    )


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize(
    ("text", "where", "rule", "words"),
    [
        ("", "m.md:3#A", "empty", "has an empty block"),
        ("{}", "m.md:4#A", "empty", "has no fields"),
        ('["string"]', "m.md:4#A", "object", "write the fields between braces"),
        ('"string"', "m.md:4#A", "object", 'e.g. {"page": "number"}'),
        ("{", "m.md:4:2#A", "syntax", "ends before all brackets are closed"),
        ('{\n  "x": "any",\n}', "m.md:5:13#A", "syntax", "the last comma before } stands for"),
        ('{"x": ["any",]}', "m.md:4:13#A", "syntax", "the last comma before ] stands for"),
        ('{"x": "any" // y\n}', "m.md:4:13#A", "syntax", "it has no comments"),
        ('{/* y */ "x": "any"}', "m.md:4:2#A", "syntax", "it has no comments"),
        ('# y\n{"x": "any"}', "m.md:4:1#A", "syntax", "it has no comments"),
        ("{'x': 'any'}", "m.md:4:2#A", "syntax", "stands between double quotes, not '"),
        ('{"x": \u201cany\u201d}', "m.md:4:7#A", "syntax", "stands between double quotes"),
        ('{x: "any"}', "m.md:4:2#A", "syntax", 'stands between double quotes: "x"'),
        ('{"x": string}', "m.md:4:7#A", "syntax", 'stands between double quotes: "string"'),
        ('{"x": NaN}', "m.md:4:7#A", "syntax", '"NaN"'),
        ('{"x" "any"}', "m.md:4:6#A", "syntax", 'a colon is missing after "x"'),
        ('{"x": }', "m.md:4:7#A", "syntax", "a value is missing"),
        ("{5: 5}", "m.md:4:2#A", "syntax", "a key is missing"),
        ('{"x": "any"\n "y": "any"}', "m.md:5:2#A", "syntax", "a comma is missing"),
        ('{"x": ["any"}', "m.md:4:13#A", "syntax", "] is missing"),
        ('{"x": "any"} {}', "m.md:4:14#A", "syntax", "one block is one object"),
        ('{"x": "a\nb"}', "m.md:4:7#A", "syntax", "not closed on its line"),
        ('{"x": "\\q"}', "m.md:4:7#A", "syntax", "a backslash that means nothing"),
        ('{"x":\u00a0"any"}', "m.md:4:6#A", "syntax", '"\\u00a0" means nothing here'),
        ('{"x": "\\ud800"}', "m.md:4:7#A", "encoding", "half of a surrogate pair"),
        ('{"x": ' * 16 + "1", "m.md:4:97#A", "depth", "nests deeper than 16 levels"),
        ("[" * 100_000, "m.md:4:17#A", "depth", "nests deeper than 16 levels"),
        ('{"x": "any",\n\n "x": "any"}', "m.md:6#A.x", "duplicate-key", "is already in line 4;"),
        ('{"x": "any",\n "\\u0078": "any"}', "m.md:5#A.x", "duplicate-key", "in line 4;"),
        ('{"x": "any",\n "x?": "any"}', "m.md:5#A.x", "duplicate-key", 'in line 4 as "x"'),
        ('{"x": "any",\n "X": "any"}', "m.md:5#A.X", "duplicate-key", 'in line 4 as "x"'),
        ('{"a b": "any"}', "m.md:4#A", "field", '"a b" is no name of a field'),
        ('{"[key]": "any"}', "m.md:4#A", "field", '"[key]" is no name of a field'),
        ('{"?": "any"}', "m.md:4#A", "field", '"?" is no name of a field'),
        ('{"x": [{"y": 1}]}', "m.md:4#A.x[].y", "value", "1 is a value"),
        ('{"x": {"y?": [["int"]]}}', "m.md:4#A.x.y[][]", "type", '"integer"'),
    ],
)
def test_a_block_that_is_no_plain_object_is_refused(
    text: str, where: str, rule: str, words: str
) -> None:
    """There is one finding, where it is wrong, with the cure."""
    (finding,) = check_models(block(text), "m.md").findings

    assert (where, rule) == (finding.where, finding.rule)
    assert words in whole(finding)


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize(
    ("text", "where", "rule", "words"),
    [
        ("", "m.md", "no-model", 'write a heading like "## Citation"'),
        ("# Title\n\nText.\n", "m.md", "no-model", "has no model"),
        (MODEL[:-1], "m.md:7", "end", "is the file written to its end?"),
        (f"{MODEL}More", "m.md:8", "end", "is the file written to its end?"),
        (MODEL[:-4], "m.md:3", "fence", "is never closed; is the file written to its end?"),
        (f"{MODEL}## B\n\nText.\n", "m.md:8#B", "no-block", "has no ```json block; give it one"),
        (MODEL.replace("```json", "```"), "m.md:1#A", "no-block", "has no ```json block"),
        (f"{MODEL}```json\n{{}}\n```\n", "m.md:8#A", "second-block", "the first is in line 3"),
        (MODEL + MODEL, "m.md:8#A", "duplicate-model", "is already in line 1;"),
        (
            MODEL.replace("A", "Ab") + MODEL.replace("A", "AB"),
            "m.md:8#AB",
            "duplicate-model",
            "as",
        ),
        (MODEL.replace("A", "Date"), "m.md:1#Date", "name", 'is called like the type "date"'),
        (MODEL[5:], "m.md:2", "heading", 'below no heading; write "## Name" above it'),
        (
            MODEL.replace("##", "#"),
            "m.md:3",
            "heading",
            'below "# A", no model\'s name; write "## A"',
        ),
        (MODEL.replace("##", "###"), "m.md:3", "heading", 'write "## A" above it'),
        (MODEL.replace("A", "an answer"), "m.md:3", "heading", 'write "## AnAnswer" above it'),
        (MODEL.replace("A", "`A`"), "m.md:3", "heading", 'write "## A" above it'),
        (
            MODEL + MODEL.replace("A", "Notes, again"),
            "m.md:10",
            "heading",
            "mark an example as ```text",
        ),
        (f"{MODEL}##\n", "m.md:8", "heading", "is a heading without a text"),
        (f"{MODEL}#\n", "m.md:8", "heading", "is a heading without a text"),
        (MODEL.replace("## A", "##A"), "m.md:1", "heading", 'to some readers; write "## A"'),
        (MODEL.replace("## A", "## A ##"), "m.md:1", "heading", 'to some readers; write "## A"'),
        (f"  {MODEL}", "m.md:1", "heading", 'to some readers; write "## A"'),
        (MODEL.replace("## A", "A\n---"), "m.md:2", "heading", 'write "## A", or leave a line'),
        (MODEL.replace("## A", "A\n="), "m.md:2", "heading", 'write "## A", or leave a line'),
        (f"{MODEL}===\n==\n", "m.md:9", "heading", '"==" makes a heading of the text above'),
        (MODEL.replace("json", "jsonc"), "m.md:3", "fence", "a model's begins with ```json"),
        (MODEL.replace("json", "JSON"), "m.md:3", "fence", "a model's begins with ```json"),
        (MODEL.replace("json", " json"), "m.md:3", "fence", "a model's begins with ```json"),
        (MODEL.replace("json", "json title=x"), "m.md:3", "fence", "an example's with ```text"),
        (MODEL.replace("```", "~~~"), "m.md:3", "fence", 'with "~~~json"; a model\'s begins with'),
        (MODEL.replace("```json", "  ```json"), "m.md:3", "fence", "beginning of its line"),
        (MODEL.replace("```json", "- ```json"), "m.md:3", "fence", "beginning of its line"),
        (MODEL.replace("```", "> ```"), "m.md:3", "fence", "beginning of its line"),
        (MODEL.replace("\n", "\n> ")[:-2], "m.md:3", "fence", "beginning of its line"),
        (MODEL.replace("```json", "    ```json"), "m.md:3", "fence", "for some readers only"),
        (MODEL.replace("}\n```", "}\n  ```"), "m.md:7", "fence", "ends a block for some readers"),
        (MODEL.replace("```json", "````json"), "m.md:3", "fence", "is never closed"),
        (MODEL[:-4] + OTHER, "m.md:10", "fence", "within that of line 3; close that one first"),
        (f"<!--\n{MODEL}-->\n", "m.md:1", "html", "HTML, which may hide what follows"),
        (f"{MODEL}<details>\n", "m.md:8", "html", "HTML, which may hide what follows"),
        (MODEL.replace("\n", "\r\n"), "m.md:1", "character", "7 line(s) that end in CRLF; save"),
        (MODEL.replace("{\n", "{\r\n"), "m.md:4", "character", "1 line(s) that end in CRLF; save"),
        (f"\ufeff{MODEL}", "m.md:1", "character", "byte order mark(s); save the file as UTF-8"),
        (MODEL.replace("  ", "\t"), "m.md:5", "character", "1 tab(s); write blanks"),
        (f"{MODEL}\0\0\n", "m.md:8", "character", "2 character(s) U+0000, which nobody sees"),
        (f"{MODEL}a\rb\n", "m.md:8", "character", "1 character(s) U+000D"),
        (f"{MODEL}\x85\n", "m.md:8", "character", "U+0085"),
        (f"{MODEL}a\u2028b\n", "m.md:8", "character", "U+2028"),
    ],
)
def test_a_page_that_readers_could_see_differently_is_refused(
    text: str, where: str, rule: str, words: str
) -> None:
    """There is one finding, with the line, and with what to write instead."""
    (finding,) = check_models(text.encode(), "m.md").findings

    assert (where, rule) == (finding.where, finding.rule)
    assert words in whole(finding)


@pytest.mark.parametrize(
    ("data", "where", "rule", "words"),
    [
        (f"{MODEL}Größe\n".encode("latin-1"), "m.md:8", "encoding", "save the file as UTF-8"),
        (
            MODEL.encode("utf-16"),
            "m.md:1",
            "encoding",
            "is not UTF-8: invalid start byte at byte 0",
        ),
        (MODEL.encode() + b"\xc3", "m.md:8", "encoding", "unexpected end of data"),
        (MODEL.encode() + b"x" * MAX_BYTES, "m.md", "size", f"at most {MAX_BYTES} are read"),
    ],
)
def test_bytes_that_are_no_page_are_refused(data: bytes, where: str, rule: str, words: str) -> None:
    """What cannot be read at all has one finding."""
    (finding,) = check_models(data, "m.md").findings

    assert (where, rule) == (finding.where, finding.rule)
    assert words in whole(finding)


@pytest.mark.parametrize(
    "text",
    [
        f"# Models\n\nText with `code`, <b>HTML</b> and <https://x.example>.\n\n{MODEL}",
        f"{MODEL}\n### Notes\n\n- a\n\n---\n---\n\n| a | b |\n|---|---|\n\n## How to read this\n",
        f"{MODEL}```text\n## Not a heading\n```\n~~~\n```json\n~~~\n```python\n# neither\n```\n",
        f"````markdown\n{OTHER}````\n{MODEL}",
        f"{MODEL}    ## indented\n    text\n\\## escaped\n```` ```json ```` is how it begins.\n",
        f"Text.\n## A title\n---\n####### Seven signs\n## In C#\n{MODEL}",
        f"{MODEL}```text\n- ```\n> ```\n```\n",
        MODEL.replace("\n\n", "\n").replace("## A", "##  A  "),
        MODEL.replace("## A", "## A\nText below.\n\nMore.") + "\n\n\n",
        MODEL.replace("```", "````"),
    ],
)
def test_free_text_stands_between_the_models(text: str) -> None:
    """What no reader takes for a model is not read as one."""
    assert ["A"] == list(definitions(text.encode()))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Findings come in the order of the page, so that one attempt can mend them all."""
    text = (
        '\ufeff## A\n```json\n{"a": "strng", "b": 1,\n "b?": ["string", "B"]}\n```\n'
        '# B\n```json\n{"c": "A", "d": "Bb | intger"}\n```\n'
        '## C\n```json\n{"e": "B",}\n```\n'
        "## D\n##E\n```json\n{}\n```\n"
    )

    assert [
        ("m.md:1", "character"),
        ("m.md:3#A.a", "type"),
        ("m.md:3#A.b", "value"),
        ("m.md:4#A.b", "duplicate-key"),
        ("m.md:4#A.b", "list"),
        ("m.md:7", "heading"),
        ("m.md:8#B.d", "model"),
        ("m.md:8#B.d", "type"),
        ("m.md:12:10#C", "syntax"),
        ("m.md:14#D", "no-block"),
        ("m.md:15", "heading"),
        ("m.md:17#E", "empty"),
    ] == told(text.encode())


def test_a_mistake_is_told_once() -> None:
    """A heading or block that is wrong still defines its model, so others may refer to it."""
    text = (
        '# A\n```json\n{"x": "B"}\n```\n## B\n```jsonc\n{"x?": "A"}\n```\n'
        '## C\n```json\n{"x": "A"}\n## D\n```json\n{"x": "B | C | D"}\n```\n'
    )

    assert [("m.md:2", "heading"), ("m.md:6", "fence"), ("m.md:13", "fence")] == told(text.encode())


def test_a_page_with_too_many_mistakes_has_an_end() -> None:
    """After a hundred findings, one says that there are more."""
    fields = ",\n".join(f'"f{number}": 1' for number in range(MAX_FINDINGS))
    enough = check_models(block(f"{{{fields}}}"), "m.md").findings
    more = check_models(block(f'{{{fields},\n"g": 1}}'), "m.md").findings

    assert ["value"] * MAX_FINDINGS == [finding.rule for finding in enough]
    assert list(enough) == list(more[:-1])
    assert ("m.md", "more") == (more[-1].where, more[-1].rule)


@pytest.mark.parametrize(
    "text",
    [
        "```json\n" * 100_000,
        "> " * 400_000,
        block(f'{{"x": "{"[" * 900_000}"}}').decode(),
        block(f'{{"x": "number {"1." * 450_000}"}}').decode(),
        block(f'{{"x": "a {"[x " * 300_000}y"}}').decode(),
        block('{"x": "' + '\\"' * 450_000 + "}").decode(),
    ],
    ids=["fences", "quotations", "brackets", "digits", "lists", "escapes"],
)
def test_a_hostile_page_is_refused_in_no_time(text: str) -> None:
    """A megabyte of what has to be tried again and again has a verdict."""
    assert not check_models(text.encode(), "m.md").passed


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text("#A \n`json~{}[]\":,|'.?-<>01\t\r\0é", max_size=80).map(str.encode)
    | st.text("string null date low A B[]|'.01-? ,", max_size=40).map(json.dumps).map(page)
)
def test_reading_never_raises(data: bytes) -> None:
    """Whatever the bytes, there is a verdict, and a document only if it passed."""
    document, verdict = read_models(data, "m.md")

    assert verdict.passed == (document is not None)


# ---------------------------------------------------------------- any page


@settings(max_examples=40, deadline=None)
@given(pages(), st.data())
def test_any_models_mean_what_they_say(models: Models, data: st.DataObject) -> None:
    """What is accepted is what somebody who knows nothing of JSON Schema would accept."""
    document, _ = read_models(rendered(models), "m.md")
    model = data.draw(st.sampled_from(sorted(models)))
    value = data.draw(values(models[model], models))

    assert check_json(value, document, "v", definition=model).passed == fits(
        models[model], value, models
    )


@settings(max_examples=100, deadline=None)
@given(rings())
def test_models_that_never_end_are_found(models: Models) -> None:
    """Of models that need each other, refused are those no value can be complete of."""
    endless = [name for name in models if not is_complete(models, name)]

    findings = check_models(rendered(models), "m.md").findings

    assert ["endless"] * len(endless) == [finding.rule for finding in findings]
    assert endless == [re.split(r"[#.]", finding.where)[2] for finding in findings]


@settings(max_examples=15, deadline=None)
@given(pages())
def test_a_file_that_is_not_written_to_its_end_is_no_other_file(models: Models) -> None:
    """Cut after any line, a page is refused, or has whole models that say the same."""
    text = rendered(models)
    whole = definitions(text)
    numbers = set()
    for end in re.finditer(b"\n", text):
        if check_models(text[: end.end()], "m.md").passed:
            part = definitions(text[: end.end()])
            assert part == {name: whole[name] for name in list(models)[: len(part)]}
            numbers.add(len(part))

    assert max(numbers) == len(models)


def test_no_beginning_of_the_seeds_page_is_taken_for_all_of_it() -> None:
    """Cut at any byte, it is refused unless every model that was begun has its whole block."""
    data = SEED.read_bytes()
    for end in range(len(data)):
        start = data[:end].decode()
        begun, done = start.count("\n## "), start.count("\n}\n```\n")
        complete = start.endswith("\n") and begun == done > 0

        assert check_models(data[:end], "m.md").passed == complete, start[-40:]


@settings(max_examples=15, deadline=None)
@given(pages())
def test_the_schema_of_any_models_is_written_in_one_way(models: Models) -> None:
    """Its bytes are the same each time, are what was read, and keep the order of the page."""
    text = rendered(models)
    written, verdict = schema_bytes(text, "docs/m.md")
    document, _ = read_models(text, "elsewhere/m.md")

    assert verdict.passed
    assert (written, verdict) == schema_bytes(text, "m.md")
    assert json.dumps(document) == json.dumps(json.loads(written))
    assert list(models) == list(json.loads(written)["$defs"])


# ---------------------------------------------------------------- the generated file


def test_the_generated_file_says_what_it_is() -> None:
    """It is draft 2020-12, names its source, and carries the digest of it."""
    written, _ = schema_bytes(b"Text.\n\n" + MODEL.encode(), "docs/contracts/shared-models.md")

    assert (
        written.decode()
        == """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$comment": "Generated from shared-models.md by `python -m pytest_orchestrator models`; \
edit the page, not this file.",
  "title": "shared-models",
  "$defs": {
    "A": {
      "type": "object",
      "properties": {
        "x": {
          "type": "string"
        }
      },
      "required": [
        "x"
      ]
    }
  },
  "x-source-sha256": "cc317a4f2ca52c9fabc6fe5e2ea6e1214f3f630425c60b56ff52ca8ad302372a"
}
"""
    )


def test_the_generated_file_is_utf8() -> None:
    """What is no ASCII is written as it is."""
    written, _ = schema_bytes(page("\"'é' | b\""), "m.md")

    assert '"é",' in written.decode()


def test_nothing_is_generated_from_a_page_that_is_refused() -> None:
    """There are no bytes, and the findings say why."""
    written, verdict = schema_bytes(MODEL[:-1].encode(), "m.md")

    assert (b"", False) == (written, verdict.passed)


def drift(source: bytes, generated: bytes | None) -> list[tuple[str, str, str]]:
    """What is found, with the file it is found in."""
    verdict = check_drift(source, generated, "docs/m.md", "docs/m.schema.json")
    return [(finding.where, finding.rule, whole(finding)) for finding in verdict.findings]


def test_a_generated_file_has_no_drift() -> None:
    """What was generated from a page goes with it."""
    source = MODEL.encode()

    assert drift(source, schema_bytes(source, "elsewhere/m.md")[0]) == []


def test_a_file_that_is_missing_is_drift() -> None:
    """The finding has the command that generates it."""
    ((where, rule, what),) = drift(MODEL.encode(), None)

    assert ("docs/m.schema.json", "missing") == (where, rule)
    assert f"`{COMMAND} docs/m.md`" in what


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (b'"type": "string"', b'"type": "number"', 10, 'not \'          "type": "string"\''),
        (b'"A"', b'"B"', 6, "it says '    \"B\": {', not '    \"A\": {'"),
        (b"\n", b"\r\n", 1, r"it says '{\r', not '{'"),
        (b"  ", b"\t", 2, r"\t"),
        (b'},\n  "x-', b'}, "x-', 17, "not '  },'"),
        (b"title", b"t\xfftle", 4, r"\\xff"),
        (schema_bytes(MODEL.encode(), "m.md")[0], b"", 1, "it says '', not '{'"),
    ],
)
def test_a_file_that_was_edited_is_drift(old: bytes, new: bytes, line: int, words: str) -> None:
    """The finding names the first line that differs, both texts, and the command that mends it."""
    source = MODEL.encode()
    generated, _ = schema_bytes(source, "m.md")

    ((where, rule, what),) = drift(source, generated.replace(old, new))

    assert (f"docs/m.schema.json:{line}", "drift") == (where, rule)
    assert words in what
    assert f"do not edit it, generate it: `{COMMAND} docs/m.md`" in what


@pytest.mark.parametrize(
    ("change", "words"), [(b"", "it ends too early"), (b"\n\n", "it goes on after its end")]
)
def test_a_file_with_another_end_is_drift(change: bytes, words: str) -> None:
    """A line feed more or less is a difference."""
    generated, _ = schema_bytes(MODEL.encode(), "m.md")

    ((_, rule, what),) = drift(MODEL.encode(), generated[:-1] + change)

    assert rule == "drift"
    assert words in what


def test_one_character_is_drift() -> None:
    """Wherever one is changed, in the page or in the file, it is found."""
    source = MODEL.encode()
    generated, _ = schema_bytes(source, "m.md")

    for at in range(len(source)):
        assert drift(source[:at] + b"q" + source[at + 1 :], generated)
    for at in range(len(generated)):
        assert drift(source, generated[:at] + b"~" + generated[at + 1 :])


def test_drift_of_a_page_that_is_refused_is_not_looked_for() -> None:
    """The page comes first: only what is wrong with it is told."""
    assert [("docs/m.md:7", "end")] == [found[:2] for found in drift(MODEL[:-1].encode(), b"")]


def test_the_seeds_page_has_no_schema_of_its_own() -> None:
    """The solution is the page alone: the schema is made of it, and has no other author."""
    check_models(SEED.read_bytes(), SEED.name).raise_for_findings()

    assert [SEED] == list(SEED.parent.iterdir())


def test_the_reference_shows_what_is_read_and_what_is_found() -> None:
    """Its first page has no findings, its second those it says."""
    right, wrong = re.findall(r"^````markdown\n(.*?)^````$", REFERENCE, re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^```text\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)[-1]

    check_models(right.encode(), "m.md").raise_for_findings()
    found = check_models(wrong.encode(), "shared-models.md").findings

    assert [str(finding) for finding in found] == shown.splitlines()


@pytest.mark.parametrize("row", re.findall(r'^\| `"(.*?)` \|', REFERENCE, re.MULTILINE))
def test_the_reference_writes_fields_as_they_are_read(row: str) -> None:
    """Every example of a field is one."""
    written = row.replace("\\|", "|")

    assert told(block(f'{{"{written}}}') + MODEL.replace("A", "Citation").encode()) == []
