"""The controller when xdist runs the tests elsewhere, and what its workers tell it."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_orchestrator._domain.event import GateTestFinished
from pytest_orchestrator._domain.order import Item, item_graph
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._plugin.controller import Controller
from pytest_orchestrator._plugin.told import Told
from pytest_orchestrator._run import ledger_key
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_orchestrator._domain.order import Graph
    from pytest_orchestrator._plugin.items import Items
    from pytest_orchestrator._plugin.scheduling import GraphScheduling
    from pytest_orchestrator._plugin.session import RunSession

TICK_S = 0.4


class XdistController(Controller):
    """The controller when xdist runs the tests elsewhere."""

    def __init__(self, session: RunSession, config: pytest.Config) -> None:
        super().__init__(session, None, config)
        self.scheduling: GraphScheduling | None = None
        self._graph: Graph | None = None
        self._dsession: Any = config.pluginmanager.getplugin("dsession")
        self._stopped = threading.Event()

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

    def collection_errors(self) -> int:
        """No agent starts on a broken suite, just as no test does without xdist."""
        return 0 if self.config.option.continue_on_collection_errors else self.broken

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
        self._say_infra(report, f"{crashitem} took its worker down again and again")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """As without xdist; a crash that is run again leaves no trace in the JUnit report."""
        ended: str = report.outcome  # "rerun" is ours here, see pytest_handlecrashitem
        if ended == "rerun" and report.when not in {"setup", "call", "teardown"}:
            self._forget_in_junit(report)
        super().pytest_runtest_logreport(report)
        if report.failed and report.when not in {"setup", "call", "teardown"}:
            self._tear_down(report)
        if report.failed and self._enough_failures() and not self._dsession.shouldstop:
            # xdist itself counts no crash as a failure.
            self.stop(f"stopping after {self._failures} failures")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """As without xdist; what no worker was left to run is reported and never green."""
        self._stopped.set()
        to_the_end = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        if self.scheduling is not None and session.exitstatus in to_the_end:
            for nodeid, crashed in self.scheduling.undecided().items():
                self._report_not_run(nodeid, crashed=crashed)
        return (yield from super().pytest_sessionfinish(session))

    @property
    def stopped_early(self) -> bool:
        """Here it is so called."""
        return self._enough_failures() and str(self._dsession.shouldstop).startswith("stopping")

    def _report_not_run(self, nodeid: str, *, crashed: bool) -> None:
        why = f"not run: {'its worker crashed' if crashed else 'no worker was left to run it'}"
        location = (nodeid.split("::", maxsplit=1)[0], None, nodeid)
        failed = pytest.TestReport(
            nodeid=nodeid, location=location, keywords={}, when="setup", outcome="failed",
            longrepr=why,
        )  # fmt: skip
        self._say_infra(failed, why)
        self.config.hook.pytest_runtest_logreport(report=failed)
        self._tear_down(failed)

    def _tear_down(self, failed: pytest.TestReport) -> None:
        """Close a report that no worker closes; only then does JUnit take its properties."""
        torn_down = pytest.TestReport(
            nodeid=failed.nodeid, location=failed.location, keywords={}, when="teardown",
            outcome="passed", longrepr=None, user_properties=failed.user_properties,
        )  # fmt: skip
        if hasattr(failed, "node"):
            vars(torn_down)["node"] = failed.node
        self.config.hook.pytest_runtest_logreport(report=torn_down)

    def _say_infra(self, report: pytest.TestReport, why: str) -> None:
        """A gate's test that nobody could run has judged nothing, and its gate knows why."""
        gate = self._gate_of(report.nodeid)
        if not gate:
            return
        said = Told(Outcome.INFRA, why)
        report.user_properties += said.properties(gate)
        key = self.session.ledger.state().gate(gate).current
        self.session.ledger.append(
            GateTestFinished(
                gate=gate, key=key, test=report.nodeid, outcome=said.verdict, reason=said.reason
            )
        )

    def _gate_of(self, nodeid: str) -> str:
        items = self._graph.items if self._graph else ()
        return next((item.gate for item in items if item.nodeid == nodeid), "")

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
