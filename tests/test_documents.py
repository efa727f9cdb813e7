"""Reading documents: what is read, what is refused, and where."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._checks import read_document

# Characters that YAML takes for themselves between double quotes.
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32) | PLAIN
FINITE = SCALARS.filter(lambda value: value not in (float("inf"), float("-inf")))
VALUES = st.recursive(
    FINITE,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(PLAIN, below, max_size=4),
    max_leaves=12,
)

LAUGHS = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c]\n" % (name, name, name - 1, name - 1) for name in range(ord("b"), ord("z"))
)

REFUSED = [
    # JSON
    (b'{"a": 1,\n "a": 2}', "c.json:2:2", "duplicate-key"),
    (b'{"a": {"b": 1, "\\u0062": 2}}', "c.json:1:16", "duplicate-key"),
    (b'{"a": NaN}', "c.json:1:7", "number"),
    (b'{"a": [-Infinity]}', "c.json:1:8", "number"),
    (b'{"a": 1e999}', "c.json:1:7", "number"),
    (b'{"a": ' + b"9" * 5000 + b"}", "c.json:1:7", "number"),
    (b'{"a": "\\ud800"}', "c.json:1:7", "encoding"),
    (b'{"a": 1,}', "c.json:1:9", "syntax"),
    (b'{"a": ', "c.json:1:7", "syntax"),
    (b"a: 1", "c.json:1:1", "syntax"),
    (b'{"a": "\xff"}', "c.json", "encoding"),
    (b"[" * 10_000, "c.json:1:101", "depth"),
    (b'{"a":' * 10_000, "c.json:1:501", "depth"),
    (b'"' + b" " * 5_000_000, "c.json", "size"),
    # YAML
    (b"a: 1\na: 2", "c.yaml:2:1", "duplicate-key"),
    (b"a: 1\n'a': 2", "c.yaml:2:1", "duplicate-key"),
    (b"a: .nan", "c.yaml:1:4", "number"),
    (b"a: [1, -.inf]", "c.yaml:1:8", "number"),
    (b"a: 1e999", "c.yaml:1:4", "number"),
    (b"a: " + b"9" * 5000, "c.yaml:1:4", "number"),
    (b"a: &x 1", "c.yaml:1:4", "alias"),
    (b"a: *x", "c.yaml:1:4", "alias"),
    (LAUGHS, "c.yaml:1:4", "alias"),
    (b"a: &a [*a]", "c.yaml:1:4", "alias"),
    (b"a: !!python/object/apply:os.getcwd []", "c.yaml:1:4", "tag"),
    (b"a: !!str 1", "c.yaml:1:4", "tag"),
    (b"a:\n  <<: {b: 1}", "c.yaml:2:3", "merge-key"),
    (b"? [a]\n: 1", "c.yaml:1:3", "key"),
    (b"a: 1\n---\nb: 2", "c.yaml:2:1", "syntax"),
    (b"a: b: c", "c.yaml:1:5", "syntax"),
    (b"a: \x00", "c.yaml:1:4", "syntax"),
    (b"# nothing\n", "c.yaml", "syntax"),
    (b"", "c.yaml", "syntax"),
    (b"a: \xff", "c.yaml", "encoding"),
    (b"- " * 10_000, "c.yaml:1:201", "depth"),
    (b"a: " + b"[" * 500, "c.yaml:1:103", "depth"),
    (b"# " + b" " * 5_000_000, "c.yaml", "size"),
]


@pytest.mark.parametrize(
    ("data", "where", "rule"), REFUSED, ids=[f"{w}-{r}" for _, w, r in REFUSED]
)
def test_what_a_contract_must_not_have_is_refused_where_it_stands(
    data: bytes, where: str, rule: str
) -> None:
    """A refused document is no document, and one finding says where and why."""
    document, verdict = read_document(data, where.partition(":")[0])

    assert document is None
    assert [(where, rule)] == [(f.where, f.rule) for f in verdict.findings]
    assert all(f.cure for f in verdict.findings)


def test_yaml_says_what_json_says() -> None:
    """The same contract in both notations is the same document."""
    expected = {"a": [1, 2.5, None, True, "x"], "b": {"200": "ok"}}

    in_yaml, _ = read_document(b"a: [1, 2.5, null, true, x]\nb:\n  200: ok\n", "c.yaml")
    in_json, _ = read_document(json.dumps(expected).encode(), "c.json")

    assert expected == in_yaml == in_json


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2026-01-31", "2026-01-31"),
        ("12:30", "12:30"),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("'1'", "1"),
        ("~", None),
        ("", None),
        ("3.1.0", "3.1.0"),
    ],
)
def test_yaml_is_read_by_the_core_schema(written: str, meant: object) -> None:
    """What YAML 1.1 makes of ``no`` or of a date is not made of it here."""
    document, verdict = read_document(f"a: {written}".encode(), "c.yaml")

    assert verdict.passed
    assert isinstance(document, dict)
    assert (type(meant), meant) == (type(document["a"]), document["a"])


def test_a_document_that_begins_like_json_is_not_tried_as_yaml() -> None:
    """A trailing comma is YAML, but whoever reads the contract as JSON would fail."""
    _, verdict = read_document(b'\n  {"a": 1,}', "contract")

    assert [f.rule for f in verdict.findings] == ["syntax"]


def test_a_hundred_thousand_brackets_are_refused_in_both_notations() -> None:
    """Nobody's stack ends, in whatever way the vendor's parser reads ahead."""
    for name in ("c.json", "c.yaml"):
        _, verdict = read_document(b"a: " * (name == "c.yaml") + b"[" * 100_000, name)

        assert ["depth"] == [f.rule for f in verdict.findings]


def test_null_is_a_document() -> None:
    """``None`` alone does not mean that a document was refused."""
    assert read_document(b"null", "c.json")[1].passed


def test_the_deepest_document_that_is_allowed_is_read() -> None:
    """A hundred levels are read; the next one is refused."""
    data = b"[" * 100 + b"]" * 100

    assert read_document(data, "c.json")[1].passed
    assert read_document(b"# yaml\n" + data, "c.yaml")[1].passed
    assert not read_document(b"[" + data + b"]", "c.json")[1].passed
    assert not read_document(b"# yaml\n[" + data + b"]", "c.yaml")[1].passed


def test_a_string_that_never_ends_costs_one_pass() -> None:
    """Two million escaped quotes are refused; tried from each quote anew, that took hours."""
    _, verdict = read_document(b'{"' + b'\\"' * 1_000_000, "c.json")

    assert [f.rule for f in verdict.findings] == ["syntax"]


@given(VALUES)
def test_reading_gives_back_what_was_written(value: object) -> None:
    """Every JSON value is read as itself, by way of JSON and by way of YAML."""
    text = json.dumps(value, ensure_ascii=False)

    by_json, _ = read_document(text.encode(), "c.json")
    by_yaml, _ = read_document(f"# JSON is YAML\n{text}".encode(), "c.yaml")

    assert json.dumps(value) == json.dumps(by_json)
    assert value == by_yaml


@given(st.dictionaries(PLAIN, VALUES, min_size=1, max_size=4), st.data())
def test_a_file_that_is_not_written_to_its_end_is_refused(
    value: dict[str, object], data: st.DataObject
) -> None:
    """No beginning of a JSON object is a document."""
    text = json.dumps(value).encode()
    end = data.draw(st.integers(0, len(text) - 1))

    assert not read_document(text[:end], "c.json")[1].passed


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text("[]{}\":,-&*!?|>#'\n 01ea\\", max_size=60).map(str.encode))
def test_reading_never_raises(data: bytes) -> None:
    """Whatever the bytes, there is a verdict, and a document only if it passed."""
    for name in ("c.json", "c.yaml"):
        document, verdict = read_document(data, name)

        assert verdict.passed or document is None


def test_importing_the_checks_loads_no_vendor() -> None:
    """A session that checks nothing does not pay for it."""
    code = (
        "import sys, pytest_orchestrator._checks\n"
        "heavy = {'yaml', 'jsonschema', 'referencing', 'openapi_spec_validator', 'httpx',\n"
        "  'jsonschema_rs'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )

    assert (0, "") == (done.returncode, done.stderr)
