"""Documents that were made to break, stop or trick whoever judges them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pytest_orchestrator._checks import check_serves, read_document
from pytest_orchestrator._checks.confined.process import NOT_JUDGED, Limits, check_contract
from pytest_orchestrator._checks.confined.verdicts import judge
from pytest_orchestrator._checks.rules.faults import told
from tests.hostile_documents import (
    FILES,
    HARMLESS,
    HERE,
    IN_PLACE,
    MADE,
    SECRET,
    diamond,
    lay_out,
    schemas,
)
from tests.openapi_documents import a_contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.verdict import Finding

MAX_S = 5.0
CASES = {**FILES, **IN_PLACE, **{f"made/{name}": rules for name, (_, rules) in MADE.items()}}


@pytest.fixture(scope="module")
def server() -> Iterator[socket.socket]:
    """A server that nobody may ask; whoever did would wait in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, server: socket.socket) -> Path:
    """The folder of the contracts, with a secret around it."""
    return lay_out(tmp_path_factory.mktemp("outside"), server.getsockname()[1])


def was_asked(server: socket.socket) -> bool:
    """Whether somebody has connected to a server."""
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def is_fit_to_tell(finding: Finding, path: str) -> bool:
    """Whether it has a place, a rule and a cure, says nothing secret, and can be shown."""
    text = str(finding)
    has_all = all((finding.what, finding.rule, finding.cure))
    is_placed = finding.where != "" or not path
    return has_all and is_placed and text.isprintable() and len(text) < 3_500 and SECRET not in text


# ---------------------------------------------------------------- refused


LONG = frozenset(
    f"made/{name}.json"
    for name in (
        "diamond-not-evaluated", "misspelt-parameters", "misspelt-required", "misspelt-schemes",
        "tower-any-of",
    )
)  # fmt: skip
"""Cases that take seconds."""


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=pytest.mark.slow) if p in LONG else p for p in CASES]
)
def test_a_hostile_document_is_refused(root: Path, server: socket.socket, path: str) -> None:
    """Within five seconds, by its rules, with places and cures; and nobody is asked."""
    findings = check_contract(root, path, limits=Limits(wall_s=MAX_S)).findings

    assert CASES[path] == " ".join(sorted({finding.rule for finding in findings}))
    assert [] == [f for f in findings if not is_fit_to_tell(f, path)]
    assert not was_asked(server)


@pytest.mark.parametrize("path", [p for p, rules in FILES.items() if not p.startswith("empty")])
def test_a_finding_on_what_is_written_has_its_line(root: Path, path: str) -> None:
    """Whoever reads it need not look for the place."""
    findings = judge(root, path, None, (), lambda _: None).verdict.findings

    whole = {"encoding", "no-model", "unreadable"}
    lines = [f.where for f in findings if f.rule not in whole and re.search(r":\d+", f.where)]
    assert [f.where for f in findings if f.rule not in whole] == lines or "only" in path


@pytest.mark.skipif(os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read_is_refused(root: Path) -> None:
    """Nobody knows whether it is right."""
    (finding,) = check_contract(root, "made/locked.json").findings

    assert "unreadable" == finding.rule


@pytest.mark.parametrize("device", ["zero", "null", "random"])
def test_a_device_is_refused(device: str) -> None:
    """One that never ends is not read to its end."""
    (finding,) = check_contract(Path("/dev"), device, limits=Limits(wall_s=MAX_S)).findings

    assert ("unreadable", device) == (finding.rule, finding.where)


@pytest.mark.parametrize("path", HARMLESS)
def test_what_only_looks_hostile_is_accepted(root: Path, server: socket.socket, path: str) -> None:
    """A contract may be unusual, and it may name servers."""
    verdict = check_contract(root, path, limits=Limits(wall_s=MAX_S))

    assert () == verdict.findings
    assert not was_asked(server)


def test_the_corpus_is_in_its_table() -> None:
    """No file is left out, and there are more than forty."""
    there = {file.name for file in HERE.iterdir() if file.is_file()}

    assert set(FILES) == there
    assert len(CASES) > 40


def test_the_server_would_have_noticed(server: socket.socket) -> None:
    """What the tests above rely on."""
    with socket.create_connection(server.getsockname()):
        assert was_asked(server)


SPY = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from pytest_orchestrator._checks.confined.verdicts import judge
judge(Path(sys.argv[2]), "pattern-broken.yaml", None, (), lambda _: None)
seen = []
sys.addaudithook(lambda name, args: seen.append((name, str(args[:1]))))
for path in sys.argv[3:]:
    judge(Path(sys.argv[2]), path, None, (), lambda _: None)
away = ("socket.", "urllib.", "subprocess.")
told = [s for s in seen if "secret" in s[1] or s[0].startswith(away)]
print(len([s for s in seen if s[0] == "open"]), told)
"""


@pytest.mark.slow
def test_nothing_outside_is_opened(root: Path) -> None:
    """Not even to look whether it is there."""
    paths = [
        path
        for path in CASES
        if "\0" not in path and "misspelt" not in path and CASES[path] != "time"
    ]

    done = subprocess.run(
        [sys.executable, "-c", SPY, str(Path(__file__).parents[1]), str(root), *paths],
        capture_output=True,
        text=True,
        check=True,
    )

    opened, _, told = done.stdout.strip().partition(" ")
    assert int(opened) > len(FILES)
    assert "[]" == told


# ---------------------------------------------------------------- cut


@pytest.mark.parametrize("notation", ["json", "yaml"])
def test_a_document_cut_anywhere_is_a_finding_or_a_document(root: Path, notation: str) -> None:
    """Whoever is still writing it breaks nothing."""
    document = a_contract()
    text = json.dumps(document, indent=1) if notation == "json" else yaml.safe_dump(document)
    data = text.encode()
    file = root / f"made/cut.{notation}"
    ends = [*range(0, len(data), 10)]

    for end in ends:
        file.write_bytes(data[:end])
        findings = judge(root, f"made/cut.{notation}", None, (), lambda _: None).verdict.findings
        assert findings or notation == "yaml"
        assert all(f.rule not in NOT_JUDGED and is_fit_to_tell(f, file.name) for f in findings)

    for end in ends[:: len(ends) // 4]:
        file.write_bytes(data[:end])
        findings = check_contract(root, f"made/cut.{notation}").findings
        assert all(f.rule not in NOT_JUDGED for f in findings)


# ---------------------------------------------------------------- served


def deep(levels: int) -> str:
    """An array of arrays of arrays, as JSON."""
    return "[" * levels + "]" * levels


SERVED: dict[str, bytes] = {
    "large": b" " * 6_000_000,
    "deep": deep(100_000).encode(),
    "html": b"<!DOCTYPE html><title>Not found</title>",
    "aliases": b"a: &a [x]\nb: &b [*a, *a]\n",
    "list": b"[]",
    "nothing": b"null",
    "no paths": b'{"openapi": "3.1.0", "paths": 5}',
    "cyclic": schemas(A={"$ref": "#/components/schemas/A"}).encode(),
    "remote": schemas(A={"$ref": "http://127.0.0.1:9/a"}).encode(),
    "all of": diamond("allOf", 60).encode(),
    "any of": diamond("anyOf", 60).encode(),
    "escape sequence": json.dumps(
        {"openapi": "3.1.0", "paths": {"/\x1b[31m": {"get": {}}}}
    ).encode(),
}


@pytest.mark.parametrize("name", SERVED)
def test_what_a_hostile_service_serves_is_a_finding(name: str) -> None:
    """Its answer is as untrusted as a contract, and ends within seconds."""
    began_s = time.process_time()
    document, verdict = read_document(SERVED[name], "as-served.json")
    findings = verdict.findings or check_serves(a_contract(), document, "c.json").findings

    assert MAX_S > time.process_time() - began_s
    assert findings
    assert all(f.what and str(f).isprintable() and len(str(f)) < 3_500 for f in findings)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("levels", [18, 60])
def test_diamonds_are_compared_once(keyword: str, levels: int) -> None:
    """What is published and served alike takes no longer for being reached in many ways."""
    schema = json.loads(diamond(keyword, levels))["components"]
    served = json.loads(diamond(keyword, levels).replace('"string"', '"integer"'))["components"]
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/L0"}}}}
    paths = {"/a": {"post": {"requestBody": body, "responses": {}}}}
    published: dict[str, Any] = {"openapi": "3.1.0", "paths": paths, "components": schema}
    began_s = time.process_time()

    same = check_serves(published, json.loads(json.dumps(published)), "c.json")
    other = check_serves(published, {**published, "components": served}, "c.json")

    assert same.passed
    assert not other.passed
    assert MAX_S > time.process_time() - began_s


# ---------------------------------------------------------------- told


def test_a_finding_cannot_colour_a_terminal() -> None:
    """What is no printable character is escaped, wherever it came from."""
    finding = told("a\x1b[31m\n.json:1", "says \x07\x9b\u2028\ud800", "rule", "write \x7f")

    assert r"a\x1b[31m\n.json:1: says \x07\x9b\u2028\ud800 [rule]; write \x7f" == str(finding)


def test_a_finding_is_of_bounded_length() -> None:
    """A key of a million letters does not fill the report."""
    finding = told("a" * 1_000_000, "\n" * 1_000_000, "rule", "ä" * 1_000_000)

    assert 3_500 > len(str(finding))
    assert str(finding).isprintable()
