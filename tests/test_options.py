"""What people ask for on the command line, and what they are told when it makes no sense."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pytest_orchestrator import plugin
from pytest_orchestrator._domain.verdict import ExitStatus
from tests.project import Project

WORKERS = pytest.mark.parametrize("mode", [("-n0",), ("-n2",)], ids=["n0", "n2"])


def told(result: pytest.RunResult) -> str:
    """Everything pytest printed, with white space folded."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-m", "phase9"), "the runbook has no phase 9; it has phase1, phase2"),
        (("-m", "phase1 or phase12"), "the runbook has no phase 12"),
        (("--agents=orcale",), "--agents=orcale: there is no such back-end; there are off, nop"),
        (("--gate=G9",), "--gate=G9: the runbook has G1, G2"),
        (("--lane=middle",), "--lane=middle: the runbook has left, right"),
        (("--runbook=nowhere.toml",), "--runbook: there is no file"),
        (("--run-id=../up",), "--run-id=../up: a run's name has letters"),
        (("--run-id=.hidden",), "does not begin with a dot"),
        (("--workspace=left",), "it needs --agents=off"),
        (("--agents=off", "--workspace=nowhere"), "--workspace: there is no folder"),
        (("--run-status",), "there is no run scripted-"),
    ],
)
def test_option_that_makes_no_sense_is_a_usage_error(
    project: Project, arguments: tuple[str, ...], words: str
) -> None:
    """The exit status is 4, the sentence says what would be right, and nothing is started."""
    result = project.run("-n0", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in told(result)
    assert not project.starts()


@WORKERS
def test_wrong_runbook_is_a_usage_error_that_names_every_finding(
    project: Project, mode: tuple[str, ...]
) -> None:
    """Nothing starts on a runbook with two mistakes, and both are named."""
    project.edit("runbook.toml", 'agent = "left"\nphase = 2', 'agent = "lefty"\nphase = 2')
    project.edit("runbook.toml", 'needs = ["left-two", "right-two"]', 'needs = ["left-too"]')

    result = project.run(*mode)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "tasks.left-two.agent" in told(result)
    assert "gates.G2.needs" in told(result)
    assert not project.starts()


@WORKERS
def test_phase_without_a_fixture_is_a_usage_error_with_the_missing_line(
    project: Project, mode: tuple[str, ...]
) -> None:
    """Pytest prints the line that is missing in conftest.py."""
    project.edit("conftest.py", 'right_phase2 = phase_fixture("right", 2)\n', "")

    result = project.run(*mode)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert 'right_phase2 = phase_fixture("right", 2)' in told(result)


@pytest.mark.slow
def test_ini_keys_are_the_options_defaults(project: Project) -> None:
    """What is in the ini file holds unless the command line says otherwise."""
    project.write("pytest.ini", "[pytest]\ntestpaths = gates\norchestrator_agents = nop\n")

    result = project.run("-n0", "--collect-only")

    assert "agents nop" in told(result)
    assert "agents off" in told(project.run("-n0", "--collect-only", "--agents=off"))


def test_collecting_leaves_nothing_behind(project: Project) -> None:
    """``--collect-only`` shows the tests in their order and starts no run."""
    result = project.run("-n0", "--collect-only", "-q", "-p", "no:randomly")

    names = re.findall(r"::(\w+)", result.stdout.str())
    assert names.index("test_left_phase1") < names.index("test_left_phase2")
    assert not (project.root / ".orchestrator").exists()


@pytest.mark.slow
def test_status_tells_where_a_run_stands(project: Project) -> None:
    """``--run-status`` prints phases and gates from the ledger and runs no test."""
    project.run("-n0", "--agents=nop", "-m", "phase1")

    result = project.run("--run-status", "--agents=nop")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["run nop-*: small, agents nop, at rest", "*left_phase1*failed*", "*G1*FAILED*"]
    )


@pytest.mark.slow
def test_run_of_another_runbook_is_not_resumed(project: Project) -> None:
    """A run keeps to what its agents were told; another runbook needs another run."""
    project.run("-n0", "--agents=nop", "--run-id=mine", "-m", "phase1")
    project.write("brief.md", "Write another file.\n")

    result = project.run("-n0", "--agents=nop", "--run-id=mine", "-m", "phase1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "run mine was started for another runbook" in told(result)


@WORKERS
def test_run_folder_that_cannot_be_written_is_named(
    project: Project, mode: tuple[str, ...]
) -> None:
    """A sentence says which folder, and no agent is started."""
    project.write(".orchestrator", "a file where a folder has to be")

    result = project.run(*mode)

    assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR}
    assert "cannot be used" in told(result)
    assert not project.starts()


def test_gates_judge_the_tree_as_it_is_without_agents(project: Project) -> None:
    """``--agents=off`` judges the working tree, writes nothing into it, and starts nobody."""
    for path in ("left/1.txt", "right/1.txt", "left/2.txt"):
        project.write(path, "done")

    result = project.run("-n0", "--agents=off")

    result.assert_outcomes(passed=3, failed=1, deselected=4)
    result.stdout.fnmatch_lines(["G1*PASSED*", "G2*FAILED*"])
    assert not project.starts()


@pytest.mark.slow
def test_another_tree_can_be_judged(project: Project, tmp_path: Path) -> None:
    """``--workspace`` names the tree; a gate whose forerunner was not judged on it is blocked."""
    for path in ("left/1.txt", "right/1.txt", "left/2.txt", "right/2.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("done")

    alone = project.run("-n0", "--agents=off", f"--workspace={tmp_path}", "-m", "phase2")
    assert alone.ret == ExitStatus.BLOCKED
    way_out = f'run pytest --agents=off --workspace={tmp_path} -m "phase1 or phase2"'
    assert way_out in told(alone)

    both = project.run("-n0", "--agents=off", f"--workspace={tmp_path}")
    assert both.ret == pytest.ExitCode.OK

    again = project.run("-n0", "--agents=off", f"--workspace={tmp_path}", "-m", "phase2")
    assert again.ret == pytest.ExitCode.OK


def test_judged_tree_does_not_bring_its_own_gates(project: Project, tmp_path: Path) -> None:
    """Pytest must not take the judged tree for its root folder, and says how to prevent it."""
    (tmp_path / "pytest.ini").write_text("[pytest]")
    (tmp_path / "runbook.toml").write_text((project.root / "runbook.toml").read_text())

    result = project.run("-n0", "--agents=off", "--workspace", str(tmp_path))

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "write it as one word: --workspace=" in told(result)


def test_one_gate_and_one_lane_can_be_judged_by_themselves(project: Project) -> None:
    """``--gate`` and ``--lane`` narrow to the tests that are marked so."""
    project.write("left/1.txt", "done")

    result = project.run("-n0", "--agents=off", "--gate=G1", "--lane=left")

    result.assert_outcomes(passed=1, deselected=7)
    assert result.ret == pytest.ExitCode.OK


def test_markers_and_fixtures_are_listed(project: Project) -> None:
    """``--markers`` and ``--fixtures`` know the runbook's phases and our fixtures."""
    markers = told(project.run("--markers"))
    fixtures = told(project.run("-n0", "--fixtures"))

    assert "@pytest.mark.phase2" in markers
    assert "@pytest.mark.gate(name)" in markers
    for name in ("left_phase1", "workspace", "services", "traces", "contracts", "http"):
        assert name in fixtures


def test_windows_is_told_about_wsl(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows there is a sentence, not a traceback."""
    config = project.pytester.parseconfig()
    monkeypatch.setattr(os, "name", "nt")

    with pytest.raises(pytest.UsageError, match="WSL"):
        plugin.pytest_configure(config)
