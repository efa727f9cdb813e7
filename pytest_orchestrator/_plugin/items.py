"""Ordering, gating and recording of tests; the same in every process that runs tests."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_orchestrator._domain.order import Graph, Item, item_graph
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.scheduler import gates_before
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._plugin import told
from pytest_orchestrator._plugin.told import Told
from pytest_orchestrator.errors import GateFailed, Infra, OrchestratorError, RunError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_orchestrator._plugin.session import RunSession

TOLD_KEY: pytest.StashKey[Told | None] = pytest.StashKey()
"""What a test that is under way has said so far; anew for each time it is run."""
CALLED_KEY: pytest.StashKey[bool] = pytest.StashKey()
"""Whether a test itself has been run, and not only what it is set up with."""
UNCHANGED = "reused: it passed before on just what it would judge now"
AGREEMENT, CONSUMPTION = "agreement", "consumption"
PER_CONSUMER = frozenset((AGREEMENT, CONSUMPTION))
BROWSER = "browser"

_Collected = pytest.Item | pytest.Collector | list[pytest.Item | pytest.Collector] | None


class Items:
    """Hooks on the session's tests.

    Args:
        session: The session's view of its run.
        config: pytest's configuration.
    """

    def __init__(self, session: RunSession, config: pytest.Config) -> None:
        self.session = session
        self.graph = Graph((), (), {})
        self._config = config
        self.dry = bool(config.option.collectonly or config.option.setupplan)
        self._parts = {str(part): part for part in session.plan.parts}
        self._modules = {
            (session.project.root / gate.tests).resolve(): gate.name
            for gate in session.plan.gates.values()
        }
        self._gates: dict[Path, str] = {}
        self._refused: dict[str, str] = {}
        self._run_again: set[str] = set()
        """Tests of which this attempt does not count any more."""

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Let ``--lf`` take all tests of a gate if one of them failed: a verdict needs them all."""
        report = yield
        last_failed = self._last_failed()
        if self._judged_by(collector) and any(
            str(failed).startswith(f"{collector.nodeid}::") for failed in last_failed
        ):
            items = [node for node in report.result if isinstance(node, pytest.Item)]
            last_failed |= {getattr(item, "id", item.nodeid): True for item in items}
        return report

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test that asks for a consumer one test per consumer that its gate judges."""
        for fixture in PER_CONSUMER & set(metafunc.fixturenames):
            pairs = self._consumers(metafunc.definition, fixture)
            ids = [f"{contract}-{consumer}" for contract, consumer in pairs]
            metafunc.parametrize(fixture, pairs, ids=ids, indirect=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, _Collected, _Collected]:
        """Leave out tests of consumers where there are none: they would be skipped, or empty."""
        collected = yield
        if not isinstance(collected, list):
            return collected
        return [node for node in collected if not self._is_void(node)]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None]:
        """Mark, narrow and order the tests; outermost, so that nobody reorders them afterwards."""
        for item in items:
            self._mark(item)
        self._narrow(config, items)
        self._note_gates(config, items)
        yield
        items[:] = [items[index] for index in self._graph(items).order()]
        self.graph = self._graph(items)
        self.session.selected = frozenset(i.gate for i in self.graph.items if i.gate)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Report a gate's test as passed without running it, if it passed on just this before."""
        gate = self._gate(item)
        if self.dry or not gate or item.nodeid in self._refused:
            return None
        try:
            if not self.session.is_reusable(gate, item.nodeid):
                return None
            self.session.open_gate(gate)
        except RunError:
            return None  # its setup meets the same, and there it is reported
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        # What the test before this one left up for it comes down here, as after any test.
        call = pytest.CallInfo.from_call(
            lambda: item.session._setupstate.teardown_exact(nextitem),  # noqa: SLF001 - no public way
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        reports = [_reused(item, gate, when) for when in ("setup", "call", "teardown")]
        if call.excinfo is not None:
            broken = pytest.TestReport.from_item_and_call(item, call)
            reports[-1] = self._explain(broken, item, call)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Let a gate's test start only if its gate can judge."""
        if self.dry:
            return
        if item.nodeid in self._refused:
            raise pytest.UsageError(self._refused[item.nodeid])
        gate = self._gate(item)
        if gate:
            self.session.open_gate(gate)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn "could not judge" into an error, and say what each report means for its gate."""
        return self._explain((yield), item, call)

    def _explain(
        self, report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        error = call.excinfo.value if call.excinfo else None
        said = told.read_report(report, call)
        if isinstance(error, (RunError, GateFailed, pytest.UsageError)):
            # Their messages say it all; a traceback would only show how checks work inside.
            report.longrepr = str(error)
            if isinstance(error, RunError) and report.when == "call":
                # An error in pytest's words is what fails outside of the call.
                report.when = "setup"
        report.user_properties += self._said_so_far(item, call, said, error)
        return report

    def _said_so_far(
        self, item: pytest.Item, call: pytest.CallInfo[None], said: Told,
        error: BaseException | None,
    ) -> list[tuple[str, object]]:  # fmt: skip
        """What a test says with all its reports up to this one; the last one counts."""
        gate, is_new = self._gate(item), call.when == "setup"
        before = None if is_new else item.stash.get(TOLD_KEY, None)
        was_called = call.when == "call" or (not is_new and item.stash.get(CALLED_KEY, False))
        item.stash[CALLED_KEY] = was_called
        is_ours = bool(gate or before or isinstance(error, OrchestratorError))
        said = before.or_worse(said) if before else said
        item.stash[TOLD_KEY] = said if is_ours else None
        if not is_ours:
            return []
        # --setup-only, and who knows what plugins: a test that was not called has not passed.
        is_over = was_called or said.verdict is not Outcome.PASSED
        return said.properties(gate) if is_over else [(told.GATE, gate)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a gate's test when it is over; here, because a re-run shows only here."""
        properties = dict(report.user_properties)
        gate = properties.get(told.GATE)
        if hasattr(report, "node") or not gate or self.dry or report.nodeid in self._refused:
            return
        ended: str = report.outcome  # pytest-rerunfailures adds "rerun" to pytest's own
        if ended == "rerun":
            self._run_again.add(report.nodeid)
        elif report.when == "setup":
            self._run_again.discard(report.nodeid)
        elif report.when == "teardown" and self._counts(report):
            try:
                self.session.record(str(gate), report.nodeid, Told.read(properties))
            except Infra as error:
                # From a hook like this one, pytest would take it for a fault of its own.
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)

    def _counts(self, report: pytest.TestReport) -> bool:
        """Whether a test's end says something new of its gate."""
        properties = dict(report.user_properties)
        is_told = told.VERDICT in properties and told.REUSED not in properties
        return is_told and report.nodeid not in self._run_again

    def refuse_all(self, reason: str) -> None:
        """Let no test start that has to do with the run."""
        self._refused |= {i.nodeid: reason for i in self.graph.items if i.gate or i.parts}

    def _is_void(self, node: pytest.Item | pytest.Collector) -> bool:
        """Whether a test is about what is not there: a consumer, or a browser nobody asked for."""
        if self._needs_browser(node):
            return True
        asked = PER_CONSUMER.intersection(getattr(node, "fixturenames", ()))
        return any(not self._consumers(node, fixture) for fixture in asked)

    def _needs_browser(self, node: pytest.Item | pytest.Collector) -> bool:
        asked = BROWSER in getattr(node, "fixturenames", ()) and self._judged_by(node) != ""
        return asked and not self._config.option.orchestrator_browser

    def _consumers(
        self, node: pytest.Item | pytest.Collector, fixture: str
    ) -> tuple[tuple[str, str], ...]:
        """The contracts, each with a consumer, that a test of a node's gate is about."""
        gate, plan = self._judged_by(node), self.session.plan
        if not gate:
            return ()
        if fixture == AGREEMENT:
            return plan.generated_before(gate)
        return plan.consumed_before(gate) if self.session.record_of_work is not None else ()

    def _gate(self, item: pytest.Item) -> str:
        marker = item.get_closest_marker("gate")
        return str(marker.args[0]) if marker and marker.args else ""

    def _judged_by(self, node: pytest.Item | pytest.Collector) -> str:
        """The gate of a module: what is in it belongs to its verdict, marked or not."""
        if node.path not in self._gates:
            self._gates[node.path] = self._modules.get(node.path.resolve(), "")
        return self._gates[node.path]

    def _graph(self, items: list[pytest.Item]) -> Graph:
        described = [self._describe(item) for item in items]
        return item_graph(self.session.plan, described, with_agents=self.session.with_agents)

    def _describe(self, item: pytest.Item) -> Item:
        parts = () if item.nodeid in self._refused else self._parts_of(item)
        return Item(item.nodeid, self._judged_by(item), parts)

    def _parts_of(self, item: pytest.Item) -> tuple[Part, ...]:
        names = getattr(item, "fixturenames", ())
        return tuple(self._parts[name] for name in names if name in self._parts)

    def _last_failed(self) -> dict[object, bool]:
        """What ``--lf`` goes by, as long as it is used."""
        plugin = self._config.pluginmanager.getplugin("lfplugin")
        in_use = plugin is not None and self._config.getoption("lf")
        return plugin.lastfailed if in_use else {}

    def _mark(self, item: pytest.Item) -> None:
        """Give a test the markers that follow from its gate and its phase fixtures."""
        plan = self.session.plan
        gate = self._judged_by(item)
        parts = self._parts_of(item)
        for part in parts:
            item.add_marker(f"phase{part.phase}")
            item.add_marker(pytest.mark.lane(part.agent))
        if gate:
            item.add_marker(f"phase{plan.gates[gate].phase}")
        if (gate or parts) and not item.get_closest_marker("timeout"):
            # Agents have budgets of their own; a time limit on tests is not meant for them.
            item.add_marker(pytest.mark.timeout(0))
        self._refuse(item, self._gate(item), gate)

    def _refuse(self, item: pytest.Item, gate: str, expected: str) -> None:
        plan = self.session.plan
        if gate == expected:
            late = [str(p) for p in self._parts_of(item) if gate in gates_before(plan, p)]
            if late:
                self._refused[item.nodeid] = (
                    f"this test judges gate {gate} and uses {', '.join(late)}, which waits for "
                    f"{gate}; a gate gets what has been built from the fixture workspace"
                )
        elif gate and gate not in plan.gates:
            near = difflib.get_close_matches(gate, plan.gates, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self._refused[item.nodeid] = f"the runbook has no gate {gate!r}{hint}"
        elif gate:
            self._refused[item.nodeid] = (
                f"gate {gate} is judged by {plan.gates[gate].tests}, and this test is in "
                f"{item.path.name}; move it there"
            )
        else:
            self._refused[item.nodeid] = (
                f"{item.path.name} judges gate {expected}, but this test does not carry its "
                f'marker; write pytestmark = pytest.mark.gate("{expected}") in the module'
            )

    def _narrow(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what ``--gate``, ``--lane`` and the absence of agents leave out."""
        gates = set(config.getoption("orchestrator_gates"))
        lane = config.getoption("orchestrator_lane")
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            lanes = {m.args[0] for m in item.iter_markers("lane") if m.args}
            is_phase = not self.session.with_agents and self._is_phase_alone(item)
            wrong_gate = gates and self._judged_by(item) not in gates
            wrong_lane = lane and (lane not in lanes or not self._judged_by(item))
            (dropped if is_phase or wrong_gate or wrong_lane else kept).append(item)
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = kept

    def _is_phase_alone(self, item: pytest.Item) -> bool:
        return not self._judged_by(item) and bool(self._parts_of(item))

    def _note_gates(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Note all tests of each gate, where all of them were collected."""
        partial = config.getoption("orchestrator_lane") or any("::" in a for a in config.args)
        for gate in {self._judged_by(item) for item in items} - {""}:
            whole = tuple(item.nodeid for item in items if self._judged_by(item) == gate)
            self.session.tests[gate] = () if partial else whole


def _reused(
    item: pytest.Item, gate: str, when: Literal["setup", "call", "teardown"]
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="passed",
        longrepr=None,
        when=when,
        user_properties=[*Told(Outcome.PASSED, UNCHANGED).properties(gate), (told.REUSED, "yes")],
    )
