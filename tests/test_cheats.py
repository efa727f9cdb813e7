"""Cheats: none has a gate say yes that would have said no, and what leaves a trace is named.

What the agents of these tests are to do is write ``left/1.txt``; they do not.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pytest_orchestrator
from pytest_orchestrator._domain.event import GateOpened, GateTestFinished, RunCreated
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.ledger_key import VARIABLE
from pytest_orchestrator.errors import Infra
from tests.cheats import (
    EVIL,
    GREEN_GATE,
    PLANTED,
    PLAYED,
    PRELUDE,
    SHIM,
    Planted,
    Played,
)
from tests.project import LANES, Project, build

pytestmark = pytest.mark.slow

RUNBOOK = f"""{LANES.partition("[agents.right]")[0]}
[tasks.left-one]
agent = "left"
phase = 1
brief = "brief.md"

[gates.G1]
title = "all have begun"
phase = 2
tests = "gates/test_g1.py"
needs = ["left-one"]

[tasks.left-three]
agent = "left"
phase = 3
brief = "brief.md"
needs = ["G1"]
"""
CONFTEST = """
from pytest_orchestrator import phase_fixture

left_phase1 = phase_fixture("left", 1)
left_phase3 = phase_fixture("left", 3)
"""
PHASES = """
def test_left_phase1(left_phase1):
    assert left_phase1.status == "succeeded"

def test_left_phase3(left_phase3):
    assert left_phase3.status == "succeeded"
"""
GATE = GREEN_GATE.replace("pass", 'assert (workspace / "left/1.txt").is_file()')
PASSED = re.compile(r"^ *G1 +PASSED", re.MULTILINE)
TEST = "gates/test_g1.py::test_left"


@pytest.fixture
def cheated(project: Project) -> Project:
    """A project of one lane, whose gate asks for a file that its agent does not write."""
    project.write("runbook.toml", RUNBOOK)
    project.write("conftest.py", CONFTEST)
    project.write("gates/test_phases.py", PHASES)
    project.write("gates/test_g1.py", GATE)
    (project.root / "gates/test_g2.py").unlink()
    project.agent("left-one", "")
    project.agent("left-three", "")
    return project


def play(project: Project, script: str) -> None:
    """Have the agent do something else in place of its task."""
    project.agent("left-one", PRELUDE + script)


def tell(result: pytest.RunResult) -> str:
    """All that was printed."""
    return f"{result.stdout}\n{result.stderr}"


def summary(result: pytest.RunResult) -> str:
    """What the orchestrator itself says at the end."""
    return tell(result).rpartition("= orchestrator =")[2]


def verdict(project: Project) -> str:
    """What the run's ledger says of the gate; ``"refused"`` if it is not believed."""
    try:
        record = project.state().gate("G1").record
    except Infra:
        return "refused"
    return str(record and record.verdict())


def judge(project: Project, tree: Path, *arguments: str) -> pytest.RunResult:
    """Judge a tree as it is."""
    return project.run("--agents=off", f"--workspace={tree}", *arguments)


def plant(tree: Path, files: dict[str, str]) -> Path:
    """Write files of a tree, programs executable."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text == SHIM:
            path.chmod(0o755)
    return tree


# ---------------------------------------------------------------- the honest runs


@pytest.mark.parametrize("asked", [(), ("-k", "phase3")], ids=["session", "nested"])
def test_work_that_is_done_passes_and_nothing_is_named(
    asked: tuple[str, ...], cheated: Project
) -> None:
    """What the cheats below are compared with can say yes."""
    cheated.agent("left-one", build("left/1.txt"))

    result = cheated.run(*asked)

    assert result.ret == 0, tell(result)
    assert verdict(cheated) == "PASSED"
    assert "attempts:" not in tell(result)


@pytest.mark.parametrize("asked", [(), ("-k", "phase3")], ids=["session", "nested"])
def test_work_that_is_not_done_fails(asked: tuple[str, ...], cheated: Project) -> None:
    """And no."""
    result = cheated.run(*asked)

    assert result.ret != 0
    assert verdict(cheated) == "FAILED"
    assert "attempts:" not in tell(result)


# ---------------------------------------------------------------- in a tree that is judged


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_nothing_in_a_tree_changes_what_is_said_of_it(planted: Planted, cheated: Project) -> None:
    """The tree is judged as without it, and the report names the file."""
    tree = plant(cheated.root / "tree", planted.files)

    result = judge(cheated, tree)

    assert result.ret == 1, tell(result)
    assert re.search(r"^G1 +FAILED", summary(result), re.MULTILINE), tell(result)
    assert "5 passed in" not in tell(result)
    if planted.named:
        assert re.search(f"attempts: .*{planted.named}", summary(result), re.DOTALL), tell(result)


def test_nothing_in_a_tree_is_named_if_the_work_is_done(cheated: Project) -> None:
    """A cheat that was not needed keeps nobody from passing, and is named all the same."""
    tree = plant(cheated.root / "tree", {"left/1.txt": "done", "sitecustomize.py": EVIL})

    result = judge(cheated, tree)

    assert result.ret == 0, tell(result)
    assert "sitecustomize.py: Python imports it" in summary(result)


def test_tree_that_was_copied_from_the_project_is_no_attempt(cheated: Project) -> None:
    """Its gates, conftest file and settings are the project's own, to the byte."""
    cheated.write("tree/left/1.txt", "done")
    for name in ("conftest.py", "pytest.ini", "gates", "runbook.toml"):
        source, target = cheated.root / name, cheated.root / "tree" / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)

    result = judge(cheated, cheated.root / "tree")

    assert result.ret == 0, tell(result)
    assert "attempts:" not in tell(result)


def from_within(project: Project, tree: Path) -> subprocess.CompletedProcess[str]:
    """Start pytest in the tree."""
    command = [sys.executable, "-m", "pytest", f"--rootdir={project.root}", "--agents=off"]
    command += [f"--runbook={project.root / 'runbook.toml'}", "--workspace=."]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def with_its_tests(project: Project, tree: Path) -> subprocess.CompletedProcess[str]:
    """Give pytest the tree's gates."""
    command = [sys.executable, "-m", "pytest", str(tree / "gates"), "--agents=off"]
    command += [f"--rootdir={project.root}", f"--workspace={tree}"]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)


def with_its_modules(project: Project, tree: Path) -> subprocess.CompletedProcess[str]:
    """Give Python the tree's modules."""
    command = [sys.executable, "-m", "pytest", "--agents=off", f"--workspace={tree}"]
    inherited = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{tree}"}
    return subprocess.run(
        command, cwd=project.root, env=inherited, capture_output=True, text=True, check=False
    )


def with_its_settings(project: Project, tree: Path) -> subprocess.CompletedProcess[str]:
    """Give pytest the tree's settings."""
    command = [sys.executable, "-m", "pytest", "--agents=off", f"--workspace={tree}"]
    command += ["-c", str(tree / "pytest.ini"), f"--rootdir={project.root}"]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "asked", [from_within, with_its_tests, with_its_modules, with_its_settings]
)
def test_tree_is_never_asked_to_judge_itself(
    asked: Callable[[Project, Path], subprocess.CompletedProcess[str]], cheated: Project
) -> None:
    """However it is asked for, it is refused before its conftest files are read."""
    files = {"gates/test_g1.py": GREEN_GATE, "conftest.py": EVIL, "gates/conftest.py": EVIL}
    tree = plant(cheated.root / "tree", {**files, "pytest.ini": "[pytest]\n"})

    done = asked(cheated, tree)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert "that tree would bring the" in done.stderr
    assert "passed" not in done.stdout


# ---------------------------------------------------------------- played while at work


def _prepare(project: Project) -> None:
    """A genuine ledger of another run in which the gate has passed."""
    other = Ledger(project.root / "other")
    other.append(RunCreated(identity="identity", agents="scripted"))
    other.append(GateOpened(gate="G1", key="key", tests=(TEST,)))
    other.append(GateTestFinished(gate="G1", key="key", test=TEST, outcome=Outcome.PASSED))
    other.close()
    shutil.move(project.root / "other/ledger.sqlite", project.root / "elsewhere.sqlite")


def _check(result: pytest.RunResult, project: Project, played: Played) -> None:
    told = tell(result)
    assert result.ret != 0, told
    assert verdict(project) != "PASSED", told
    assert not PASSED.search(summary(result)), told
    assert re.search(played.named, told), told
    assert "INTERNALERROR" not in told
    assert "\x1b" not in told
    assert len(told) < 2_000_000


@pytest.mark.parametrize("played", PLAYED.values(), ids=PLAYED)
def test_nothing_an_agent_does_has_the_session_say_yes(played: Played, cheated: Project) -> None:
    """The gate says no or that it cannot judge, the session is red, and the trace is named."""
    _prepare(cheated)
    play(cheated, played.script)

    _check(cheated.run(), cheated, played)


EVERYWHERE = {name: played for name, played in PLAYED.items() if played.everywhere}


@pytest.mark.parametrize("played", EVERYWHERE.values(), ids=EVERYWHERE)
def test_nothing_an_agent_does_has_a_nested_session_say_yes(
    played: Played, cheated: Project
) -> None:
    """The same for a gate that is judged on behalf of a later phase."""
    _prepare(cheated)
    play(cheated, played.script)

    _check(cheated.run("-k", "phase3"), cheated, played)
    assert "left-three" not in cheated.started()


def test_change_of_the_installed_package_is_seen(
    cheated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that rewrites the judge itself turns the session red."""
    installed = cheated.root.parent / f"{cheated.root.name}-package"
    package = installed / "pytest_orchestrator"
    source = Path(pytest_orchestrator.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{os.environ['PYTHONPATH']}")
    cheated.agent("left-one", build("left/1.txt"))
    cheated.append(
        "agents/left-one.py",
        f"\nwith open({str(package / 'checks.py')!r}, 'a') as f: f.write('check_json = None')",
    )

    result = cheated.run()

    assert result.ret != 0
    assert "(installed) pytest_orchestrator/checks.py: judges, and changed" in tell(result)


def test_change_between_sessions_is_the_developers_own(cheated: Project) -> None:
    """Who mends a gate runs again, and it is judged by what it says now."""
    assert cheated.run().ret != 0
    cheated.edit("gates/test_g1.py", "left/1.txt", ".")
    cheated.edit("gates/test_g1.py", "is_file", "is_dir")

    result = cheated.run()

    assert result.ret == 0, tell(result)
    assert "attempts:" not in tell(result)


def test_gate_that_was_changed_and_put_back_says_what_it_says(cheated: Project) -> None:
    """Nothing of what it said meanwhile is left, not even bytecode."""
    play(cheated, PLAYED["edits the gate and puts its time back"].script)
    about = (cheated.root / "gates/test_g1.py").stat()
    assert cheated.run("-k", "phase3").ret != 0
    cheated.write("gates/test_g1.py", GATE)
    os.utime(cheated.root / "gates/test_g1.py", ns=(about.st_atime_ns, about.st_mtime_ns))

    again = cheated.run("-k", "phase3")

    assert again.ret != 0
    assert verdict(cheated) == "FAILED"


HELPED = GREEN_GATE.replace("import pytest", "import pytest\nfrom helper import is_done").replace(
    "pass", "assert is_done(workspace)"
)
HELPER = 'def is_done(workspace):\n    return (workspace / "left/1.txt").is_file()\n'
CACHES = {
    "gate": ("gates/test_g1.py", GREEN_GATE),
    "helper": ("gates/helper.py", "def is_done(workspace):\n    return True\n"),
    "conftest": ("conftest.py", f"{CONFTEST}\n{EVIL}"),
}


@pytest.mark.parametrize(("name", "evil"), CACHES.values(), ids=CACHES)
def test_bytecode_beside_a_source_is_not_believed(name: str, evil: str, cheated: Project) -> None:
    """A compiled file whose head fits the source, in Python's cache and in pytest's."""
    cheated.write("gates/test_g1.py", HELPED)
    cheated.write("gates/helper.py", HELPER)
    source = cheated.root / name
    poison(source, evil)
    tree = plant(cheated.root / "tree", {"left/2.txt": ""})

    result = judge(cheated, tree)

    assert result.ret == 1, tell(result)
    assert re.search(r"^G1 +FAILED", summary(result), re.MULTILINE), tell(result)


def poison(source: Path, evil: str) -> None:
    """Put other code into every cache of a module, under a head that fits the module."""
    honest, about = source.read_text(), source.stat()
    source.write_text(evil)
    cached = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(str(source), str(cached), doraise=True)
    head = (3).to_bytes(4, "little") + importlib.util.source_hash(honest.encode())
    code = cached.read_bytes()[16:]
    plain = int(about.st_mtime).to_bytes(4, "little") + about.st_size.to_bytes(4, "little")
    magic = importlib.util.MAGIC_NUMBER
    cached.write_bytes(magic + bytes(4) + plain + code)
    for version in ("", f"-{pytest.__version__}"):
        tag = f"{sys.implementation.cache_tag}-pytest{version}"
        rewritten = cached.with_name(f"{source.stem}.{tag}.pyc")
        rewritten.write_bytes(magic + head + code)
    source.write_text(honest)
    os.utime(source, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.parametrize("asked", [(), ("-n2",)], ids=["alone", "xdist"])
def test_key_of_a_pipeline_reaches_who_judges_and_no_agent(
    asked: tuple[str, ...], cheated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runner, workers and nested sessions write one chain; the agent sees no key."""
    secret = "of-the-pipeline-0123456789abcdef"  # noqa: S105 - no secret
    monkeypatch.setenv(VARIABLE, secret)
    cheated.agent("left-one", build("left/1.txt"))
    script = "\nimport os, sys\nsys.exit(any('-pipeline-' in v for v in os.environ.values()))\n"
    cheated.append("agents/left-one.py", script)

    result = cheated.run(*asked)

    assert result.ret == 0, tell(result)
    assert secret not in tell(result)
    written = [p for p in (cheated.root / ".orchestrator").rglob("*") if p.is_file()]
    assert not [p for p in written if secret.encode() in p.read_bytes()]
    monkeypatch.delenv(VARIABLE)
    refused = cheated.run(*asked)
    interrupted = pytest.ExitCode.INTERRUPTED  # as xdist's controller ends what it refuses
    assert refused.ret in {pytest.ExitCode.USAGE_ERROR, interrupted}, tell(refused)
    assert f"give the key it was written with as {VARIABLE}" in tell(refused)


@pytest.mark.parametrize("asked", [(), ("-k", "phase3")], ids=["session", "nested"])
def test_tree_that_changes_while_it_is_judged_has_no_verdict(
    asked: tuple[str, ...], cheated: Project
) -> None:
    """Whoever rewrites it, nobody knows what was judged."""
    cheated.agent("left-one", build("left/1.txt"))
    rewrite = '(workspace / "left/1.txt").write_text("other")'
    cheated.write("gates/test_g1.py", GREEN_GATE.replace("pass", rewrite))

    result = cheated.run(*asked)

    assert result.ret != 0
    assert verdict(cheated) == "INFRA"
    assert re.search(r"left/1.txt changed in .*trees/G1 while it was judged", tell(result))


def test_judge_that_is_killed_has_said_nothing(cheated: Project) -> None:
    """An agent that kills pytest itself gets no verdict, now or later."""
    play(
        cheated,
        """
        for pid, command in parents():
            if "carry-out" not in command and "pytest" in " ".join(command):
                os.kill(pid, signal.SIGKILL)
                break
        """,
    )

    killed = cheated.start()
    assert killed.wait(60) != 0
    cheated.agent("left-one", "")

    assert cheated.run().ret != 0
    assert verdict(cheated) == "FAILED"
