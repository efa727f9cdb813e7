"""Fixtures, re-runs and time limits mean what they mean in any session of pytest."""

from __future__ import annotations

import pytest

from pytest_orchestrator._domain.verdict import ExitStatus, Outcome
from tests.project import GATE, Project

VERIFY = "--agents=off"
MODES = [pytest.param("-n0", id="n0"), pytest.param("-n2", id="n2")]

LIFETIMES = """

import pytest
from pathlib import Path

def note(config, text):
    worker = getattr(config, "workerinput", {"workerid": "one"})["workerid"]
    with Path(__file__).with_name(f"{worker}.lifetimes").open("a") as notes:
        notes.write(text + "\\n")

@pytest.fixture(scope="module")
def module_wide(request):
    note(request.config, f"{request.node.name} up")
    yield
    note(request.config, f"{request.node.name} down")

def pytest_runtest_call(item):
    if "module_wide" in item.fixturenames:
        note(item.config, item.name)
"""
BREAKS = """
import pytest

@pytest.fixture(scope="{scope}")
def breaks():
    yield
    raise RuntimeError("{scope} teardown broke")

def test_{scope}(breaks): pass
"""
GATE_BREAKS = GATE.format(n=1) + """
@pytest.fixture(scope="module", autouse=True)
def breaks():
    yield
    raise RuntimeError("the gate could not tidy up")
"""  # fmt: skip
GATE_BREAKS_LATER = """
import pytest
pytestmark = pytest.mark.gate("G1")

@pytest.fixture(scope="module", autouse=True)
def breaks(pytestconfig):
    flag = pytestconfig.rootpath / "second.here"
    yield flag
    if flag.exists():
        raise RuntimeError("the gate could not tidy up")

def test_first(breaks): assert breaks.exists()
def test_last(): pass
"""
FLAKY = GATE.format(n=1) + """
def test_flaky(pytestconfig, request, ledger):
    first = pytestconfig.rootpath / "first.here"
    if not first.exists():
        first.touch()
        assert False
    record = ledger.state().gate("G1").record
    assert request.node.nodeid not in record.outcomes, "the first attempt counts"
"""  # fmt: skip


def verdict(project: Project, gate: str) -> Outcome | None:
    """The verdict on a gate in the run that judges the tree as it is."""
    record = project.state(project.root / ".orchestrator/runs/verify").gate(gate).record
    return record.verdict() if record else None


# Pitfall 11.
@pytest.mark.parametrize("mode", MODES)
def test_gate_that_passes_when_run_again_has_passed(project: Project, mode: str) -> None:
    """A flaky test that pytest-rerunfailures runs again counts as what it became."""
    project.finish()
    project.write("gates/test_g1.py", FLAKY)

    result = project.run(mode, VERIFY, "--reruns=1")

    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["rerun"] == 1
    assert verdict(project, "G1") is Outcome.PASSED


# Pitfall 12.
def test_time_limit_on_tests_is_not_meant_for_agents(project: Project) -> None:
    """A phase may take longer than pytest-timeout allows a test."""
    project.shrink("left")
    project.append("gates/test_phases.py", "\nimport time\ndef test_slow(): time.sleep(30)\n")
    project.agent("left-one", "import time; time.sleep(0.6)")

    result = project.run("-n0", "--timeout=0.5")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_slow - Failed: Timeout*"])


# Pitfall 13.
def test_teardown_that_fails_late_is_reported_once_on_a_real_test(project: Project) -> None:
    """A worker that had to wait for its next test reports what came down in between."""
    project.finish()
    for scope in ("module", "session"):
        project.write(f"gates/test_{scope}.py", BREAKS.format(scope=scope))

    result = project.run("-n2", VERIFY)

    result.assert_outcomes(passed=6, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "ERROR gates/test_module.py::test_module - RuntimeError: module teardown broke",
            "ERROR gates/test_*.py::test_* - RuntimeError: session teardown broke",
        ]
    )


# Pitfall 14.
def test_module_fixtures_live_as_long_as_without_workers(project: Project) -> None:
    """A worker that waits between two tests of a module keeps up what both of them use."""
    project.finish()
    project.append("conftest.py", LIFETIMES)
    for module in "ab":
        project.write(
            f"gates/test_{module}.py",
            "".join(f"def test_{module}{n}(module_wide): pass\n" for n in (1, 2, 3)),
        )

    for mode in ("-n0", "-n1"):
        project.run(mode, VERIFY, "-p", "no:randomly", "gates/test_a.py", "gates/test_b.py",
                    "gates/test_g1.py::test_left")  # fmt: skip

    alone, worker = ((project.root / f"{who}.lifetimes").read_text() for who in ("one", "gw0"))
    assert alone == worker
    assert worker.splitlines() == [
        *("test_a.py up", "test_a1", "test_a2", "test_a3", "test_a.py down"),
        *("test_b.py up", "test_b1", "test_b2", "test_b3", "test_b.py down"),
    ]


# Pitfall 13, for gates.
@pytest.mark.parametrize("mode", MODES)
def test_gate_that_cannot_be_taken_down_has_not_passed(project: Project, mode: str) -> None:
    """The end of a gate's module belongs to its verdict, before anything builds on that."""
    project.finish()
    project.write("gates/test_g1.py", GATE_BREAKS)

    result = project.run(mode, VERIFY)

    result.assert_outcomes(passed=2, errors=3, deselected=4 if mode == "-n0" else 0)
    assert verdict(project, "G1") is Outcome.INFRA
    result.stdout.fnmatch_lines(["G2 *BLOCKED*G1 is INFRA*"])


def test_reused_verdict_does_not_hide_how_the_gate_came_down(project: Project) -> None:
    """What the test before left up comes down with a test that need not be run again."""
    project.shrink("left")
    project.add_gate(GATE_BREAKS_LATER, phase=2)
    once = ("-n0", "-p", "no:randomly", "--agents=nop", "gates/test_g1.py")
    project.run(*once).assert_outcomes(passed=1, failed=1)
    project.write("second.here", "")

    result = project.run(*once)

    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == ExitStatus.INFRA
    result.stdout.fnmatch_lines(["ERROR *::test_last - RuntimeError: the gate could not tidy up"])
    assert project.verdicts()["G1"] == "INFRA"
