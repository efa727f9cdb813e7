"""What is wrong with the tests themselves is told in plain words, before any agent starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_orchestrator._domain.order import Graph, Item
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._plugin.scheduling import GraphScheduling
from tests.project import Project

MODES = [pytest.param("-n0", id="n0"), pytest.param("-n2", id="n2")]
LEFT_1 = Part("left", 1)

LATER = """
[tasks.left-two]
agent = "left"
phase = 9
brief = "brief.md"
needs = ["G1"]
"""
ODD_TESTS = """
import pytest

def test_unmarked(): pass

@pytest.mark.gate("G3")
def test_misnamed(): pass

@pytest.mark.gate("G1")
def test_too_late(left_phase9): pass
"""


# Pitfall 17.
@pytest.mark.parametrize("mode", MODES)
def test_test_that_cannot_be_judged_says_why(project: Project, mode: str) -> None:
    """A marker that is missing or wrong, or a circle, is the error of one test, not of pytest."""
    project.shrink("left")
    project.add_gate(ODD_TESTS, phase=9)
    project.append("runbook.toml", LATER)
    project.append("conftest.py", 'left_phase9 = phase_fixture("left", 9)\n')
    project.append("gates/test_phases.py", "\ndef test_left_phase9(left_phase9): pass\n")

    result = project.run(mode, "--agents=nop")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, errors=4)
    result.stdout.fnmatch_lines_random(
        [
            "test_g1.py judges gate G1, but this test does not carry its marker; write *",
            "the runbook has no gate 'G3'",
            "this test judges gate G1 and uses left_phase9, which waits for G1; *",
            "left_phase9 is parked: left-two waits: gate G1 is not judged",
        ]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


# Pitfall 18.
def test_no_agent_starts_on_a_broken_suite(project: Project) -> None:
    """A module that cannot be collected ends the session, as it does without workers."""
    project.shrink("left")
    project.write("gates/test_broken.py", "import nothing_of_that_name\n")

    result = project.run("-n2")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Interrupted: 1 error during collection*"])
    assert project.started() == []


def test_broken_suite_is_carried_out_as_far_as_it_goes_if_asked_to(project: Project) -> None:
    """``--continue-on-collection-errors`` holds for agents too."""
    project.shrink("left")
    project.write("gates/test_broken.py", "import nothing_of_that_name\n")

    result = project.run("-n2", "--continue-on-collection-errors")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, errors=1)
    assert project.started() == ["left-one"]


# Pitfall 19.
def test_workers_that_collect_different_tests_are_told_apart(project: Project) -> None:
    """The difference is shown, and no agent starts."""
    project.shrink("left")
    project.append("gates/test_phases.py", """
        import os, pytest

        @pytest.mark.parametrize("worker", [os.environ["PYTEST_XDIST_WORKER"]])
        def test_here(worker): pass
    """)  # fmt: skip

    result = project.run("-n2")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "Different tests were collected between gw? and gw?. The difference is:",
            "*[+-]gates/test_phases.py::test_here[[]gw0]",
            "*[+-]gates/test_phases.py::test_here[[]gw1]",
        ]
    )
    assert project.started() == []


# Pitfall 23.
def test_tests_are_not_run_by_every_worker(project: Project) -> None:
    """``--dist=each`` is refused, since it would carry out every phase once per worker."""
    project.shrink("left")

    result = project.run("-n2", "--dist=each")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*--dist=each would carry out every phase once per worker; *"])
    assert project.started() == []


def test_tests_without_anything_to_orchestrate_are_left_to_xdist(project: Project) -> None:
    """The stock scheduler of ``--dist`` hands them out, and no run is begun."""
    project.write("plain/test_plain.py", "def test_a(): pass\ndef test_b(): pass\n")
    project.append("conftest.py", """
        def pytest_sessionfinish(session):
            dsession = session.config.pluginmanager.getplugin("dsession")
            if dsession:
                print("\\nSCHEDULER", type(dsession.sched.stock).__name__)
    """)  # fmt: skip

    result = project.run("-n2", "--dist=worksteal", "plain")

    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["SCHEDULER WorkStealingScheduling"])
    assert not (project.root / ".orchestrator").exists()


# ---------------------------------------------------------------- the scheduler by itself


@dataclass(eq=False)
class Worker:
    """Stands in for xdist's view of a worker."""

    name: str
    sent: list[list[int]] = field(default_factory=list)
    shutting_down: bool = False

    @property
    def gateway(self) -> SimpleNamespace:
        """What knows the worker's name."""
        return SimpleNamespace(id=self.name)

    def send_runtest_some(self, indices: list[int]) -> None:
        """Take the next batch."""
        self.sent.append(indices)


class Session:
    """Stands in for the controller, and for pytest's hooks."""

    def __init__(self, *items: Item) -> None:
        """A session that waits for one worker."""
        self.items = items
        self.ids = [item.nodeid for item in items]
        self.stopped = ""
        self.reports: list[pytest.CollectReport] = []
        config: Any = SimpleNamespace(hook=self)
        self.scheduling = GraphScheduling(config, 1, self, lambda: pytest.fail("stock scheduler"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what pytest is told."""
        self.reports.append(report)

    def graph_of(self, worker: str) -> Graph:
        """The tests, none of which needs another."""
        assert worker
        runners = {part: i for i, item in enumerate(self.items) for part in item.parts}
        return Graph(self.items, (frozenset(),) * len(self.items), runners)

    def begin(self) -> str:
        """Nothing is in the way."""
        return ""

    def stop(self, reason: str) -> None:
        """Note why the session is to end."""
        self.stopped = reason

    def collection_errors(self) -> int:
        """Everything could be collected."""
        return 0

    def hire(self, name: str, ids: list[str] | None = None) -> Any:
        """A worker comes up and sends its tests, as xdist does it."""
        worker: Any = Worker(name)
        self.scheduling.add_node(worker)
        self.scheduling.add_node_collection(worker, self.ids if ids is None else ids)
        if self.scheduling.collection_is_completed:
            self.scheduling.schedule()
        return worker


# Pitfall 20.
def test_gate_is_sent_first_and_light_tests_last() -> None:
    """What others wait for goes first; behind each batch comes the item that is never run."""
    session = Session(Item("light"), Item("phase", "", (LEFT_1,)), Item("a", "G1"), Item("b", "G1"))
    worker = session.hire("gw0")
    filler = 4

    for index in (2, 3, filler, 1, filler, 0):
        assert not session.scheduling.tests_finished
        session.scheduling.mark_test_complete(worker, index)

    assert worker.sent == [[2, 3, filler], [1, filler], [0, filler]]
    assert session.scheduling.tests_finished


def test_worker_that_was_told_to_end_is_sent_nothing() -> None:
    """It would never run that, and xdist would take it for crashed."""
    session = Session(Item("a", "G1"), Item("light"))
    worker = session.hire("gw0")
    worker.shutting_down = True

    session.scheduling.mark_test_complete(worker, 0)

    assert worker.sent == [[0, 2]]
    assert session.scheduling.undecided() == {"light": False}
    assert session.scheduling.remove_node(worker) is None


def test_worker_that_replaces_another_is_sent_the_rest() -> None:
    """Also if it is the only one, so that nothing else would have the rest sent."""
    session = Session(Item("light"), Item("other"))
    first = session.hire("gw0")

    assert session.scheduling.remove_node(first) == "light"
    assert session.scheduling.handle_crash("light") == 1
    second = session.hire("gw1")

    assert second.sent == [[0, 2]]


# Pitfall 19.
def test_worker_that_comes_later_with_other_tests_ends_a_session_nobody_else_goes_on_with() -> None:
    """It can be sent nothing; rather than waiting for ever, the session says so."""
    session = Session(Item("light"))
    first = session.hire("gw0")
    session.scheduling.remove_node(first)

    session.hire("gw1", ["another"])

    (report,) = session.reports
    assert "+another" in str(report.longrepr)
    assert session.stopped == "a worker that replaces a crashed one has collected other tests"
