"""A small project with a runbook: two lanes, two phases, two gates, and scripts for agents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._domain.state import RunState
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import is_free
from pytest_orchestrator._run.runbook import load_runbook

LANES = """
[run]
name = "small"
agents = "scripted"

[budget]
max_attempts = 2
max_wall_s = 60

[agents.left]
role = "backend-developer"
owns = ["left/"]

[agents.right]
role = "backend-developer"
owns = ["right/"]
"""

RUNBOOK = f"""{LANES}
[tasks.left-one]
agent = "left"
phase = 1
brief = "brief.md"

[tasks.right-one]
agent = "right"
phase = 1
brief = "brief.md"

[gates.G1]
title = "both have begun"
phase = 1
tests = "gates/test_g1.py"
needs = ["left-one", "right-one"]

[tasks.left-two]
agent = "left"
phase = 2
brief = "brief.md"
needs = ["G1"]

[tasks.right-two]
agent = "right"
phase = 2
brief = "brief.md"
needs = ["G1"]

[gates.G2]
title = "both are done"
phase = 2
tests = "gates/test_g2.py"
needs = ["left-two", "right-two"]
"""

LANE = """
[agents.{lane}]
role = "backend-developer"
owns = ["{lane}/"]

[tasks.{lane}-one]
agent = "{lane}"
phase = 1
brief = "brief.md"
"""

CONFTEST = """
from pytest_orchestrator import phase_fixture

left_phase1 = phase_fixture("left", 1)
right_phase1 = phase_fixture("right", 1)
left_phase2 = phase_fixture("left", 2)
right_phase2 = phase_fixture("right", 2)
"""

PHASES = """
def test_left_phase1(left_phase1):
    assert left_phase1.status == "succeeded"

def test_right_phase1(right_phase1):
    assert right_phase1.status == "succeeded"

def test_left_phase2(left_phase2):
    assert left_phase2.status == "succeeded"

def test_right_phase2(right_phase2):
    assert right_phase2.status == "succeeded"
"""

GATE = """
import pytest

pytestmark = pytest.mark.gate("G{n}")

@pytest.mark.lane("left")
def test_left(workspace):
    assert (workspace / "left" / "{n}.txt").is_file()

@pytest.mark.lane("right")
def test_right(workspace):
    assert (workspace / "right" / "{n}.txt").is_file()
"""

# A back-end whose agents are little programs: agents/<task>.py, run in the workspace with
# the assignment's attempt and error context in the environment. Each start is noted.
AGENT = """
import json, os, subprocess, sys, time
from pathlib import Path
from pytest_orchestrator._domain.agent import AgentResult

class Scripted:
    name = "scripted"

    def __init__(self, root):
        self.root = root

    def fingerprint(self):
        return "scripted"

    def carry_out(self, assignment):
        with (self.root / "starts.log").open("a") as log:
            started = {"task": assignment.task.name, "attempt": assignment.attempt,
                       "context": assignment.error_context, "at_s": time.time(),
                       "contracts": {n: r.revision for n, r in assignment.contracts.items()}}
            log.write(json.dumps(started) + "\\n")
        script = self.root / "agents" / (assignment.task.name + ".py")
        environment = {**os.environ, "ATTEMPT": str(assignment.attempt),
                       "CONTEXT": assignment.error_context, "ROOT": str(self.root),
                       **assignment.environment}
        done = subprocess.run([sys.executable, str(script)], cwd=assignment.workspace,
                              env=environment, capture_output=True, text=True)
        if done.returncode:
            return AgentResult("failed", done.stderr.strip() or f"exit {done.returncode}")
        return AgentResult("succeeded")
"""


# What agents can import that have to meet somebody, or to see somebody off.
MEETING = """
import fcntl, os, signal, sys, time
from pathlib import Path

ROOT = Path(os.environ["ROOT"])
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

def until(true, what):
    deadline_s = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline_s:
            sys.exit(f"waited in vain: {what}")
        time.sleep(0.02)

def meet(*names):
    (ROOT / f"{names[0]}.here").touch()
    until(lambda: all((ROOT / f"{name}.here").exists() for name in names), names)

def live(name):
    # The kernel takes the lock back from the dead, at once.
    life = (ROOT / f"{name}.alive").open("w")
    fcntl.flock(life, fcntl.LOCK_EX)
    return life

def kill(worker):
    os.kill(int((ROOT / f"{worker}.pid").read_text()), signal.SIGKILL)

def be_stubborn():
    # Writes nothing: an agent that prints dies of a broken pipe, and hides that it was left alone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""

# Leaves in the project's folder which process is which worker, who has started
# which test, and whose collection and tests the controller knows to be complete.
NOTES = """

from pathlib import Path
HERE = Path(__file__).parent

def pytest_sessionstart(session):
    import os
    told = getattr(session.config, "workerinput", None)
    if told:
        (HERE / f"{told['workerid']}.pid").write_text(str(os.getpid()))
    dsession = session.config.pluginmanager.getplugin("dsession")
    if dsession:
        complete = dsession.worker_runtest_protocol_complete
        def noted(node, **event):
            complete(node=node, **event)
            (HERE / f"{node.gateway.id}.complete").touch()
        dsession.worker_runtest_protocol_complete = noted

def pytest_xdist_node_collection_finished(node):
    (HERE / f"{node.gateway.id}.collected").touch()

def pytest_runtest_setup(item):
    told = getattr(item.config, "workerinput", {"workerid": "master"})
    (HERE / f"{item.name}.{told['workerid']}.started").touch()
"""


class Project:
    """A small project below a temporary folder; its agents are scripts.

    Attributes:
        root: The project's folder.
        pytester: What runs pytest there.
    """

    def __init__(self, pytester: pytest.Pytester, installed: Path) -> None:
        """Write the project, and install its agents where they are found."""
        self.pytester = pytester
        self.root = pytester.path
        self._write(installed / "scripted_agent.py", AGENT)
        self._write(installed / "scripted-1.dist-info" / "METADATA", "Name: scripted\nVersion: 1\n")
        self._write(
            installed / "scripted-1.dist-info" / "entry_points.txt",
            "[pytest_orchestrator.backends]\nscripted = scripted_agent:Scripted\n",
        )
        self.write("runbook.toml", RUNBOOK)
        self.write("conftest.py", CONFTEST)
        self.write("brief.md", "Write the file.\n")
        self.write("agents/meeting.py", MEETING)
        self.write("pytest.ini", "[pytest]\ntestpaths = gates\n")
        ignored = (".orchestrator/", "__pycache__/", "starts.log", "*.here", "*.pid", "*.started")
        self.write(".gitignore", "\n".join((*ignored, "*.collected", "*.complete", "*.alive")))
        self.write("gates/test_phases.py", PHASES)
        for n in (1, 2):
            self.write(f"gates/test_g{n}.py", GATE.format(n=n))
        for lane in ("left", "right"):
            for n, word in ((1, "one"), (2, "two")):
                self.agent(f"{lane}-{word}", build(f"{lane}/{n}.txt"))

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project."""
        return self._write(self.root / path, text)

    def agent(self, task: str, script: str) -> None:
        """Say what the agent does for a task."""
        self.write(f"agents/{task}.py", script)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a piece of a file that has it."""
        text = (self.root / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        self.write(path, text.replace(old, new))

    def shrink(self, *lanes: str) -> None:
        """Make it a project of one phase without gates, in which each lane has one task."""
        runbook = RUNBOOK.partition("[agents.left]")[0]
        fixtures = CONFTEST.partition("left_phase1")[0]
        tests = ""
        for lane in lanes:
            runbook += LANE.format(lane=lane)
            fixtures += f'{lane}_phase1 = phase_fixture("{lane}", 1)\n'
            tests += f"\ndef test_{lane}_phase1({lane}_phase1):\n    pass\n"
            self.agent(f"{lane}-one", build(f"{lane}/1.txt"))
        self.write("runbook.toml", runbook)
        self.write("conftest.py", fixtures)
        for n in (1, 2):
            (self.root / f"gates/test_g{n}.py").unlink()
        self.write("gates/test_phases.py", tests)

    def add_gate(self, module: str, *, phase: int = 1) -> None:
        """Add G1 to a project of one phase, judged by the given tests.

        In a later phase than the tasks', it judges no lane by itself.
        """
        needs = [name for name, task in self.plan.tasks.items() if task.phase == 1]
        self.append(
            "runbook.toml",
            f"""
            [gates.G1]
            title = "all have begun"
            phase = {phase}
            tests = "gates/test_g1.py"
            needs = {json.dumps(needs)}
            """,
        )
        self.write("gates/test_g1.py", module)

    def take_notes(self) -> None:
        """Have processes leave traces that agents and tests can go by; see ``NOTES``."""
        self.append("conftest.py", NOTES)

    def finish(self) -> None:
        """Put everything in the project's tree that its gates look for."""
        for lane in ("left", "right"):
            for n in (1, 2):
                self.write(f"{lane}/{n}.txt", "done")

    def append(self, path: str, text: str) -> None:
        """Add to a file of the project."""
        self.write(path, (self.root / path).read_text() + textwrap.dedent(text))

    def run(self, *arguments: str, timeout_s: float = 120) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(
            "-p", "no:cacheprovider" if "--lf" not in arguments else "cacheprovider",
            *arguments, timeout=timeout_s,
        )  # fmt: skip

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start pytest and let it run."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.Popen(
            command, cwd=self.root, env={**os.environ, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def starts(self) -> list[dict[str, object]]:
        """Every start of an agent so far, oldest first."""
        log = self.root / "starts.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def started(self) -> list[str]:
        """The tasks that were started, sorted; twice if twice."""
        return sorted(str(start["task"]) for start in self.starts())

    def alive(self) -> set[str]:
        """The names of the processes that have said ``live`` and have not ended."""
        return {path.stem for path in self.root.glob("*.alive") if not is_free(path)}

    def wait_until(self, true: Callable[[], bool], *, timeout_s: float = 60) -> None:
        """Wait for something that other processes bring about."""
        deadline_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline_s, f"waited for {timeout_s:g} s in vain"
            time.sleep(0.05)

    @property
    def plan(self) -> Plan:
        """The project's runbook."""
        return load_runbook(self.root / "runbook.toml")

    @property
    def run_folder(self) -> Path:
        """The folder of the run with agents."""
        found = [
            p.parent
            for p in (self.root / ".orchestrator" / "runs").glob("*/ledger.sqlite")
            if p.parent.name != "verify"
        ]
        assert len(found) == 1, found
        return found[0]

    def state(self, folder: Path | None = None) -> RunState:
        """What the run's ledger says."""
        ledger = Ledger(folder or self.run_folder)
        try:
            return ledger.state()
        finally:
            ledger.close()

    def verdicts(self) -> dict[str, str]:
        """The verdict of each gate, and the status of each part."""
        state = self.state()
        gates = {
            name: "BLOCKED" if gate.blocked else str(gate.record.verdict() if gate.record else None)
            for name, gate in state.gates.items()
        }
        return gates | {str(p): state.phase(p).status for p in self.plan.parts}

    @staticmethod
    def _write(path: Path, text: str) -> Path:
        """Write a file, wherever it is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path


def build(path: str) -> str:
    """A script that writes one file."""
    return f"""
        from pathlib import Path
        path = Path({path!r})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("done")
    """
