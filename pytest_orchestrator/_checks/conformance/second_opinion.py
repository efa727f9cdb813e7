"""What Schemathesis finds at a running service, in our words; the only module that starts it.

It is never imported here: it would bring a pytest plugin of its own into every session.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from pytest_orchestrator._checks.conformance.judgement import CURES
from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator.errors import Infra, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.plan import Live
    from pytest_orchestrator._domain.verdict import Finding

INSTALL = "pip install 'pytest-orchestrator[schemathesis]'"
_START = "from schemathesis.cli import schemathesis; schemathesis()"
# What a service answers to methods nobody has documented is in no contract.
_SETTINGS = "[phases.coverage]\nunexpected-methods = []\n"
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
_RULES = {
    "Server error": "server-error",
    "Server error on undeclared request Content-Type": "server-error",
    "Undocumented status code": "undocumented-status",
    "Missing Content-Type header": "content-type",
    "Undocumented Content-Type": "content-type",
    "Malformed media type": "content-type",
    "Missing required response headers": "header",
    "Response violates schema": "schema",
    "JSON deserialization error": "not-json",
    "Content deserialization error": "not-json",
}
_FAILURE = re.compile(r"^- (?:ST\d+ )?(?P<title>[A-Z].*)$", re.MULTILINE)
_CASE = re.compile(r"^\d+\. Test Case ID: .*$", re.MULTILINE)
_REPRODUCE = re.compile(r"Reproduce with:\s*(curl .*)", re.DOTALL)


def ask_schemathesis(document: object, url: str, name: str, live: Live) -> Verdict:
    """Have Schemathesis ask a running service.

    Args:
        document: The OpenAPI document, of one piece.
        url: Where the service is, without a path.
        name: What findings call it.
        live: How many examples, and the seed.

    Returns:
        At most one finding for each operation and rule.

    Raises:
        Unverifiable: It is not installed.
        Infra: It did not come to its end.
    """
    if find_spec("schemathesis") is None:
        raise Unverifiable(
            f"{name} is to be asked by Schemathesis, too, which is not installed; {INSTALL}, "
            "or take schemathesis = true out of the runbook"
        )
    with tempfile.TemporaryDirectory(prefix="schemathesis-") as folder:
        report = Path(folder) / "junit.xml"
        written = Path(folder) / "contract.json"
        written.write_text(json.dumps(document), encoding="utf-8")
        written.with_name("schemathesis.toml").write_text(_SETTINGS, encoding="utf-8")
        said = _run(written, report, url, live)
        if not report.is_file():
            raise Infra(f"{name}: Schemathesis has no report: {shortened(said[-1000:], 1000)}")
        text = report.read_text(encoding="utf-8")
    return Verdict("schemathesis", tuple(findings_of(text, name, live.seed)))


def _run(document: Path, report: Path, url: str, live: Live) -> str:
    command = [sys.executable, "-I", "-B", "-c", _START, "run", str(document)]
    command += ["--url", url, "--checks", ",".join(_CHECKS), "--no-color"]
    command += ["--max-examples", str(live.examples), "--seed", str(live.seed)]
    command += ["--report", "junit", "--report-junit-path", str(report)]
    try:
        done = subprocess.run(
            command,
            cwd=document.parent,
            env={"HYPOTHESIS_STORAGE_DIRECTORY": str(document.parent), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=live.wall_s * 10,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise Infra(f"Schemathesis was not done with {url} after {live.wall_s * 10:g} s") from None
    return done.stdout + done.stderr


def findings_of(report: str, name: str, seed: int) -> Iterator[Finding]:
    """What a JUnit report of Schemathesis says, by operation, once for each rule."""
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - it is our child's own report
        operation = case.get("name", "")
        seen: set[str] = set()
        for failure in (*case.iter("failure"), *case.iter("error")):
            for title, what in _failures(failure.text or ""):
                rule = _RULES.get(title, "schemathesis")
                if rule not in seen:
                    seen.add(rule)
                    said = f"Schemathesis: {title}: {what}; seed {seed}"
                    yield told(f"{name} {operation}", said, rule, CURES.get(rule, ""))


def _failures(text: str) -> Iterator[tuple[str, str]]:
    """Title and text of each failure of an operation, with the request that shows it."""
    for case in _CASE.split(text):
        request = _REPRODUCE.search(case)
        asked = f"; {shortened(' '.join(request[1].split()), 300)}" if request else ""
        found = list(_FAILURE.finditer(case))
        ends = [following.start() for following in found[1:]] + [len(case)]
        for each, end in zip(found, ends, strict=False):
            about = " ".join(case[each.end() : end].partition("Reproduce with:")[0].split())
            yield each["title"].strip(), shortened(about, 400) + asked
        if not found and case.strip():
            yield "Error", shortened(" ".join(case.split()), 400)
