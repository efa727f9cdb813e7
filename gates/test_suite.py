"""The suite: the application's own tests pass, and its documentation is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_orchestrator.types import Services

pytestmark = pytest.mark.gate("suite")

NAMES = ("core", "api", "frontend")


@pytest.mark.parametrize("name", NAMES)
def test_own_tests_pass(name: str, services: Services) -> None:
    """The service's own tests pass, and there is at least one."""
    output = services.run_check(name, "test")

    passed = re.search(r"\b(\d+) passed|Passed:\s+(\d+)|pass(?:ed)?\s+(\d+)", output)
    assert passed, f"no test ran:\n{output[-500:]}"
    assert int(next(filter(None, passed.groups()))) > 0


def test_documentation_names_every_service(workspace: Path) -> None:
    """The root documentation tells how to reach each service."""
    text = (workspace / "docs" / "application.md").read_text()

    assert not [name for name in NAMES if name not in text]
