"""Contracts nobody has vouched for: judged as a whole, with places, within bounds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestrator._checks.confined.process import NOT_JUDGED, Limits, check_contract
from pytest_orchestrator._checks.confined.verdicts import MAX_FINDINGS, judge
from pytest_orchestrator._checks.contracts import PublishedContract
from pytest_orchestrator._checks.nodes import follow, join
from pytest_orchestrator._checks.reading.bundle import read_bundle
from pytest_orchestrator._checks.reading.lines import json_lines, yaml_lines
from pytest_orchestrator._checks.reading.yaml_reader import parse_yaml
from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator.errors import GateFailed
from tests.openapi_documents import ASK, BODY, GONE, VERSIONS, a_contract, planted

SECRET = "the-silver-of-the-house"  # noqa: S105 - nobody's
SLOW = r"^((a|aa)+)+\2x$"


def judged(root: Path, path: str = "c.json", *operations: str) -> tuple[Finding, ...]:
    """The findings, without a process of their own."""
    return judge(root, path, None, operations, lambda _: None).verdict.findings


def written(root: Path, document: object, path: str = "c.json") -> Path:
    """A folder with a document in it."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1))
    return root


# ---------------------------------------------------------------- places


def test_a_finding_has_file_line_pointer_rule_and_cure(tmp_path: Path) -> None:
    """Whoever reads it knows where to look and what to write."""
    (tmp_path / "c.yaml").write_text(
        'openapi: "3.1.0"\n'
        "info: {title: A, version: '1'}\n"
        "paths:\n"
        "  /items/{id}:\n"
        "    get:\n"
        "      responses:\n"
        "        200: {description: One.}\n"
    )

    (finding,) = check_contract(tmp_path, "c.yaml").findings

    assert "c.yaml:5#/paths/~1items~1{id}/get" == finding.where
    assert "path-parameter" == finding.rule
    assert "declare it in parameters, in: path" == finding.cure


def test_findings_come_by_file_and_line(tmp_path: Path) -> None:
    """People mend a file from its top to its end."""
    document = planted(a_contract(), f"{ASK}/operationId", "health")
    document = planted(document, "/info/title", GONE)
    document = planted(document, "/paths/~1health/get/responses/200", {"$ref": "no.json"})

    lines = [int(f.where.split(":")[1].split("#")[0]) for f in judged(written(tmp_path, document))]

    assert 3 == len(lines)
    assert sorted(lines) == lines


def test_two_hundred_findings_are_enough(tmp_path: Path) -> None:
    """The last one says how many more there are."""
    document = a_contract()
    document["components"]["schemas"] |= {
        f"A{n}": {"enum": [], "type": "object"} for n in range(900)
    }

    findings = judged(written(tmp_path, document))

    assert MAX_FINDINGS + 1 == len(findings)
    assert "more" == findings[-1].rule


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | KEYS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


def pointers(value: Any, pointer: str = "") -> list[str]:
    """The pointer of every value in there."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    found = [pointer]
    for key, child in below:
        there = join(pointer, key)
        found += pointers(child, there) if isinstance(child, (dict, list)) else [there]
    return found


@given(st.lists(VALUES, max_size=3) | st.dictionaries(KEYS, VALUES, max_size=3))
def test_the_line_of_a_pointer_is_the_same_in_both_notations(value: Any) -> None:
    """JSON is YAML, and each key is on a line of its own here."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    lines: dict[int, list[int]] = {}
    document = parse_yaml(text, lines)
    wanted = pointers(value)

    by_json = json_lines(text, wanted)

    assert by_json == yaml_lines(document, lines, wanted)
    for pointer in wanted[1:]:
        key = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        line = text.split("\n")[by_json[pointer] - 1]
        if isinstance(follow(value, f"#{quote(pointer.rpartition('/')[0])}").value, dict):
            assert json.dumps(key, ensure_ascii=False) in line


# ---------------------------------------------------------------- several files


def test_a_contract_may_be_split_into_files_below_its_folder(tmp_path: Path) -> None:
    """The bundled document is of one piece, and as valid as the files."""
    document = planted(a_contract(), "/components/schemas/Answer", {"$ref": "sub/a.yaml#/Answer"})
    written(tmp_path, planted(document, f"{ASK}/responses/default", {"$ref": "problem.json"}))
    written(tmp_path, {"description": "A problem."}, "problem.json")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.yaml").write_text(
        "Answer: {type: object, properties:\n"
        "  {more: {$ref: '#/More~1'}, up: {$ref: '../c.json#/x-a'}}}\n"
        "More/: {type: array, items: {$ref: 'a.yaml#/Answer'}}\n"
    )
    written(tmp_path, json.loads((tmp_path / "c.json").read_text()) | {"x-a": {"type": "string"}})

    bundle, verdict = read_bundle(tmp_path, "c.json")

    assert bundle is not None
    assert verdict.passed
    assert () == judged(tmp_path)
    assert {"sub/a.yaml", "problem.json"} == set(bundle.document["x-files"])  # type: ignore[index]
    text = json.dumps(bundle.document)
    assert '"#/x-files/sub~1a.yaml/More~1"' in text
    assert '"#/x-files/problem.json"' in text


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_wrong_in_another_file_is_told_there(tmp_path: Path, version: str) -> None:
    """The file, its line, and the place in it; whatever kind of part it is."""
    answer = "/components/schemas/Answer/properties/follow_ups"
    document = planted(a_contract(version), answer, {"$ref": "sub/a.json#/A"})
    document = planted(document, f"{ASK}/responses/default", {"$ref": "sub/a.json#/R"})
    written(tmp_path, document)
    written(tmp_path, {"A": {"type": "strng", "default": 1}, "R": {"description": 5}}, "sub/a.json")

    findings = judged(tmp_path)

    assert [("sub/a.json:3#/A/type", "enum"), ("sub/a.json:7#/R/description", "type")] == [
        (f.where, f.rule) for f in findings
    ]


OUTSIDE = [
    "../secret.json",
    "sub/../../secret.json",
    "..%2fsecret.json",
    "%2e%2e/secret.json",
    "link.json",
    "folder/secret.json",
    "pipe.json",
    "sub",
    "sub.json",
    "locked.json",
    "missing.json",
    "a.txt",
    "a\x00.json",
    "large.json",
]
ELSEWHERE = [
    "/etc/passwd",
    "file:///etc/passwd",
    "http://127.0.0.1:9/a.json",
    "//127.0.0.1/a.json",
    "data:application/json,{}",
    "C:\\secret.json",
    "..\\secret.json",
    "a.json?b",
    "http://[",
]


@pytest.mark.parametrize("reference", OUTSIDE + ELSEWHERE)
def test_a_reference_never_leads_out_of_the_folder(tmp_path: Path, reference: str) -> None:
    """One finding tells its place and a cure, and nothing of what stands outside."""
    root = tmp_path / "contracts"
    written(root, planted(a_contract(), f"{BODY}/$ref", f"{reference}#/a"))
    secret = tmp_path / "secret.json"
    secret.write_text(f'{{"a": {SECRET}')
    (root / "link.json").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.json")
    (root / "sub.json").mkdir()
    (root / "locked.json").touch(mode=0)
    (root / "a.txt").write_text(SECRET)
    (root / "large.json").write_bytes(b" " * 5_000_001)
    if reference == "locked.json" and os.access(root / "locked.json", os.R_OK):
        pytest.skip("this user may read everything")

    findings = judged(root)

    assert [f"{BODY}/$ref"] == [f.where.partition("#")[2] for f in findings]
    assert findings[0].rule in {"ref-file", "ref-external"}
    assert findings[0].cure
    assert SECRET not in str(findings)


def test_a_file_that_is_no_document_is_told_with_its_own_line(tmp_path: Path) -> None:
    """The reference to it is told, too, but not that it leads nowhere."""
    written(tmp_path, planted(a_contract(), f"{BODY}/$ref", "a.json#/b"))
    (tmp_path / "a.json").write_text('{"b":\n }')

    assert ["ref-file", "syntax"] == [f.rule for f in judged(tmp_path)]


def test_no_more_than_fifty_files_are_read(tmp_path: Path) -> None:
    """A chain of files that never ends is cut."""
    written(tmp_path, planted(a_contract(), f"{BODY}/$ref", "f0.json"))
    for number in range(60):
        written(tmp_path, {"$ref": f"f{number + 1}.json"}, f"f{number}.json")

    findings = judged(tmp_path)

    assert ["f48.json:2#/$ref"] == [f.where for f in findings if f.rule == "ref-file"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "missing", "large", "locked", "../c"])
def test_a_contract_that_cannot_be_read_is_not_judged(tmp_path: Path, kind: str) -> None:
    """Whatever stands in its place, the finding comes at once and says that nobody knows."""
    root = tmp_path / "root"
    root.mkdir()
    written(tmp_path, a_contract())
    (root / "link").symlink_to(tmp_path / "c.json")
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    (root / "large").write_bytes(b" " * 6_000_000)
    (root / "locked").touch(mode=0)
    if kind == "locked" and os.access(root / kind, os.R_OK):
        pytest.skip("this user may read everything")

    (finding,) = check_contract(root, kind).findings

    assert finding.rule in NOT_JUDGED
    assert finding.where == kind
    assert finding.cure


# ---------------------------------------------------------------- the process


@pytest.mark.parametrize(
    ("vendor", "door"),
    [("jsonschema_rs", "evaluation"), ("yaml", "yaml_reader"), ("jsonschema", "schemas")],
)
def test_a_vendor_has_one_door(vendor: str, door: str) -> None:
    """Exactly one module imports it."""
    package = Path(check_contract.__code__.co_filename).parents[2]
    imports = re.compile(rf"^\s*(import|from) {vendor}\b", re.MULTILINE)

    assert [door] == [f.stem for f in package.rglob("*.py") if imports.search(f.read_text())]


def forever() -> dict[str, object]:
    """A contract with an example whose schema is never ready to be held against it."""
    schemas: dict[str, object] = {
        f"L{n}": {
            "anyOf": [{"$ref": f"#/components/schemas/L{n + 1}"}] * 2,
            "unevaluatedProperties": False,
        }
        for n in range(20)
    }
    schemas["L20"] = {"type": "string"}
    schemas["Top"] = {"$ref": "#/components/schemas/L0", "default": 5}
    return a_contract() | {"components": {"schemas": schemas}, "paths": {"/a": {}}}


def test_what_takes_for_ever_is_stopped_and_its_place_told(tmp_path: Path) -> None:
    """What is not evaluated doubles with every level, before anything is evaluated."""
    written(tmp_path, forever())
    began_s = time.monotonic()

    (finding,) = check_contract(tmp_path, "c.json", limits=Limits(wall_s=2.0)).findings

    assert "time" == finding.rule
    assert "the schemas of its examples" in finding.what
    assert 10 > time.monotonic() - began_s


def test_processor_time_is_bounded_as_well(tmp_path: Path) -> None:
    """A process that nobody waits for ends by itself."""
    written(tmp_path, forever())

    (finding,) = check_contract(tmp_path, "c.json", limits=Limits(wall_s=30, cpu_s=1)).findings

    assert "time" == finding.rule


@pytest.mark.skipif(sys.platform == "darwin", reason="its kernel does not bound memory")
def test_memory_is_bounded(tmp_path: Path) -> None:
    """A document that needs more is not judged, and the session goes on."""
    document = a_contract() | {"x-much": [[[]]] * 800_000}
    (tmp_path / "c.json").write_text(json.dumps(document, separators=(",", ":")))

    (finding,) = check_contract(
        tmp_path, "c.json", limits=Limits(memory_bytes=150_000_000)
    ).findings

    assert finding.rule in {"memory", "broken"}


def test_the_process_knows_nothing_of_pytest_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contract is judged the same whoever asks, and at little cost."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')")
    written(tmp_path, a_contract())
    code = (
        "import sys\n"
        "from pytest_orchestrator._checks.confined import child, verdicts\n"
        "from pytest_orchestrator._checks.rules import examples, official, own\n"
        "sys.exit(str({'pytest', 'httpx', 'pydantic', 'jsonschema'} & set(sys.modules)))"
    )

    told = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )

    assert "set()" == told.stderr.strip()
    assert check_contract(tmp_path, "c.json").passed


def test_the_module_is_a_program(tmp_path: Path) -> None:
    """Its request is JSON, and so is its answer."""
    request: dict[str, object] = {
        "root": str(tmp_path),
        "path": "a.md",
        "kind": None,
        "operations": [],
        "limits": {},
    }

    done = subprocess.run(
        [sys.executable, "-I", "-m", "pytest_orchestrator._checks.confined.child"],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=True,
    )

    assert "unreadable" == json.loads(done.stdout)["findings"][0][2]


def test_the_operations_of_the_runbook_are_asked_for(tmp_path: Path) -> None:
    """One that is missing is a finding like the others."""
    written(tmp_path, a_contract())

    (finding,) = check_contract(tmp_path, "c.json", operations=["GET /no"]).findings

    assert ("covers", "c.json:7#/paths") == (finding.rule, finding.where)


def test_shared_models_go_through_the_same_door(tmp_path: Path) -> None:
    """A page is told by its name, and its findings have lines and cures, too."""
    (tmp_path / "m.md").write_text('## A\n\n```json\n{\n  "x": "strng"\n}\n```\n')

    (finding,) = check_contract(tmp_path, "m.md").findings

    assert ("m.md:5#A.x", "type") == (finding.where, finding.rule)
    assert 'did you mean "string"?' == finding.cure


# ---------------------------------------------------------------- hostile


def test_diamonds_of_thirty_levels_are_judged(tmp_path: Path) -> None:
    """What all ways lead to is looked at once."""
    schemas: dict[str, object] = {
        f"L{n}": {
            "allOf": [{"$ref": f"#/components/schemas/{side}{n + 1}"} for side in "LR"],
            "properties": {f"p{n}": {"type": "string"}},
        }
        for n in range(30)
    }
    schemas |= {key.replace("L", "R"): value for key, value in schemas.items()}
    schemas |= {"L30": {"type": "object"}, "R30": {"type": "object", "required": ["a"]}}
    schemas["Top"] = {"allOf": [{"$ref": "#/components/schemas/L0"}], "example": {"p3": 5, "a": 1}}
    written(tmp_path, a_contract() | {"components": {"schemas": schemas}, "paths": {"/a": {}}})

    (finding,) = check_contract(tmp_path, "c.json").findings

    assert finding.where.endswith("#/components/schemas/Top/example/p3")


@pytest.mark.parametrize("member", ["default", "example"])
def test_a_slow_pattern_is_given_up_and_told(tmp_path: Path, member: str) -> None:
    """The search has a bound, and the finding says which value it was for."""
    schema = {"type": "string", "pattern": SLOW, member: "a" * 60 + "!"}
    written(tmp_path, planted(a_contract(), BODY, schema))

    (finding,) = check_contract(tmp_path, "c.json").findings

    assert ("slow-pattern", True) == (finding.rule, finding.where.endswith(f"{BODY}/{member}"))
    assert "a" * 90 not in finding.what


def test_a_key_as_long_as_a_file_is_cut(tmp_path: Path) -> None:
    """What is told fits on a page."""
    schemas = {"A" * 1_000_000: {f"a{number}": {"type": "no"} for number in range(20)}}
    written(tmp_path, a_contract() | {"components": {"x": 1, "responses": schemas}})

    findings = check_contract(tmp_path, "c.json").findings

    assert findings
    assert all(len(str(finding)) < 3000 for finding in findings)


HOSTILE: dict[str, bytes] = {
    "bomb.yaml": b"a: &a [x]\n" + b"".join(b"b%d: &b [*a,*a,*a]\n" % n for n in range(50)),
    "brackets.json": b"[" * 100_000,
    "brackets.yaml": b"a: " + b"[" * 100_000,
    "braces.yaml": b"{a: " * 100_000,
    "twice.yaml": b"paths: {}\npaths: {}\n",
    "nul.yaml": b"openapi: 3.1.0\0",
    "nul.json": b'{"openapi": "3.1.0\0"}',
    "utf16.json": '{"openapi": "3.1.0"}'.encode("utf-16"),
    "nan.json": b'{"openapi": NaN}',
    "infinite.yaml": b"openapi: .inf",
    "empty.json": b"",
    "binary.yaml": bytes(range(256)),
    "list.json": b"[]",
    "text.yaml": b"hello",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_finding(tmp_path: Path, name: str) -> None:
    """With a place and a cure, within seconds."""
    (tmp_path / name).write_bytes(HOSTILE[name])

    findings = check_contract(tmp_path, name).findings

    assert findings
    for finding in findings:
        assert finding.where.startswith(name)
        assert finding.cure
        assert finding.rule not in NOT_JUDGED
        assert len(str(finding)) < 700


def test_a_mark_of_byte_order_is_read_over(tmp_path: Path) -> None:
    """Some editors write one, and it means nothing."""
    (tmp_path / "c.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(a_contract()).encode())

    assert check_contract(tmp_path, "c.json").passed


@pytest.mark.parametrize("notation", ["json", "yaml"])
def test_a_file_cut_at_any_byte_never_breaks_the_judge(tmp_path: Path, notation: str) -> None:
    """A half-written file is a finding, or happens to be a document; never an accident."""
    document = a_contract()
    whole = json.dumps(document) if notation == "json" else yaml.safe_dump(document)
    for end in range(0, len(whole), 10):
        name = f"c.{notation}"
        (tmp_path / name).write_text(whole[:end])
        findings = judged(tmp_path, name)
        assert notation == "yaml" or findings
        assert all(f.rule not in NOT_JUDGED and f.cure for f in findings)


def test_a_status_is_a_text_in_yaml(tmp_path: Path) -> None:
    """``200:`` is the key "200", as it is in JSON."""
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(a_contract()).replace("'200':", "200:"))

    assert check_contract(tmp_path, "c.yaml", operations=["GET /health"]).passed


def test_thousands_of_mistakes_are_told_within_seconds(tmp_path: Path) -> None:
    """Each has names that are nearly right, and some are long."""
    document = a_contract()
    schemas = document["components"]["schemas"]
    for number in range(10_000):
        schemas[f"Model{number}"] = {"$ref": f"#/components/schemas/Modl{number}"}
    schemas["Long"] = {"$ref": "#/components/schemas/" + "M" * 1_000_000}
    document["security"] = [{f"no{number}": []} for number in range(10_000)]
    written(tmp_path, document)

    findings = check_contract(tmp_path, "c.json").findings

    assert [("more", "c.json")] == [(f.rule, f.where) for f in findings[200:]]


def test_the_same_contract_has_the_same_findings(tmp_path: Path) -> None:
    """Word for word, and in the same order, whatever seed the process has."""
    document = planted(a_contract(), BODY, {"$id": "a", "$anchor": "b", "$dynamicRef": "c"})
    document = planted(document, f"{ASK}/parameters", [{"in": "no"}, {}, 5])
    (tmp_path / "c.json").write_text(json.dumps(document))

    verdicts = [check_contract(tmp_path, "c.json") for _ in range(4)]

    assert verdicts[0].findings
    assert [verdicts[0]] * 4 == verdicts


def test_a_file_as_deep_as_is_read_may_be_embedded(tmp_path: Path) -> None:
    """A hundred levels are read, wherever they stand."""
    written(tmp_path, planted(a_contract(), f"{ASK}/responses/default", {"$ref": "deep.json"}))
    deep = '{"x-deep":' + "[" * 99 + "]" * 99 + ', "description": "A problem."}'
    (tmp_path / "deep.json").write_text(deep)

    assert () == judged(tmp_path)


def test_no_judge_is_left_behind(tmp_path: Path) -> None:
    """Many at once do not get in each other's way."""
    written(tmp_path, a_contract())
    verdicts: list[bool] = []

    def ask() -> None:
        verdicts.append(check_contract(tmp_path, "c.json").passed)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [True] * 4 == verdicts


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_judge_survives_any_mutation(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Whatever is planted wherever, each finding has a line, a rule and a cure."""
    document = a_contract(data.draw(st.sampled_from(VERSIONS)))
    pointer = data.draw(st.sampled_from(pointers(document)[1:]))
    broken = planted(document, pointer, data.draw(VALUES))
    root = written(tmp_path_factory.mktemp("mutated"), broken)

    for finding in judged(root):
        assert finding.where.startswith("c.json:")
        assert finding.rule
        assert finding.cure


# ---------------------------------------------------------------- as gates see them


def test_a_published_contract_is_checked_and_read_as_a_whole(tmp_path: Path) -> None:
    """Its folder is what its references may lead to."""
    folder = tmp_path / "docs/contracts"
    written(folder, planted(a_contract(), f"{ASK}/responses/default", {"$ref": "p.json"}))
    written(folder, {"description": "A problem."}, "p.json")
    contract = PublishedContract("core", "docs/contracts/c.json", tmp_path)

    assert contract.check(["GET /health"]).passed
    assert not contract.check(["GET /no"]).passed
    assert '"#/x-files/p.json"' in json.dumps(contract.document())

    written(tmp_path / "docs", {"a": 1}, "outside.json")
    written(folder, planted(a_contract(), f"{ASK}/responses/default", {"$ref": "../outside.json"}))
    with pytest.raises(GateFailed, match="leads out of the folder"):
        contract.document()


def test_a_contract_that_is_not_published_fails_its_gate(tmp_path: Path) -> None:
    """That nothing is there is told before anything else."""
    with pytest.raises(GateFailed, match="is not published"):
        PublishedContract("core", "docs/contracts/c.json", tmp_path).check()
