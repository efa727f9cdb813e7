"""Contracts that change at the wrong moment: whole runs in which something has to give."""

from __future__ import annotations

import json

import pytest

from pytest_orchestrator._domain.verdict import ExitStatus
from tests.project import LANES, Project, build
from tests.test_contract_flow import IN_TURN, spec, starts_of

API = """
[contracts.api]
kind = "openapi"
path = "docs/contracts/api.json"
publisher = "left"
consumers = ["right"]
"""
OTHER = """
[agents.writer]
role = "writer"
owns = ["docs/contracts/b.draft.json"]

[contracts.b]
kind = "openapi"
path = "docs/contracts/b.json"
draft = "docs/contracts/b.draft.json"
publisher = "right"
consumers = ["left"]
"""
WRITE = """
import json, os, time
from pathlib import Path
path = Path("docs/contracts/{name}.json")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text({text!r})
"""
# A document with a path that no other revision has, so that each breaks the one before.
RESTLESS = """
import json, time
from pathlib import Path
path = Path("docs/contracts/{name}.json")
path.parent.mkdir(parents=True, exist_ok=True)
document = json.loads({text!r})
document["paths"]["/" + str(time.time_ns())] = document["paths"]["/health"]
path.write_text(json.dumps(document))
"""


def a_task(
    name: str, agent: str, phase: int, needs: tuple[str, ...] = (), publishes: tuple[str, ...] = ()
) -> str:
    """A task's table."""
    return (
        f'[tasks.{name}]\nagent = "{agent}"\nphase = {phase}\nbrief = "brief.md"\n'
        f"needs = {json.dumps(needs)}\npublishes = {json.dumps(publishes)}\n"
    )


def a_gate(name: str, phase: int, *needs: str) -> str:
    """A gate's table."""
    tests = f"gates/test_{name.lower()}.py"
    return (
        f'[gates.{name}]\ntitle = "t"\nphase = {phase}\ntests = "{tests}"\n'
        f"needs = {json.dumps(needs)}\n"
    )


def write(project: Project, runbook: str, parts: tuple[str, ...], **gates: str) -> None:
    """Make it a project with these parts, in this order, and gates that look for these files."""
    project.write("runbook.toml", runbook)
    fixtures = "from pytest_orchestrator import phase_fixture\n"
    tests = ""
    for part in parts:
        agent, _, phase = part.rpartition("_phase")
        fixtures += f'{part} = phase_fixture("{agent}", {phase})\n'
        tests += f"def test_{part}({part}):\n    pass\n\n"
    project.write("conftest.py", fixtures)
    project.write("gates/test_phases.py", tests)
    for path in (project.root / "gates").glob("test_g*.py"):
        path.unlink()
    for name, file in gates.items():
        project.write(
            f"gates/test_{name.lower()}.py",
            f"import pytest\n\npytestmark = pytest.mark.gate({name!r})\n\n"
            f"def test_it(workspace):\n    assert (workspace / {file!r}).is_file()\n",
        )


@pytest.mark.slow
@pytest.mark.parametrize("mode", [IN_TURN, ("-n1",), ("-n2",)])
def test_publisher_behind_a_gate_of_this_session_is_not_started_before_it(
    project: Project, mode: tuple[str, ...]
) -> None:
    """Though its consumer comes first: it would be parked, because the gate has not judged yet."""
    runbook = LANES + API + a_task("left-one", "left", 1) + a_gate("G1", 1, "left-one")
    runbook += a_task("left-two", "left", 2, ("G1",), ("api",))
    runbook += a_task("right-two", "right", 2, ("api",)) + a_gate("G2", 2, "right-two", "api")
    parts = ("right_phase2", "left_phase1", "left_phase2")
    write(project, runbook, parts, G1="left/1.txt", G2="right/2.txt")
    project.agent("left-two", WRITE.format(name="api", text=spec("/health")))

    result = project.run(*mode)

    result.assert_outcomes(passed=5)
    assert project.started() == ["left-one", "left-two", "right-two"]


@pytest.mark.slow
def test_verdict_does_not_outlive_what_it_judged(project: Project) -> None:
    """A part that is mended after its gate has judged it is judged again before others go on."""
    runbook = LANES + API + a_task("left-one", "left", 1, (), ("api",))
    runbook += a_task("right-one", "right", 1, ("api",)) + a_gate("G1", 1, "left-one", "right-one")
    runbook += a_task("left-two", "left", 2, ("G1",)) + a_task("right-two", "right", 2, ("G1",))
    runbook += a_gate("G2", 2, "left-two", "right-two", "G1")
    parts = ("left_phase1", "right_phase1", "left_phase2", "right_phase2")
    write(project, runbook, parts, G1="right/1.txt", G2="left/2.txt")
    project.agent("left-one", WRITE.format(name="api", text=spec("/health", "/old")))
    project.agent(
        "left-two",
        WRITE.format(name="api", text=spec("/health"))
        + 'Path("left").mkdir(exist_ok=True)\nPath("left/2.txt").touch()\n',
    )
    project.agent(
        "right-one",
        'import os\nfrom pathlib import Path\nPath("right").mkdir(exist_ok=True)\n'
        'Path("right/told.txt").write_text(os.environ["CONTEXT"])\n'
        'file = Path("right/1.txt")\n'
        'file.unlink() if os.environ["CONTEXT"] else file.touch()\n',
    )

    first = project.run(*IN_TURN)
    second = project.run(*IN_TURN)

    assert (first.ret, second.ret) == (ExitStatus.BLOCKED, ExitStatus.FAILED)
    first.stdout.fnmatch_lines(["G1*BLOCKED*right_phase1 was done again after it was judged*"])
    second.stdout.fnmatch_lines(["G1*FAILED*"])
    second.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.slow
def test_obtained_gate_judges_what_work_rests_on(project: Project) -> None:
    """With -m for a later phase, too: a gate that is not selected is not blind for it."""
    runbook = LANES + API + a_task("left-one", "left", 1, (), ("api",))
    runbook += a_task("right-one", "right", 1, ("api",))
    runbook += a_gate("G1", 1, "api", "right-one") + a_task("left-two", "left", 2, ("G1",))
    runbook += a_gate("G2", 2, "G1", "left-two")
    parts = ("left_phase1", "right_phase1", "left_phase2")
    write(project, runbook, parts, G1="right/1.txt", G2="left/2.txt")
    project.append(
        "gates/test_g1.py",
        """
        from pytest_orchestrator.checks import check_still_fits

        def test_fits(consumption):
            check_still_fits(consumption).raise_for_findings()
        """,
    )
    publish = "subprocess.run([sys.executable, '-m', 'pytest_orchestrator', 'publish', 'api', {}])"
    project.agent(
        "left-one",
        "import subprocess, sys\nfrom meeting import ROOT, until\n"
        + publish.format("str(ROOT / 'one.json')")
        + "\nuntil(lambda: (ROOT / 'right.here').exists(), 'right')\n"
        + publish.format("str(ROOT / 'two.json')"),
    )
    project.agent(
        "right-one",
        "import os, sys\nfrom pathlib import Path\nfrom meeting import ROOT\n"
        "if os.environ['CONTEXT']: sys.exit('I give up')\n"
        "Path('right').mkdir(exist_ok=True)\nPath('right/1.txt').touch()\n"
        "(ROOT / 'right.here').touch()\n",
    )
    project.write("one.json", spec("/health", "/old"))
    project.write("two.json", spec("/health"))

    result = project.run(*IN_TURN, "-m", "phase2")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["G1*FAILED*path /old is gone*", "G2*BLOCKED*"])


@pytest.mark.slow
def test_contracts_that_break_each_other_come_to_an_end(project: Project) -> None:
    """Two lanes that each answer the other's change with one of their own are stopped."""
    runbook = LANES + API + OTHER + a_task("draft", "writer", 0)
    runbook += a_task("left-one", "left", 1, ("draft", "b"), ("api",))
    runbook += a_task("right-one", "right", 1, ("api",), ("b",))
    runbook += a_gate("G1", 1, "left-one", "right-one")
    write(project, runbook, ("writer_phase0", "left_phase1", "right_phase1"), G1="brief.md")
    for name, task in (("b.draft", "draft"), ("api", "left-one"), ("b", "right-one")):
        project.agent(task, RESTLESS.format(name=name, text=spec("/health")))

    result = project.run(*IN_TURN)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*keeps changing beneath it; have its publisher settle it*"])
    assert len(starts_of(project, "left-one")) + len(starts_of(project, "right-one")) < 20


@pytest.mark.slow
@pytest.mark.parametrize("mode", [IN_TURN, ("-n2",)])
def test_consumer_before_the_gate_of_its_publisher_takes_the_draft(
    project: Project, mode: tuple[str, ...]
) -> None:
    """The gate needs the consumer, so its publisher cannot come first; nobody is parked."""
    other = OTHER.replace("draft =", "draft_after_s = 1\ndraft =").replace("left", "here")
    other = other.replace('publisher = "right"', 'publisher = "left"').replace("here", "right")
    runbook = LANES + other + a_task("draft", "writer", 0) + a_task("left-one", "left", 1)
    runbook += a_task("right-one", "right", 1, ("draft", "b"))
    runbook += a_gate("G1", 1, "left-one", "right-one")
    runbook += a_task("left-two", "left", 2, ("G1",), ("b",)) + a_gate("G2", 2, "left-two", "b")
    parts = ("writer_phase0", "left_phase1", "right_phase1", "left_phase2")
    write(project, runbook, parts, G1="right/1.txt", G2="brief.md")
    project.agent("draft", WRITE.format(name="b.draft", text=spec("/health")))
    project.agent("left-two", WRITE.format(name="b", text=spec("/health")))
    project.agent("right-one", build("right/1.txt"))

    result = project.run(*mode)

    result.assert_outcomes(passed=6)
    assert starts_of(project, "right-one")[0]["contracts"] == {"b": 0}
