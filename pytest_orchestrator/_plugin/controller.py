"""The process people look at: it holds the run, prints what happens, and has the last word."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.mark.expression import Expression

from pytest_orchestrator._domain.event import GateTestFinished, SessionCancelled
from pytest_orchestrator._domain.order import Item, item_graph
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._report import attempt_lines, left_undone, not_passed, summary_lines
from pytest_orchestrator._run import ledger_key
from pytest_orchestrator._run.locks import is_free
from pytest_orchestrator._run.watch import GRACE_S
from pytest_orchestrator.errors import Infra, OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_orchestrator._domain.order import Graph
    from pytest_orchestrator._domain.plan import Gate
    from pytest_orchestrator._plugin.items import Items
    from pytest_orchestrator._plugin.scheduling import GraphScheduling
    from pytest_orchestrator._plugin.session import RunSession

TICK_S = 0.4


class Controller:
    """Hooks of xdist's controller, or of the one process there is without xdist.

    Args:
        session: The session's view of its run.
        items: The tests, if they run in this very process.
        config: pytest's configuration.
    """

    def __init__(self, session: RunSession, items: Items | None, config: pytest.Config) -> None:
        self.session = session
        self.items = items
        self.config = config
        self._seen = 0
        self._failures = 0
        self._refused = ""
        """Why the run's ledger is not believed; empty as long as it is."""
        session.tick = self.tell

    @property
    def orchestrating(self) -> bool:
        """Whether this session has taken up the run."""
        return self.session.begun

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Without xdist: take up the run when there is something to orchestrate."""
        if self.items is None or self.items.dry or not self.items.graph.orchestrated:
            return
        try:
            self.take_up()
        except OrchestratorError as error:
            raise pytest.UsageError(str(error)) from error

    def take_up(self) -> None:
        """Take the run and remember where its ledger stood."""
        self.session.begin()
        self._seen = self.session.ledger.state().last_id

    def tell(self) -> None:
        """Pass on every event that is new."""
        if not self.orchestrating or self._refused:
            return
        with self._stopping_at_a_forgery():
            new = self.session.ledger.entries(self._seen)
        for entry in new:
            self._seen = entry.id
            self.config.hook.pytest_orchestrator_event(entry=entry, config=self.config)

    @contextlib.contextmanager
    def _stopping_at_a_forgery(self) -> Iterator[None]:
        """End the session with a sentence if its ledger cannot be believed any more."""
        try:
            yield
        except Infra as error:
            self._refused = str(error)
            pytest.exit(self._refused, returncode=pytest.ExitCode.USAGE_ERROR)

    def cancel(self, reason: str) -> None:
        """Have everybody who works for this session stop."""
        if self._refused:
            return  # they have read the same, and end by themselves
        state = self.session.ledger.state()
        if self.orchestrating and self.session.settings.session not in state.cancelled:
            event = SessionCancelled(session=self.session.settings.session, reason=reason)
            self.session.ledger.append(event)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell what is new; stop the agents too when ``-x`` stops the session."""
        self.tell()
        self._failures += report.failed
        if self.orchestrating and self._enough_failures():
            self.cancel(f"stopping after {self._failures} failure(s)")

    def _enough_failures(self) -> bool:
        most: int = self.config.getoption("maxfail") or 0
        return 0 < most <= self._failures

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C ends the agents as well."""
        if self.orchestrating:
            self.cancel("interrupted")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Give green only to a session whose gates have passed, and whose phases stand."""
        if not self.orchestrating:
            return
        try:
            self._end_session(session, exitstatus)
        except Infra as error:
            self._refused = self._refused or str(error)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def _end_session(self, session: pytest.Session, exitstatus: int) -> None:
        self._end_runners()
        clean = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
        reached = self.session.sources_changed()
        if exitstatus in clean and (reached or self.not_passed() or self._left_undone()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give the run back, when the last word has been printed."""
        self.session.end()

    def not_passed(self) -> tuple[str, ...]:
        """The gates this session was to judge and that have not passed, empty ones included."""
        if self.config.getoption("orchestrator_lane"):
            return ()
        state = self.session.ledger.state()
        expected = self.session.selected | self._whole_gates()
        return not_passed(state, self.session.settings.session, expected)

    def _left_undone(self) -> tuple[str, ...]:
        session = self.session
        if not session.with_agents:
            return ()
        return left_undone(session.plan, session.ledger.state(), session.settings.session)

    def _whole_gates(self) -> frozenset[str]:
        """The gates whose modules were asked for as a whole; one without tests is not passed."""
        options = ("keyword", "deselect", "lf", "orchestrator_gates", "ignore")
        if any(self.config.getoption(name, None) for name in options):
            return frozenset()
        asked = [(self.config.invocation_params.dir / a).resolve() for a in self.config.args]
        return frozenset(
            gate.name
            for gate in self.session.plan.gates.values()
            if any((self.session.project.root / gate.tests).is_relative_to(a) for a in asked)
            and self._is_marked(gate)
        )

    def _is_marked(self, gate: Gate) -> bool:
        """Whether ``-m`` asks for the tests of a gate, by the markers each of them has."""
        markers = {"gate", f"phase{gate.phase}"}
        asked = Expression.compile(self.config.getoption("markexpr") or "gate")
        return asked.evaluate(lambda name, /, **_: name in markers)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what became of phases and gates."""
        if not self.orchestrating:
            return
        with contextlib.suppress(pytest.exit.Exception):
            self.tell()
        terminalreporter.ensure_newline()
        terminalreporter.section("orchestrator")
        if self._refused:
            terminalreporter.write_line(self._refused)
            return
        state = self.session.ledger.state()
        for line in summary_lines(
            self.session.plan,
            state,
            session=self.session.settings.session,
            selected=self.session.selected | self._whole_gates(),
        ):
            terminalreporter.write_line(line)
        for line in attempt_lines(state):
            terminalreporter.write_line(line)
        if self.session.with_agents:
            self._tell_folders(terminalreporter)

    def _tell_folders(self, terminalreporter: pytest.TerminalReporter) -> None:
        folder = self.session.folder
        state = self.session.ledger.state()
        passed = [g for g in self.session.plan.gates if not not_passed(state, state.session, [g])]
        trees = [folder / "trees" / gate for gate in passed]
        terminalreporter.write_line(f"run folder: {self._relative(folder)}")
        if built := [tree for tree in trees if tree.is_dir()]:
            terminalreporter.write_line(f"application: {self._relative(built[-1])}")

    def _relative(self, path: Path) -> str:
        with contextlib.suppress(ValueError):
            return str(path.relative_to(self.config.invocation_params.dir))
        return str(path)

    def _end_runners(self) -> None:
        """See to it that nothing outlives the session, however stubborn."""
        state = self.session.ledger.state()
        running = [
            node for node, phase in state.phases.items()
            if phase.status == "running" and phase.session == self.session.settings.session
            and not is_free(self.session.ledger.lock(node).path)
        ]  # fmt: skip
        if not running:
            return
        self.cancel("the session is over")
        deadline_s = time.monotonic() + GRACE_S + 3.0
        while time.monotonic() < deadline_s:
            if all(is_free(self.session.ledger.lock(node).path) for node in running):
                return
            time.sleep(0.05)


class XdistController(Controller):
    """The controller when xdist runs the tests elsewhere."""

    def __init__(self, session: RunSession, config: pytest.Config) -> None:
        super().__init__(session, None, config)
        self.scheduling: GraphScheduling | None = None
        self._graph: Graph | None = None
        self._dsession: Any = config.pluginmanager.getplugin("dsession")
        self._stopped = threading.Event()
        self._broken = 0

    def start(self) -> None:
        """Tick inside xdist's own loop, which is where printing is safe."""
        self._dsession.worker_orchestrator_tick = self.tell
        threading.Thread(target=self._tick, daemon=True, name="orchestrator-tick").start()

    def _tick(self) -> None:
        while not self._stopped.wait(TICK_S):
            self._dsession.queue.put(("orchestrator_tick", {}))

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it works for."""
        settings = asdict(self.session.settings) | {"worker": node.gateway.id}
        node.workerinput["orchestrator"] = settings
        node.workerinput["orchestrator_key"] = ledger_key.take()

    @pytest.hookimpl
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Order the tests by the plan."""
        from xdist.workermanage import parse_tx_spec_config  # noqa: PLC0415 - on demand

        from pytest_orchestrator._plugin.scheduling import GraphScheduling  # noqa: PLC0415

        self.scheduling = GraphScheduling(
            config,
            len(parse_tx_spec_config(config)),
            self,
            lambda: self._dsession.pytest_xdist_make_scheduler(config=config, log=log),
        )
        return self.scheduling

    def graph_of(self, worker: str) -> Graph | None:
        """Read what a worker has announced."""
        path = announced(self.session, worker)
        if not path.exists():
            return None
        told = json.loads(path.read_text())
        items = [
            Item(nodeid, gate, tuple(Part.parse(p) for p in parts))
            for nodeid, gate, parts in told["items"]
        ]
        self.session.selected = frozenset(item.gate for item in items if item.gate)
        self._graph = item_graph(self.session.plan, items, with_agents=self.session.with_agents)
        return self._graph

    def begin(self) -> str:
        """Take up the run."""
        if self.config.getoption("dist") == "each":
            return "--dist=each would carry out every phase once per worker; leave it out"
        try:
            self.take_up()
        except OrchestratorError as error:
            return str(error)
        return ""

    def stop(self, reason: str) -> None:
        """Let xdist end the session."""
        self._dsession.shouldstop = reason

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count the modules that could not be collected; xdist tells of each once."""
        self._broken += report.failed

    def collection_errors(self) -> int:
        """No agent starts on a broken suite, just as no test does without xdist."""
        return 0 if self.config.option.continue_on_collection_errors else self._broken

    @pytest.hookimpl
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """Run a test again whose worker died: its phase may still be running, or done."""
        if self.scheduling is None or self.scheduling.dispatch is None:
            return
        times = self.scheduling.handle_crash(crashitem)
        if times:
            report.outcome = "rerun"
            report.longrepr = f"{report.longrepr}; it is run again (crash {times})"
            return
        gate = self._gate_of(crashitem)
        if gate:
            self._record_crash(gate, crashitem)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """As without xdist; a crash that is run again leaves no trace in the JUnit report."""
        ended: str = report.outcome  # "rerun" is ours here, see pytest_handlecrashitem
        if ended == "rerun" and report.when not in {"setup", "call", "teardown"}:
            self._forget_in_junit(report)
        super().pytest_runtest_logreport(report)
        if report.failed and self._enough_failures() and not self._dsession.shouldstop:
            # xdist itself counts no crash as a failure.
            self.stop(f"stopping after {self._failures} failures")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """As without xdist; what no worker was left to run is reported and never green."""
        self._stopped.set()
        to_the_end = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        if self.scheduling is not None and exitstatus in to_the_end:
            undecided = self.scheduling.undecided()
            if undecided:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            for nodeid, crashed in undecided.items():
                self._report_not_run(nodeid, crashed=crashed)
        super().pytest_sessionfinish(session, exitstatus)

    def _report_not_run(self, nodeid: str, *, crashed: bool) -> None:
        why = "its worker crashed" if crashed else "no worker was left to run it"
        location = (nodeid.split("::", maxsplit=1)[0], None, nodeid)
        failed = pytest.TestReport(
            nodeid=nodeid, location=location, keywords={}, when="setup", outcome="failed",
            longrepr=f"not run: {why}",
        )  # fmt: skip
        torn_down = pytest.TestReport(
            nodeid=nodeid, location=location, keywords={}, when="teardown", outcome="passed",
            longrepr=None,
        )  # fmt: skip
        for report in (failed, torn_down):
            self.config.hook.pytest_runtest_logreport(report=report)

    def _gate_of(self, nodeid: str) -> str:
        items = self._graph.items if self._graph else ()
        return next((item.gate for item in items if item.nodeid == nodeid), "")

    def _record_crash(self, gate: str, nodeid: str) -> None:
        key = self.session.ledger.state().gate(gate).current
        event = GateTestFinished(
            gate=gate, key=key, test=nodeid, outcome=Outcome.INFRA,
            reason=f"{nodeid} took its worker down again and again",
        )  # fmt: skip
        self.session.ledger.append(event)

    def _forget_in_junit(self, report: pytest.TestReport) -> None:
        """Take out the nameless test case that the JUnit plugin has opened for the crash."""
        from _pytest.junitxml import xml_key  # noqa: PLC0415 - on demand

        xml = self.config.stash.get(xml_key, None)
        if xml is None:
            return
        name: Any = getattr(report, "id", report.nodeid)  # a structured id since pytest 9.2
        reporter = xml.node_reporters.pop((name, getattr(report, "node", None)), None)
        if reporter is not None:
            xml.node_reporters_ordered.remove(reporter)


def announced(session: RunSession, worker: str) -> Path:
    """Where a worker tells the controller which tests it has, in which order."""
    return session.folder / "sessions" / f"{session.settings.session}-{worker}.json"


def announce(session: RunSession, items: Items) -> bool:
    """From a worker: tell the controller what there is to order, if anything."""
    graph = items.graph
    if not graph.orchestrated:
        return False
    path = announced(session, session.settings.worker)
    told = {
        "items": [(i.nodeid, i.gate, [str(part) for part in i.parts]) for i in graph.items],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told))
    except OSError as error:
        # A worker must not raise here: xdist would hide the reason behind one of its own.
        items.refuse_all(f"the run folder {session.folder} cannot be used ({error})")
        return False
    return True
