"""Hooks other people can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_orchestrator._domain.event import Entry


@pytest.hookspec
def pytest_orchestrator_event(entry: Entry, config: pytest.Config) -> None:
    """Something happened in the run.

    Called in the controller (or in the one process without xdist), once for each
    event of the ledger that is newer than the session, in their order, within
    half a second. Never called in a worker. What it returns is ignored.

    Args:
        entry: The event with its number and its time (Unix epoch).
        config: pytest's configuration.
    """
