"""What a run says on the terminal: a header, a line per event, a summary at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator import _backends
from pytest_orchestrator._report import event_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.event import Entry
    from pytest_orchestrator._plugin.session import RunSession


class Terminal:
    """Hooks that print.

    Args:
        session: The session's view of its run.
    """

    def __init__(self, session: RunSession) -> None:
        self._session = session

    def pytest_report_header(self) -> list[str]:
        """What this session works on."""
        session, plan = self._session, self._session.plan
        lanes = ", ".join(plan.agents)
        agents, run = session.settings.agents, session.folder.name
        lines = [
            f"orchestrator: {plan.run.name}, agents {agents}, run {run}",
            f"  lanes {lanes}; gates {', '.join(plan.gates)}; {session.settings.folder}",
        ]
        if session.with_agents:
            lines += [
                f"  {line}"
                for line in _backends.remarks(session.settings.agents, plan, session.project.root)
            ]
        return lines

    def pytest_orchestrator_event(self, entry: Entry, config: pytest.Config) -> None:
        """Print a line per event worth telling."""
        line = event_line(entry)
        reporter = config.pluginmanager.getplugin("terminalreporter")
        if not line or reporter is None or config.option.verbose < 0:
            return
        with _uncaptured(config):
            reporter.ensure_newline()
            reporter.write_line(f"  {line}")
            reporter.flush()


@contextlib.contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Without xdist, a test may be running, and what it prints is being captured."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        yield
        return
    with capture.global_and_fixture_disabled():
        yield
