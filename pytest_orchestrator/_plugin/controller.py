"""The process people look at: it holds the run, prints what happens, and has the last word."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from _pytest.mark.expression import Expression

from pytest_orchestrator._domain.event import SessionCancelled
from pytest_orchestrator._domain.scheduler import standing
from pytest_orchestrator._domain.verdict import Outcome, exit_status
from pytest_orchestrator._plugin import told
from pytest_orchestrator._report import (
    attempt_lines,
    exit_line,
    is_asked,
    left_undone,
    not_passed,
    summary_lines,
)
from pytest_orchestrator._run.locks import is_free
from pytest_orchestrator._run.watch import GRACE_S
from pytest_orchestrator.errors import Infra, OrchestratorError, RunError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from pytest_orchestrator._domain.event import Entry
    from pytest_orchestrator._domain.plan import Gate
    from pytest_orchestrator._plugin.items import Items
    from pytest_orchestrator._plugin.session import RunSession

JUDGING = frozenset(
    {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
)
"""pytest's own ends of a session that the verdicts have a say in."""
SHOWS = ("showfixtures", "show_fixtures_per_test", "cacheshow", "markers")


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
        self.broken = 0
        """How many modules could not be collected."""
        self._failures = 0
        self._reported: set[Outcome] = set()
        """The verdicts of all tests that have not passed, also of those that are no gate's."""
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
        new: list[Entry] = []
        with self._noting_a_forgery():
            new = self.session.ledger.entries(self._seen)
        if self._refused:
            pytest.exit(self._refused, returncode=pytest.ExitCode.USAGE_ERROR)
        for entry in new:
            self._seen = entry.id
            self.config.hook.pytest_orchestrator_event(entry=entry, config=self.config)

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
        verdict = dict(report.user_properties).get(told.VERDICT)
        if report.failed or (report.skipped and verdict):
            self._reported.add(Outcome(str(verdict)) if verdict else Outcome.FAILED)
        if self.orchestrating and self._enough_failures():
            self.cancel(f"stopping after {self._failures} failure(s)")

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count the modules that could not be collected; xdist tells of each once."""
        self.broken += report.failed

    def _enough_failures(self) -> bool:
        most: int = self.config.getoption("maxfail") or 0
        return 0 < most <= self._failures

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C ends the agents as well."""
        if self.orchestrating:
            self.cancel("interrupted")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Give green only to a session whose gates have passed, and whose phases stand."""
        if self.orchestrating:
            with self._noting_a_forgery():
                self._end_runners()
        yield
        session.exitstatus = self._exit_status(session.exitstatus)

    @contextlib.contextmanager
    def _noting_a_forgery(self) -> Iterator[None]:
        """Keep in mind that the run's ledger cannot be believed any more, and why."""
        try:
            yield
        except Infra as error:
            self._refused = self._refused or str(error)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give the run back, when the last word has been printed."""
        self.session.end()

    def _exit_status(self, ended: int) -> int:
        """What to end with, where pytest would have ended with ``ended``."""
        with self._noting_a_forgery():
            status = self._by_verdicts(ended)
        return pytest.ExitCode.USAGE_ERROR if self._refused else status

    def _by_verdicts(self, ended: int) -> int:
        judging = {*JUDGING, pytest.ExitCode.INTERRUPTED} if self.stopped_early else JUDGING
        if ended not in judging or self._only_shows:
            return ended
        outcomes = self._outcomes()
        if self.broken or (ended == pytest.ExitCode.TESTS_FAILED and not self._reported):
            outcomes.add(Outcome.FAILED)
        return exit_status(outcomes) or ended

    @property
    def stopped_early(self) -> bool:
        """Whether ``-x`` or ``--maxfail`` has ended it, which only xdist calls an interruption."""
        return False

    @property
    def _only_shows(self) -> bool:
        """Whether pytest was asked for something else than its tests."""
        return any(self.config.getoption(name, None) for name in SHOWS)

    def _outcomes(self) -> set[Outcome | None]:
        """All that this session was to judge or to carry out, by what became of it."""
        verdicts = self._verdicts().values()
        reached = self.orchestrating and self.session.sources_changed()
        return {
            *self._reported, *verdicts, *self._left_undone(), *([Outcome.INFRA] if reached else ())
        }  # fmt: skip

    def _verdicts(self) -> dict[str, Outcome | None]:
        """What the gates say that this session was to judge; ``None`` is said by empty ones too."""
        if self.config.getoption("orchestrator_lane"):
            return {}
        expected = sorted(self.session.selected | self._asked_gates())
        if not self.orchestrating:
            return dict.fromkeys(expected)
        return {gate: self._verdict(gate) for gate in expected}

    def _verdict(self, gate: str) -> Outcome | None:
        session = self.session
        state = session.ledger.state()
        if is_asked(state, gate):
            outcome, _ = standing(state, gate, session=session.settings.session)
            return outcome
        # No test of it has run; that it passed before counts if nothing has changed since.
        try:
            return session.verdict_now(gate)
        except RunError as error:
            return Outcome(error.verdict)

    def _left_undone(self) -> set[Outcome]:
        session = self.session
        if not (session.with_agents and self.orchestrating):
            return set()
        state = session.ledger.state()
        return {undone for _, undone in left_undone(session.plan, state, session.settings.session)}

    def _asked_gates(self) -> frozenset[str]:
        """The gates whose modules were asked for, by path, ``-m`` and ``--gate``.

        What else leaves tests out, leaves them out of a gate's verdict: ``-k``,
        ``--deselect``, ``--ignore``, ``--lf`` and plugins do not unask a gate.
        """
        named = set(self.config.getoption("orchestrator_gates"))
        asked = [path for argument in self.config.args for path in self._places(argument)]
        return frozenset(
            gate.name
            for gate in self.session.plan.gates.values()
            if any((self.session.project.root / gate.tests).is_relative_to(a) for a in asked)
            and self._is_marked(gate)
            and gate.name in (named or {gate.name})
        )

    def _places(self, argument: str) -> tuple[Path, ...]:
        """Where an argument points to; with ``--pyargs`` it may be a module's name."""
        argument = argument.split("::", maxsplit=1)[0]
        place = (self.config.invocation_params.dir / argument).resolve()
        if not self.config.option.pyargs or place.exists():
            return (place,)
        module = self.config.rootpath / argument.replace(".", "/")
        return module, module.with_name(f"{module.name}.py")

    def _is_marked(self, gate: Gate) -> bool:
        """Whether ``-m`` asks for the tests of a gate, by the markers each of them has."""
        markers = {"gate", f"phase{gate.phase}"}
        asked = Expression.compile(self.config.getoption("markexpr") or "gate")
        return asked.evaluate(lambda name, /, **_: name in markers)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Say what became of phases and gates."""
        status = self._exit_status(exitstatus)
        if self._refused:
            terminalreporter.section("orchestrator")
            terminalreporter.write_line(self._refused)
            return
        ended = exit_line(status, self._verdicts())
        if not (self.orchestrating or ended):
            return
        with contextlib.suppress(pytest.exit.Exception):
            self.tell()
        terminalreporter.ensure_newline()
        terminalreporter.section("orchestrator")
        for line in self._summary():
            terminalreporter.write_line(line)
        if self.orchestrating:
            for line in attempt_lines(self.session.ledger.state()):
                terminalreporter.write_line(line)
        if self.session.with_agents and self.orchestrating:
            self._tell_folders(terminalreporter)
        if ended:
            terminalreporter.write_line(ended)

    def _summary(self) -> list[str]:
        if not self.orchestrating:
            return []
        session, verdicts = self.session, self._verdicts()
        return summary_lines(
            session.plan,
            session.ledger.state(),
            session=session.settings.session,
            selected=verdicts,
            unjudged=[gate for gate, outcome in verdicts.items() if outcome is None],
        )

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
