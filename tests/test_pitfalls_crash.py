"""A worker may die at any time; what it was for goes on, once, and nothing is lost or blamed."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pytest_orchestrator._domain.verdict import ExitStatus, Outcome
from tests.project import GATE, Project

LIGHT = """
def test_light(): pass
def test_feather(): pass
"""
NAMES = ["test_feather", "test_left_phase1", "test_light"]
KILLS_ITS_WORKER = """
    from meeting import *
    be_stubborn()
    kill(WORKER)
    until(lambda: len([*ROOT.glob("test_left_phase1.*.started")]) == 2, "a second try")
    time.sleep(0.5)  # the second try has time for a mistake
"""
KILLS_AN_IDLE_WORKER = """
    from meeting import *
    until(lambda: [*ROOT.glob("*.complete")], "another worker's test")
    kill([*ROOT.glob("*.complete")][0].stem)
    until(lambda: (ROOT / "gw2.pid").exists(), "a new worker")
"""
KILLS_ITS_WORKER_AND_STAYS = """
    from meeting import *
    be_stubborn()
    life = live("agent")
    kill(WORKER)
    until(lambda: False, "the end of everything")
"""


@pytest.fixture
def small(project: Project) -> Project:
    """A project of one phase, and two tests that have nothing to do with it."""
    project.shrink("left")
    project.take_notes()
    project.append("gates/test_phases.py", LIGHT)
    return project


def cases(project: Project) -> list[str]:
    """The names of the test cases in the JUnit report."""
    report = ET.parse(project.root / "junit.xml")  # noqa: S314 - pytest has written it
    return sorted(case.get("name", "") for case in report.iter("testcase"))


# Pitfalls 7, 10 and 16.
@pytest.mark.parametrize("mode", ["-n1", "-n2"])
def test_phase_survives_the_worker_that_asked_for_it(small: Project, mode: str) -> None:
    """A worker killed in mid-phase costs no second agent, no red test and no odd report."""
    small.agent("left-one", KILLS_ITS_WORKER)

    result = small.run(mode, "-x", "--junitxml=junit.xml")

    assert small.started() == ["left-one"]
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 3, "rerun": 1}
    assert cases(small) == NAMES


# Pitfall 15.
def test_death_of_an_idle_worker_is_blamed_on_no_test(small: Project) -> None:
    """A worker that has run its tests and waits for more can be replaced without a trace."""
    small.agent("left-one", KILLS_AN_IDLE_WORKER)

    result = small.run("-n2")

    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 3}
    result.stdout.fnmatch_lines(["*node down: Not properly terminated*"])


# Pitfalls 6 and 16; the third trap of "falsely green".
@pytest.mark.parametrize("mode", ["-n1", "-n2"])
def test_every_test_is_told_of_when_no_worker_is_left(small: Project, mode: str) -> None:
    """A crash that could not be made up for is red, and so is every test that did not run."""
    small.agent("left-one", KILLS_ITS_WORKER_AND_STAYS)

    result = small.run(mode, "--max-worker-restart=0", "--junitxml=junit.xml")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not run: its worker crashed"])
    assert cases(small) == NAMES
    assert small.started() == ["left-one"]
    small.wait_until(lambda: not small.alive())


# Pitfall 6.
def test_session_in_which_no_test_could_be_handed_out_is_red(small: Project) -> None:
    """A worker that dies while it collects, and may not be replaced, leaves nothing green."""
    small.append("gates/test_phases.py", """
        import os, pathlib, time
        if os.environ["PYTEST_XDIST_WORKER"] == "gw1":
            deadline_s = time.monotonic() + 60
            while not pathlib.Path("gw0.collected").exists() and time.monotonic() < deadline_s:
                time.sleep(0.02)
            os._exit(1)
    """)  # fmt: skip

    result = small.run("-n2", "--max-worker-restart=0")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=3)
    assert small.started() == []


def test_worker_that_dies_on_its_way_up_is_replaced(small: Project) -> None:
    """A crash before a worker has collected anything is no reason to give up."""
    small.append("conftest.py", """
        import os
        if os.environ.get("PYTEST_XDIST_WORKER") == "gw1": os._exit(1)
    """)  # fmt: skip

    result = small.run("-n2", "--agents=nop")

    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK


# Pitfall 10.
def test_test_that_takes_every_worker_down_stops_the_session_under_x(project: Project) -> None:
    """A crash is forgiven twice; the third is a failure, for its gate and for ``-x``."""
    project.finish()
    project.write("gates/test_g1.py", GATE.format(n=1) + "    import os; os._exit(1)\n")

    result = project.run("-n2", "-x", "--agents=off", "--junitxml=junit.xml")

    assert result.ret == ExitStatus.INFRA
    report = ET.parse(project.root / "junit.xml")  # noqa: S314 - pytest has written it
    told = [p.get("value") for p in report.iterfind(".//property[@name='orchestrator_verdict']")]
    assert "INFRA" in told
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["rerun"]) == (1, 2)
    assert "errors" not in outcomes, "the second gate should not have been asked any more"
    record = project.state(project.root / ".orchestrator/runs/verify").gate("G1").record
    assert record is not None
    assert record.verdict() is Outcome.INFRA
