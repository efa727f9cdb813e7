"""A session is green only if every gate it was to judge has passed."""

from __future__ import annotations

import pytest

from pytest_orchestrator._domain.verdict import ExitStatus, Outcome
from tests.project import GATE, Project

MODES = [pytest.param("-n0", id="n0"), pytest.param("-n2", id="n2")]
VERIFY = "--agents=off"
KEEP = ("-p", "cacheprovider")
GATE_1 = GATE.format(n=1)
SKIPPED = GATE_1.replace('@pytest.mark.lane("left")', '@pytest.mark.skip("later")')
XFAILED = GATE_1 + "\n@pytest.mark.xfail(reason='known')\ndef test_known(): assert False\n"
NOT_TODAY = 'import pytest\npytest.skip("not today", allow_module_level=True)\n'


def verdict(project: Project, gate: str) -> Outcome | None:
    """The verdict on a gate in the run that judges the tree as it is."""
    record = project.state(project.root / ".orchestrator/runs/verify").gate(gate).record
    return record.verdict() if record else None


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        pytest.param(SKIPPED, (), Outcome.UNVERIFIABLE, id="skipped"),
        pytest.param(XFAILED, (), Outcome.FAILED, id="xfailed"),
        pytest.param(None, ("-k", "left"), None, id="keyword"),
        pytest.param(None, ("--deselect=gates/test_g1.py::test_right",), None, id="deselect"),
        pytest.param(None, ("gates/test_g1.py::test_left",), None, id="node-id"),
    ],
)
def test_gate_that_not_all_its_tests_have_passed_is_never_green(
    project: Project, module: str | None, arguments: tuple[str, ...], expected: Outcome | None
) -> None:
    """Skipped, expected to fail, deselected: nothing of that passes a gate (pitfall 29)."""
    project.finish()
    if module is not None:
        project.write("gates/test_g1.py", module)

    result = project.run(*(arguments or ("gates/test_g1.py",)), "-n0", VERIFY)

    assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR}
    assert expected == verdict(project, "G1")


@pytest.mark.parametrize(
    ("mode", "module"),
    [pytest.param("-n0", "", id="empty"), pytest.param("-n2", NOT_TODAY, id="skipped")],
)
def test_gate_without_tests_is_never_green(project: Project, mode: str, module: str) -> None:
    """A gate's module in which nothing was found, or that was skipped, is not passed."""
    project.finish()
    project.write("gates/test_g2.py", module)

    result = project.run(mode, VERIFY)

    assert result.parseoutcomes()["passed"] == 2
    assert result.ret == ExitStatus.NOT_JUDGED
    result.stdout.fnmatch_lines(["G2*NOT JUDGED*no test of it ran*"])


def test_gate_without_tests_is_not_green_when_its_phase_is_asked_for(project: Project) -> None:
    """``-m phase1`` asks for the phase's gate too, even if its module is empty."""
    project.shrink("left")
    project.add_gate("")

    result = project.run("-n0", "--agents=nop", "-m", "phase1")

    result.assert_outcomes(passed=1)
    assert result.ret == ExitStatus.NOT_JUDGED


# First trap of "falsely green": -m, -k and --lf leave a gate out.
@pytest.mark.parametrize("mode", MODES)
def test_gate_that_was_left_out_and_never_judged_blocks(project: Project, mode: str) -> None:
    """Nothing but blocked tests is no success, and the message has the way out (pitfall 5)."""
    project.finish()

    result = project.run(mode, VERIFY, "-m", "phase2")

    result.assert_outcomes(errors=2, deselected=6 if mode == "-n0" else 0)
    assert result.ret == ExitStatus.BLOCKED
    result.stdout.fnmatch_lines(
        ['*G1 is not judged for this tree; run pytest --agents=off -m "phase1 or phase2"']
    )


def test_verdict_holds_only_for_the_tree_it_was_given_for(project: Project) -> None:
    """A gate that is left out stands in with its verdict until what it judged changes."""
    project.finish()
    project.run("-n0", VERIFY)

    same = project.run("-n0", VERIFY, "-m", "phase2")
    project.write("right/1.txt", "something else")
    changed = project.run("-n0", VERIFY, "-m", "phase2")

    assert same.ret == pytest.ExitCode.OK
    assert changed.ret == ExitStatus.BLOCKED
    changed.stdout.fnmatch_lines(["*blocked: G1 is not judged for this tree*"])


def test_lane_judged_by_itself_is_no_verdict_on_its_gate(project: Project) -> None:
    """What ``--lane`` found good does not open the way for what waits for the gate."""
    project.finish()
    (project.root / "right/1.txt").unlink()

    alone = project.run("-n0", VERIFY, "--gate=G1", "--lane=left")
    after = project.run("-n0", VERIFY, "-m", "phase2")

    alone.assert_outcomes(passed=1, deselected=7)
    assert alone.ret == pytest.ExitCode.OK
    assert after.ret == ExitStatus.BLOCKED


# Pitfall 4.
def test_last_failed_stays_red_until_what_failed_has_passed(project: Project) -> None:
    """``--lf`` runs what failed and what was blocked by it, until it is green."""
    project.finish()
    (project.root / "left/1.txt").unlink()
    project.run("-n0", VERIFY, *KEEP)

    result = project.run("-n0", VERIFY, "--lf")

    result.assert_outcomes(passed=1, failed=1, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("mode", MODES)
def test_last_failed_is_green_once_its_gates_have_passed(project: Project, mode: str) -> None:
    """Of a gate that failed, ``--lf`` takes all tests, since only together they are a verdict."""
    project.finish()
    (project.root / "left/1.txt").unlink()
    failed = project.run(mode, VERIFY, *KEEP)
    project.write("left/1.txt", "done")

    result = project.run(mode, VERIFY, "--lf")

    failed.assert_outcomes(passed=1, failed=1, errors=2, deselected=4 if mode == "-n0" else 0)
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.OK


def test_obtained_gate_that_only_skips_does_not_open_the_next_phase(project: Project) -> None:
    """A gate that is not selected is judged on the way, and by the same rules."""
    project.shrink("left")
    project.add_gate(
        'import pytest\n@pytest.mark.gate("G1")\ndef test_it(): pytest.skip("later")\n'
    )
    project.append("runbook.toml", """
        [tasks.left-two]
        agent = "left"
        phase = 2
        brief = "brief.md"
        needs = ["G1"]
    """)  # fmt: skip
    project.append("conftest.py", 'left_phase2 = phase_fixture("left", 2)\n')
    project.write("gates/test_phases.py", "def test_left_phase2(left_phase2): pass\n")

    result = project.run("gates/test_phases.py", "-n0")

    result.assert_outcomes(errors=1)
    assert project.started() == ["left-one"]
    result.stdout.fnmatch_lines(["*left-two waits: gate G1 is UNVERIFIABLE: *later*"])
