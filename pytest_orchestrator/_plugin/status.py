"""``--run-status``: the state of a run, from its ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator._plugin.activate import RUNS, load, make_settings
from pytest_orchestrator._report import attempt_lines, summary_lines
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import RUN_LOCK, is_free

if TYPE_CHECKING:
    from pathlib import Path


def print_status(config: pytest.Config) -> int:
    """Print the state of the run that the options name, and return the exit status.

    Raises:
        pytest.UsageError: There is no such run.
    """
    plan, project = load(config)
    settings = make_settings(config, plan, project)
    folder = project.root / settings.folder
    if not (folder / "ledger.sqlite").exists():
        raise pytest.UsageError(f"there is no run {folder.name}; {_known(project.root / RUNS)}")
    ledger = Ledger(folder)
    try:
        state = ledger.state()
    finally:
        ledger.close()
    now = "at rest" if is_free(folder / RUN_LOCK) else "being carried out"
    print(f"run {folder.name}: {plan.run.name}, agents {state.agents}, {now}")  # noqa: T201
    for line in summary_lines(plan, state, session=state.session):
        print(f"  {line}")  # noqa: T201
    for line in attempt_lines(state):
        print(f"  {line}")  # noqa: T201
    return 0


def _known(runs: Path) -> str:
    names = sorted(p.parent.name for p in runs.glob("*/ledger.sqlite"))
    return f"there are {', '.join(names)}" if names else "nothing has been run yet"
