"""A gate is answered from its recorded verdict as long as nothing has changed, and not longer."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from pytest_orchestrator._domain.basis import Basis
from pytest_orchestrator._domain.event import GateOpened
from pytest_orchestrator._domain.verdict import ExitStatus, Outcome
from pytest_orchestrator._run.ledger import Ledger
from tests.project import Project

VERIFY = "--agents=off"
REUSED = "*PASSED*reused: nothing it judges has changed*"
COUNTED = """

def test_counted(pytestconfig):
    with (pytestconfig.rootpath / "judged.log").open("a") as log:
        log.write("{gate}\\n")
"""


@pytest.fixture
def counted(project: Project) -> Project:
    """A project whose gates note each time they judge, and whose tree is finished."""
    project.finish()
    for gate in (1, 2):
        project.append(f"gates/test_g{gate}.py", COUNTED.format(gate=f"G{gate}"))
    return project


def judged(project: Project) -> Counter[str]:
    """How often each gate has judged since this was asked last."""
    log = project.root / "judged.log"
    told = Counter(log.read_text().split()) if log.exists() else Counter()
    log.unlink(missing_ok=True)
    return told


def named(folder: Path) -> set[str]:
    """The gates whose verdicts say what they rest on, each of which has to be so."""
    ledger = Ledger(folder)
    opened = [e.event for e in ledger.entries(0) if isinstance(e.event, GateOpened)]
    ledger.close()
    for event in opened:
        basis = Basis(**event.basis)  # type: ignore[arg-type]
        assert event.key == basis.key
        assert basis.tree
        assert basis.sources
        assert basis.tools["pytest"] == pytest.__version__
    return {event.gate for event in opened}


def test_unchanged_gates_are_not_judged_again(counted: Project) -> None:
    """Without agents, too: a second session reads the verdicts, and says so; a touch is nothing."""
    first = counted.run("-n0", VERIFY)
    assert judged(counted) == {"G1": 1, "G2": 1}
    assert named(counted.root / ".orchestrator/runs/verify") == {"G1", "G2"}

    for path in ("left/1.txt", "gates/test_g1.py", "conftest.py", "runbook.toml"):
        os.utime(counted.root / path)
    second = counted.run("-n0", VERIFY)

    assert not judged(counted)
    assert (first.ret, second.ret) == (0, 0)
    first.assert_outcomes(passed=6, deselected=4)
    second.assert_outcomes(passed=6, deselected=4)
    first.stdout.no_fnmatch_line(REUSED)
    second.stdout.fnmatch_lines([f"G1{REUSED}", f"G2{REUSED}"])


def test_gates_are_judged_again_on_demand(counted: Project) -> None:
    """``--rejudge`` has the selected gates judged, and no others."""
    counted.run("-n0", VERIFY)
    judged(counted)

    result = counted.run("-n0", VERIFY, "--rejudge", "-m", "phase2")

    assert result.ret == pytest.ExitCode.OK
    assert judged(counted) == {"G2": 1}


@pytest.mark.slow
def test_failed_verdict_is_not_reused(counted: Project) -> None:
    """Whoever failed is judged again as a whole, also if nothing has changed that we know of."""
    counted.append(
        "gates/test_g1.py",
        """
        def test_weather(pytestconfig):
            assert (pytestconfig.rootpath / "sun").exists()
        """,
    )
    failed = counted.run("-n0", VERIFY, "-m", "phase1")
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    (counted.root / "sun").touch()

    passed = counted.run("-n0", VERIFY, "-m", "phase1")

    assert passed.ret == pytest.ExitCode.OK
    assert judged(counted) == {"G1": 2}


@pytest.mark.slow
def test_any_changed_byte_has_the_gates_judged_again(counted: Project, tmp_path: Path) -> None:
    """Tree, ignored file, gate, helper, conftest, settings, program: each in a real session."""
    counted.append(".gitignore", "\n.env\n")
    counted.write("left/.env", "MODE=quick\n")
    counted.write("gates/helper.py", "# helps\n")
    counted.append(
        "runbook.toml",
        """
        [stacks.scripted]
        recognised_by = ["main.txt"]
        start = ["run-it"]
        """,
    )
    tool = tmp_path / "run-it"
    tool.write_text("#!/bin/sh\n# version 1\n")
    tool.chmod(0o755)
    counted.pytester._monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    counted.run("-n0", VERIFY)
    assert judged(counted) == {"G1": 1, "G2": 1}
    files = (
        "left/1.txt", "left/.env", "gates/helper.py", "conftest.py", "pytest.ini", "runbook.toml",
    )  # fmt: skip
    for path in (*(counted.root / file for file in files), tool):
        content, at = path.read_bytes(), path.stat()
        if path.name == "runbook.toml":
            path.write_bytes(content.replace(b'"run-it"', b'"run-it", "-v"'))
        else:
            path.write_bytes(content + b"#")
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))

        changed = counted.run("-n0", VERIFY)
        assert (changed.ret, judged(counted)) == (0, {"G1": 1, "G2": 1}), path

        path.write_bytes(content)
        undone = counted.run("-n0", VERIFY)
        assert (undone.ret, judged(counted)) == (0, {}), path


@pytest.mark.parametrize(
    ("path", "said"), [("left/late.txt", Outcome.PASSED), ("gates/late.py", Outcome.INFRA)]
)
def test_verdict_on_what_changed_meanwhile_is_not_reused(
    counted: Project, path: str, said: Outcome
) -> None:
    """It stands for its own session, if what judges is the same; the next one judges again."""
    counted.append(
        "gates/test_g2.py",
        f"""
        def test_a_late_change(pytestconfig):
            with (pytestconfig.rootpath / "{path}").open("a") as late:
                late.write("# more\\n")
        """,
    )
    first = counted.run("-n0", VERIFY)
    assert first.ret == ExitStatus[said]
    first.stdout.fnmatch_lines([f"G2*{said}*"])
    judged(counted)
    (counted.root / path).unlink()  # as it was when it was judged

    second = counted.run("-n0", VERIFY)

    assert second.ret == ExitStatus[said]
    assert judged(counted)["G2"] == 1 or said is Outcome.INFRA  # then no test may begin


@pytest.mark.slow
def test_what_agents_have_built_is_answered_too(counted: Project) -> None:
    """With agents: reused, judged again on demand, and for each changed source."""
    counted.run("-n0")
    assert judged(counted) == {"G1": 1, "G2": 1}
    assert named(counted.run_folder) == {"G1", "G2"}

    counted.run("-n0")
    assert not judged(counted)

    again = counted.run("-n0", "--rejudge")
    assert (again.ret, judged(counted)) == (0, {"G1": 1, "G2": 1})

    counted.append("gates/test_g1.py", "# another comment\n")
    changed = counted.run("-n0", "-m", "phase2")
    assert changed.ret == pytest.ExitCode.OK
    assert judged(counted) == {"G1": 1, "G2": 1}
    assert named(counted.run_folder) == {"G1", "G2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "agents", [VERIFY, pytest.param("--agents=scripted", marks=pytest.mark.slow)]
)
def test_no_worker_is_started_to_read_the_ledger(counted: Project, agents: str) -> None:
    """``-n auto`` means none when all is recorded; ``-n 2`` means two all the same."""
    auto = ("-n", "auto", agents, "-v")
    first = counted.run(*auto)
    first.stdout.fnmatch_lines(["*3 workers*"])
    assert judged(counted) == {"G1": 1, "G2": 1}

    second = counted.run(*auto, "-m", "phase2")
    second.stdout.no_fnmatch_line("*workers*")
    second.stdout.fnmatch_lines([f"G2{REUSED}"])
    explicit = counted.run("-n", "2", agents, "-v", "-m", "phase2")
    explicit.stdout.fnmatch_lines(["*2 workers*", f"G2{REUSED}"])

    assert (first.ret, second.ret, explicit.ret) == (0, 0, 0)
    assert not judged(counted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("--rejudge",), ("-m", "phase2", "--lane=left"), (".",), ("changed",)],
    ids=["rejudge", "lane", "other-tests", "changed"],
)
def test_workers_are_started_when_there_is_work(
    counted: Project, arguments: tuple[str, ...]
) -> None:
    """Judging again, tests that are none of a gate's, or a changed tree: as many as ever."""
    counted.run("-n0", VERIFY)
    if arguments == ("changed",):
        counted.write("left/1.txt", "done otherwise")
        arguments = ()

    result = counted.run("-n", "auto", VERIFY, "-v", *arguments)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*3 workers*"])


def test_other_words_for_agents_do_not_matter_to_those_who_judge_without(
    counted: Project,
) -> None:
    """Without agents, a runbook whose roles or briefs were changed judges in the same run."""
    counted.run("-n0", VERIFY, "-m", "phase1")
    judged(counted)
    text = (counted.root / "runbook.toml").read_text()
    counted.write("runbook.toml", text.replace("backend-developer", "python-pro"))

    result = counted.run("-n0", VERIFY, "-m", "phase1")

    assert result.ret == pytest.ExitCode.OK
    assert not judged(counted)
