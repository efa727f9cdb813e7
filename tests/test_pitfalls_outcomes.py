"""Six verdicts: the same in the ledger, on the terminal and in JUnit, whoever runs the tests."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_orchestrator.__main__ import main
from pytest_orchestrator._domain.verdict import ExitStatus, Outcome, worst
from tests.project import CONFTEST, GATE, LANES, Project

VERIFY = "--agents=off"
LEFT = """
[tasks.left-one]
agent = "left"
phase = 1
brief = "brief.md"

[tasks.right-one]
agent = "right"
phase = 1
brief = "brief.md"
"""
SIX = {
    "PASSED": "pass",
    "FAILED": "Verdict('health', FINDINGS).raise_for_findings()",
    "UNVERIFIABLE": "raise errors.Unverifiable('dotnet is missing; install the .NET SDK 8')",
    "INFRA": "raise errors.Infra('the trace store does not answer')",
    "BUDGET": "raise errors.BudgetSpent('left_phase1 has spent its budget; raise max_wall_s')",
    "BLOCKED": "pass",
}
HOW = re.compile(r"run (pytest .*)$", re.MULTILINE)


def six_gates(project: Project) -> None:
    """Make it a project with a gate for each verdict there is; two tests each."""
    runbook = LANES + LEFT
    for name, body in SIX.items():
        needs = '"left-one", "FAILED"' if name == "BLOCKED" else '"left-one"'
        runbook += f"""
[gates.{name}]
title = "a gate"
phase = {2 if name == "BLOCKED" else 1}
tests = "gates/test_{name}.py"
needs = [{needs}]
"""
        project.write(f"gates/test_{name}.py", f"""
            import pytest
            from pytest_orchestrator import errors
            from pytest_orchestrator.checks import Finding, Verdict

            pytestmark = pytest.mark.gate("{name}")
            FINDINGS = (Finding("left /health", "answered 500", "status", "answer 200"),
                        Finding("left /health", "is <slow> & \\u2603", "time"))

            def test_one(workspace):
                {body}

            def test_two(workspace):
                pass
        """)  # fmt: skip
    project.write("runbook.toml", runbook)
    project.write(
        "conftest.py", "\n".join(line for line in CONFTEST.splitlines() if "2" not in line)
    )
    project.write("gates/test_phases.py", "")
    for n in (1, 2):
        (project.root / f"gates/test_g{n}.py").unlink()


def in_junit(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    """The properties of each test case, by gate."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - our own
        told = {
            p.attrib["name"].removeprefix("orchestrator_"): p.attrib["value"]
            for p in case.iter("property")
        }
        found.setdefault(told["gate"], {})[case.attrib["name"]] = told
    return found


def on_terminal(lines: Iterable[str], gates: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Verdict and reason of each gate's line in the summary."""
    known = "|".join(gates)
    matches = (re.match(rf"({known}) +(NOT JUDGED|[A-Z]+) *(.*)$", line) for line in lines)
    return {m[1]: (m[2], m[3]) for m in matches if m}


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_terminal_junit_and_ledger_say_the_same(project: Project, mode: str) -> None:
    """Of all six verdicts: which it is, why, and what to do."""
    six_gates(project)

    result = project.run(mode, VERIFY, "--junitxml=report.xml")

    state = project.state(project.root / ".orchestrator/runs/verify")
    junit, told = in_junit(project.root / "report.xml"), on_terminal(result.outlines, SIX)
    assert {gate: verdict for gate, (verdict, _) in told.items()} == {name: name for name in SIX}
    for gate, (verdict, reason) in told.items():
        tests = junit[gate].values()
        assert worst(Outcome(test["verdict"]) for test in tests) == verdict
        assert len(tests) == 2
        (_, why) = min((test["verdict"] == "PASSED", test.get("reason", "")) for test in tests)
        assert reason == why.removeprefix("blocked: ").partition("\n")[0]
        record = state.gate(gate).record
        assert record is None or record.verdict() == verdict
    assert "answer 200" in told["FAILED"][1]
    assert told["BLOCKED"][1] == (
        "FAILED is FAILED: left /health: answered 500 [status]; answer 200; "
        'see to that, then run pytest --agents=off -m "phase1 or phase2"'
    )
    assert result.ret == ExitStatus.FAILED


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_reused_verdicts_are_in_junit_too(project: Project, mode: str) -> None:
    """Each test has its gate, its verdict, and that nothing had to be run."""
    project.run(mode)

    project.run(mode, "--junitxml=report.xml", "gates/test_g1.py", "gates/test_g2.py")

    for gate, tests in in_junit(project.root / "report.xml").items():
        assert set(tests) == {"test_left", "test_right"}
        for told in tests.values():
            assert (told["gate"], told["verdict"]) == (gate, "PASSED")
            assert told["reason"].startswith("reused")


def test_session_says_the_same_on_any_number_of_workers(project: Project) -> None:
    """The same tree has the same verdicts, findings and reasons, and ends with the same status."""
    six_gates(project)
    said = {}
    for mode in (("-p", "no:xdist"), ("-n0",), ("-n1",), ("-n2",), ("-n4",)):
        shutil.rmtree(project.root / ".orchestrator", ignore_errors=True)
        result = project.run(*mode, VERIFY)
        state = project.state(project.root / ".orchestrator/runs/verify")
        said[mode] = (
            result.ret,
            on_terminal(result.outlines, SIX),
            {
                g: s.record and (s.record.outcomes, s.record.findings)
                for g, s in state.gates.items()
            },
            {gate: (s.blocked and s.blocked[1], s.blocked_as) for gate, s in state.gates.items()},
        )

    first = said["-n0",]
    assert first[0] == ExitStatus.FAILED
    assert all(each == first for each in said.values()), said


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
@pytest.mark.parametrize("gate", ["UNVERIFIABLE", "INFRA", "BUDGET"])
def test_gate_that_cannot_judge_has_a_status_of_its_own(
    project: Project, mode: str, gate: str
) -> None:
    """A pipeline can tell what it has to do about it."""
    six_gates(project)

    result = project.run(mode, VERIFY, f"--gate={gate}", "--gate=PASSED")

    assert result.ret == ExitStatus[gate]
    result.stdout.fnmatch_lines([f"exit status {ExitStatus[gate]}: {gate} {gate}"])


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_part_that_has_spent_its_budget_is_not_judged(project: Project, mode: str) -> None:
    """Its own test and its gate say what was spent and which key to raise; nothing says FAILED."""
    project.edit("runbook.toml", "max_wall_s = 60", "max_wall_s = 1")
    project.edit("runbook.toml", "max_attempts = 2", "max_attempts = 1")
    project.agent("left-one", "import time; time.sleep(60)\n")
    told = (
        "left_phase1 has spent its budget unfinished: attempt 1 of left-one took longer than "
        "max_wall_s = 1 s and was ended after * s; raise max_wall_s in [[]budget] of the runbook"
    )

    result = project.run(mode, "--junitxml=report.xml")

    assert result.ret == ExitStatus.BUDGET
    result.stdout.fnmatch_lines(["*ERROR at setup of test_left_phase1*", told])
    result.stdout.fnmatch_lines([f"G1*BUDGET*{told}", f"G2*BLOCKED*G1 is BUDGET: {told}*"])
    cases = ET.parse(project.root / "report.xml").iter("testcase")  # noqa: S314 - our own
    own = next(case for case in cases if case.attrib["name"] == "test_left_phase1")
    assert own.find(".//property[@name='orchestrator_verdict']").attrib["value"] == "BUDGET"  # type: ignore[union-attr]


def test_gate_that_is_obtained_does_not_judge_unfinished_work(project: Project) -> None:
    """It has the verdict BUDGET as well, and the session the status, though G2 is just blocked."""
    project.edit("runbook.toml", "max_wall_s = 60", "max_wall_s = 1")
    project.edit("runbook.toml", "max_attempts = 2", "max_attempts = 1")
    project.agent("left-one", "import time; time.sleep(60)\n")

    result = project.run("-n0", "gates/test_g2.py")

    assert project.state().gate("G1").blocked_as is Outcome.BUDGET
    assert result.ret == ExitStatus.BUDGET
    result.stdout.fnmatch_lines(["G1*BUDGET*", "G2*BLOCKED*G1 is BUDGET*"])


def way_out(result: pytest.RunResult) -> list[str]:
    """The command that is said to unblock a gate, without pytest's own name."""
    (command,) = {shlex.quote(c) for c in HOW.findall(result.stdout.str()) if "…" not in c}
    return shlex.split(shlex.split(command)[0])[1:]


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_command_that_is_said_to_unblock_does_without_agents(project: Project, mode: str) -> None:
    """It brings its options along, since on another tree it would be in vain."""
    project.finish()
    tree = project.root / "some where"
    for lane in ("left", "right"):
        shutil.copytree(project.root / lane, tree / lane)
    options = (VERIFY, f"--workspace={tree}", "--run-id=mine")

    blocked = project.run(mode, *options, "-m", "phase2")
    unblocked = project.run(mode, *way_out(blocked))

    assert (blocked.ret, unblocked.ret) == (ExitStatus.BLOCKED, 0)


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_command_that_is_said_to_unblock_does_with_agents(project: Project, mode: str) -> None:
    """Once what it says is wrong has been seen to."""
    module = GATE.format(n=1).replace("def test_left(workspace):", "def test_left(pytestconfig):")
    wanted = 'assert (pytestconfig.rootpath / "flag").is_file(), "there is no flag"'
    module = module.replace('assert (workspace / "left" / "1.txt").is_file()', wanted)
    project.write("gates/test_g1.py", module.replace('@pytest.mark.lane("left")', ""))

    blocked = project.run(mode, "--agents=scripted", "gates/test_g2.py")
    project.write("flag", "")
    unblocked = project.run(mode, *way_out(blocked))

    assert (blocked.ret, unblocked.ret) == (ExitStatus.BLOCKED, 0)
    blocked.stdout.fnmatch_lines(["*G1 is FAILED: AssertionError: there is no flag*; see to that*"])


def test_verdict_can_be_asked_for(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later, from the ledger alone, with an exit status that says which it is."""
    six_gates(project)
    project.run("-n0", VERIFY)
    monkeypatch.chdir(project.root)

    statuses = {gate: main(["verdict", gate]) for gate in (*SIX, "NONE")}

    told = capsys.readouterr()
    assert statuses == dict.fromkeys(SIX, 2) | {"PASSED": 0, "FAILED": 1, "NONE": 2}
    assert "    left /health: answered 500 [status]; answer 200\n" in told.out
    assert "there is no gate NONE; there are PASSED" in told.err
