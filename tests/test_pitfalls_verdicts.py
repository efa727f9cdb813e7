"""Nothing turns a gate green but its tests, and the exit status says which way it is not."""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

from pytest_orchestrator._domain.verdict import ExitStatus
from tests.project import GATE, Project

VERIFY = "--agents=off"
GATE_1 = GATE.format(n=1)
ANY = pytest.param
NOT_JUDGED, UNVERIFIABLE = ExitStatus.NOT_JUDGED, ExitStatus.UNVERIFIABLE
FAILED, INFRA = ExitStatus.FAILED, ExitStatus.INFRA
EXIT_0 = 'pytest.exit("enough", returncode=0)'
FLIP = """
import pytest

@pytest.hookimpl(wrapper=True, {order})
def pytest_runtest_makereport():
    report = yield
    if report.failed:
        report.outcome, report.longrepr = "passed", None
    return report
"""


def more(code: str) -> str:
    """The first gate with one test more."""
    return f"{GATE_1}\n{code}\n"


def in_modes(cases: list[ParameterSet]) -> list[ParameterSet]:
    """Each in the one process there is, every third also on two workers."""
    with_workers = [case for n, case in enumerate(cases) if n % 3 == 0]
    return [
        pytest.param(mode, *case.values, id=f"{case.id}{mode}")
        for mode, some in (("-n0", cases), ("-n2", with_workers))
        for case in some
    ]


MODULES = [
    ANY(more("@pytest.mark.skip('later')\ndef test_it(): pass"), UNVERIFIABLE, id="skip"),
    ANY(more("def test_it(): pytest.skip('later')"), UNVERIFIABLE, id="skips-itself"),
    ANY(more("def test_it(): pytest.importorskip('no_such')"), UNVERIFIABLE, id="importorskip"),
    ANY(more("@pytest.fixture\ndef f(): pytest.skip('x')\ndef test_it(f): pass"),
        UNVERIFIABLE, id="fixture-skips"),
    ANY(more("def test_it(subtests):\n    with subtests.test(): pytest.skip('x')"),
        UNVERIFIABLE, id="subtest-skips"),
    ANY(more("def test_it(subtests):\n    with subtests.test(): assert 0"), FAILED,
        id="subtest-fails"),
    ANY(more("@pytest.mark.xfail\ndef test_it(): assert 0"), FAILED, id="xfail"),
    ANY(more("@pytest.mark.xfail\ndef test_it(): pass"), FAILED, id="xpass"),
    ANY(more("@pytest.mark.xfail(strict=True)\ndef test_it(): pass"), FAILED, id="xpass-strict"),
    ANY(more("@pytest.mark.xfail(run=False)\ndef test_it(): pass"), FAILED, id="xfail-not-run"),
    ANY(more("def test_it(): pytest.xfail('known')"), FAILED, id="xfails-itself"),
    ANY(more("@pytest.fixture\ndef f(): 1/0\ndef test_it(f): pass"), INFRA, id="fixture-breaks"),
    ANY(more("@pytest.fixture\ndef f():\n    yield\n    1/0\ndef test_it(f): pass"), INFRA,
        id="teardown-breaks"),
    ANY("", NOT_JUDGED, id="empty"),
    ANY("import pytest\npytest.skip('x', allow_module_level=True)", NOT_JUDGED, id="module-skips"),
    ANY("import pytest\npytest.importorskip('no_such')", NOT_JUDGED, id="module-importorskips"),
    ANY(more("@pytest.mark.parametrize('n', [])\ndef test_it(n): pass"), UNVERIFIABLE,
        id="no-parameters"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "module", "status"), in_modes(MODULES))
def test_gate_is_green_only_by_its_tests(
    project: Project, mode: str, module: str, status: ExitStatus
) -> None:
    """Whatever its module does instead of judging has a status of its own."""
    project.finish()
    project.write("gates/test_g1.py", module)

    result = project.run(mode, VERIFY)

    assert result.ret == status
    result.stdout.re_match_lines([f"G1 +{status.name.replace('_', ' ')}"])
    result.stdout.no_re_match_line("G1 +PASSED")


OPTIONS = [
    ANY(("-k", "left"), NOT_JUDGED, id="keyword"),
    ANY(("-k", "test_g1"), NOT_JUDGED, id="keyword-of-one-gate"),
    ANY(("--deselect=gates/test_g1.py::test_left",), NOT_JUDGED, id="deselect"),
    ANY(("--deselect=gates/test_g2.py",), NOT_JUDGED, id="deselect-gate"),
    ANY(("gates/test_g1.py::test_left",), NOT_JUDGED, id="node-id"),
    ANY(("--pyargs", "gates.test_g1::test_left"), NOT_JUDGED, id="pyargs"),
    ANY(("--ignore=gates/test_g2.py",), NOT_JUDGED, id="ignore"),
    ANY(("--ignore-glob=*g2*",), NOT_JUDGED, id="ignore-glob"),
    ANY(("--collect-only",), NOT_JUDGED, id="collect-only"),
    ANY(("--setup-plan",), NOT_JUDGED, id="setup-plan"),
    ANY(("--setup-only",), NOT_JUDGED, id="setup-only"),
    ANY(("-p", "no:orchestrator-items"), pytest.ExitCode.USAGE_ERROR, id="no-items"),
    ANY(("-p", "no:orchestrator-controller"), pytest.ExitCode.USAGE_ERROR, id="no-controller"),
    ANY(("-p", "no:orchestrator"), pytest.ExitCode.TESTS_FAILED, id="no-plugin"),
]


@pytest.mark.parametrize(("mode", "options", "status"), in_modes(OPTIONS))
def test_what_leaves_tests_out_is_not_green(
    project: Project, mode: str, options: tuple[str, ...], status: int
) -> None:
    """Though every test that ran has passed: that is no verdict on a gate that was asked for."""
    project.finish()
    project.write("gates/__init__.py", "")
    off = () if "no:orchestrator" in options else (VERIFY,)

    result = project.run(mode, *options, *off)

    assert result.ret == status


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_session_that_is_told_to_exit_with_0_does_not(project: Project, mode: str) -> None:
    """``pytest.exit(returncode=0)`` before the gates have judged leaves them unjudged."""
    project.finish()
    project.run("-n0", VERIFY)
    project.write("left/1.txt", "something else")
    project.edit(
        "gates/test_g1.py", "def test_left(workspace):", f"def test_left(workspace):\n    {EXIT_0}"
    )

    result = project.run(mode, VERIFY)

    # A worker cannot exit without an internal error of xdist's.
    assert result.ret == (NOT_JUDGED if mode == "-n0" else pytest.ExitCode.INTERNAL_ERROR)


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
@pytest.mark.parametrize("order", ["tryfirst=True", "trylast=True"])
def test_plugin_that_changes_outcomes_changes_no_verdict(
    project: Project, mode: str, order: str
) -> None:
    """What was raised counts, not what a report says of it, however early that is changed."""
    project.finish()
    (project.root / "left/1.txt").unlink()
    project.append("conftest.py", FLIP.format(order=order))

    result = project.run(mode, VERIFY)

    assert result.ret == ExitStatus.FAILED
    result.stdout.re_match_lines(["G1 +FAILED", "G2 +BLOCKED"])


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
@pytest.mark.parametrize("on", [(), ("--continue-on-collection-errors",)])
def test_gate_that_cannot_be_collected_is_not_green(
    project: Project, mode: str, on: tuple[str, ...]
) -> None:
    """With or without the others being run."""
    project.finish()
    project.write("gates/test_g1.py", "import no_such_module")

    result = project.run(mode, VERIFY, *on)

    assert result.ret == (pytest.ExitCode.TESTS_FAILED if on else pytest.ExitCode.INTERRUPTED)


@pytest.mark.parametrize("option", ["--lf", "--ff", "-x", "--maxfail=1"])
@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_session_that_is_cut_short_has_the_status_of_its_cause(
    project: Project, mode: str, option: str
) -> None:
    """And not the one of what it did not come to, nor an interruption's under xdist."""
    project.finish()
    (project.root / "left/1.txt").unlink()
    cache = ("-p", "cacheprovider", "-o", "cache_dir=cache")
    project.run("-n0", VERIFY, *cache)

    result = project.run(mode, VERIFY, option, *cache)

    assert result.ret == ExitStatus.FAILED
    result.stdout.re_match_lines(["G1 +FAILED"])


def test_session_that_goes_on_where_the_last_one_failed_is_not_green(project: Project) -> None:
    """``--sw`` is interrupted, as pytest has it, and then leaves out what passed elsewhere."""
    project.finish()
    (project.root / "right/1.txt").unlink()
    options = ("-n0", VERIFY, "--sw", "-p", "cacheprovider", "-p", "stepwise", "-p", "no:randomly")

    stopped = project.run(*options, "gates/test_g1.py")
    project.write("right/1.txt", "done")
    result = project.run(*options, "gates/test_g1.py")

    assert (stopped.ret, result.ret) == (pytest.ExitCode.INTERRUPTED, NOT_JUDGED)
    result.assert_outcomes(passed=1, deselected=1)


def test_verdict_of_a_gate_that_was_left_out_counts_while_it_holds(project: Project) -> None:
    """What passed on this very tree has passed; on another tree it is not judged."""
    project.finish()
    project.run("-n0", VERIFY)

    same = project.run("-n0", VERIFY, "--deselect=gates/test_g2.py")
    project.write("left/1.txt", "something else")
    changed = project.run("-n0", VERIFY, "--deselect=gates/test_g2.py")

    assert (same.ret, changed.ret) == (0, NOT_JUDGED)
    changed.stdout.re_match_lines(["G1 +PASSED", "G2 +NOT JUDGED", "exit status 14: NOT JUDGED G2"])
