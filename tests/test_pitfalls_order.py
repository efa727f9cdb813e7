"""Lanes run side by side, and gates come when they should, whatever reorders the tests."""

from __future__ import annotations

import pytest

from tests.project import Project

VERIFY = "--agents=off"
GATE_TESTS = """
import pytest
pytestmark = pytest.mark.gate("G1")
def test_both(workspace):
    assert (workspace / "left/1.txt").is_file()
    assert (workspace / "right/1.txt").is_file()
"""


def let_lanes_meet(project: Project, *lanes: str) -> None:
    """Give lanes agents that get nothing done unless all of them are there at the same time."""
    for lane in lanes:
        others = [other for other in lanes if other != lane]
        project.agent(f"{lane}-one", f"""
            from meeting import *
            meet({lane!r}, *{others!r})
            Path({lane!r}).mkdir()
            Path({lane!r}, "1.txt").touch()
        """)  # fmt: skip


# Pitfall 1: by our own scheduler; xdist's groups are silently ignored by pytest 9.2.
def test_as_many_lanes_as_workers_run_side_by_side(project: Project) -> None:
    """With three workers, three lanes work at the same time."""
    lanes = ("left", "middle", "right")
    project.shrink(*lanes)
    let_lanes_meet(project, *lanes)

    result = project.run("-n3")

    result.assert_outcomes(passed=3)
    assert project.started() == [f"{lane}-one" for lane in lanes]


# Pitfall 21.
def test_gate_that_needs_several_lanes_has_them_run_side_by_side(project: Project) -> None:
    """Even without xdist, and without the phases' own tests, one lane does not wait for another."""
    project.shrink("left", "right")
    project.add_gate(GATE_TESTS, phase=2)
    let_lanes_meet(project, "left", "right")

    result = project.run("-n0", "gates/test_g1.py")

    result.assert_outcomes(passed=1)
    assert project.verdicts()["G1"] == "PASSED"


# Pitfall 2.
def test_failed_first_does_not_put_a_gate_before_what_it_needs(project: Project) -> None:
    """``--ff`` would like to run the second gate first, and must not."""
    project.finish()
    (project.root / "left/2.txt").unlink()
    project.run("-n0", VERIFY, "-p", "cacheprovider")
    project.write("left/2.txt", "done")

    result = project.run("-n0", VERIFY, "-p", "cacheprovider", "--ff", "-v")

    result.assert_outcomes(passed=4, deselected=4)
    result.stdout.fnmatch_lines(
        [
            "run-last-failure: rerun previous 1 failure first",
            *["*_g1.py::*"] * 2,
            *["*_g2.py::*"] * 2,
        ]
    )


# Pitfall 3. Every other test here is shuffled as well; these seeds put the second gate first.
@pytest.mark.parametrize(("seed", "mode"), [(1, "-n0"), (3, "-n2"), (5, "-n0")])
def test_shuffled_tests_have_the_same_outcomes(project: Project, seed: int, mode: str) -> None:
    """pytest-randomly changes nothing about what blocks what."""
    project.finish()
    (project.root / "left/1.txt").unlink()

    result = project.run(mode, VERIFY, "-p", "randomly", f"--randomly-seed={seed}", "-rE")

    result.assert_outcomes(passed=1, failed=1, errors=2, deselected=4 if mode == "-n0" else 0)
    result.stdout.fnmatch_lines(["G1 *FAILED*", "G2 *BLOCKED*G1 is FAILED*"])
