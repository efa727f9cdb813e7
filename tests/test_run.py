"""A whole run on a small project, in every mode people start pytest in."""

from __future__ import annotations

import pytest

from pytest_orchestrator._domain.verdict import ExitStatus
from tests.project import Project

ALL_TASKS = ["left-one", "left-two", "right-one", "right-two"]
ALL_PASSED = {
    "G1": "PASSED",
    "G2": "PASSED",
    "left_phase1": "succeeded",
    "right_phase1": "succeeded",
    "left_phase2": "succeeded",
    "right_phase2": "succeeded",
}
MODES = [
    pytest.param(("-n0",), id="n0"),
    pytest.param(("-p", "no:xdist"), id="no-xdist", marks=pytest.mark.slow),
    pytest.param(("-n1",), id="n1", marks=pytest.mark.slow),
    pytest.param(("-n2",), id="n2"),
    pytest.param(("-n", "auto"), id="auto", marks=pytest.mark.slow),
]
ONE_OR_TWO = [("-n0",), pytest.param(("-n2",), marks=pytest.mark.slow)]


@pytest.mark.parametrize("mode", MODES)
def test_run_ends_with_the_same_verdicts_in_every_mode(
    project: Project, mode: tuple[str, ...]
) -> None:
    """Every task is started once, every gate passes, whatever runs the tests."""
    result = project.run(*mode)

    result.assert_outcomes(passed=8)
    assert result.ret == pytest.ExitCode.OK
    assert project.verdicts() == ALL_PASSED
    assert project.started() == ALL_TASKS


@pytest.mark.parametrize("mode", ONE_OR_TWO)
@pytest.mark.slow
def test_second_run_pays_for_nothing(project: Project, mode: tuple[str, ...]) -> None:
    """What is done is not done again, and unchanged verdicts are reused."""
    project.run(*mode)

    result = project.run(*mode)

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["*G1*PASSED*reused: nothing it judges has changed*"])
    assert project.started() == ALL_TASKS


@pytest.mark.parametrize("mode", ONE_OR_TWO)
def test_agent_that_does_nothing_is_found_out(project: Project, mode: tuple[str, ...]) -> None:
    """The first gate fails on an untouched tree, and everything after it is blocked."""
    result = project.run("--agents=nop", *mode)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    verdicts = project.verdicts()
    assert (verdicts["G1"], verdicts["G2"]) == ("FAILED", "BLOCKED")
    assert (verdicts["left_phase1"], verdicts["left_phase2"]) == ("failed", "parked")
    result.stdout.fnmatch_lines(["G2*BLOCKED*G1 is FAILED*"])


@pytest.mark.parametrize("mode", ONE_OR_TWO)
@pytest.mark.slow
def test_one_phase_gets_what_it_needs_done_first(project: Project, mode: tuple[str, ...]) -> None:
    """``-m phase2`` on a fresh run carries out phase 1 and judges its gate on the way."""
    result = project.run("-m", "phase2", *mode)

    result.assert_outcomes(passed=4, deselected=0 if "-n2" in mode else 4)
    assert project.verdicts() == ALL_PASSED
    assert project.started() == ALL_TASKS

    again = project.run("-m", "phase2", *mode)

    assert again.ret == pytest.ExitCode.OK
    assert project.started() == ALL_TASKS


@pytest.mark.slow
def test_verdict_of_a_gate_that_was_changed_is_not_taken_for_granted(project: Project) -> None:
    """A gate before the selected one is judged anew when its tests have changed."""
    project.run("-n0")
    project.edit("gates/test_g1.py", '"1.txt"', '"other.txt"')

    result = project.run("-n0", "-m", "phase2")

    assert result.ret == ExitStatus.BLOCKED
    assert project.verdicts()["G1"] == "FAILED"
    result.stdout.fnmatch_lines(["G2*BLOCKED*G1 is FAILED*"])
    assert project.started() == ALL_TASKS
