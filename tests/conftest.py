"""Fixtures for tests that run pytest on a small project."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.project import Project

pytest_plugins = ["pytester"]

SLOW = "test_pitfalls_"
"""Modules by this prefix show one trap of pytest and xdist after the other on a project."""


STATE = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the key of the ledgers these tests write apart from the user's own."""
    if hasattr(config, "workerinput"):
        return  # inherits what its controller has set
    config.stash[STATE] = Path(tempfile.mkdtemp(prefix="orchestrator-state-"))
    os.environ["XDG_STATE_HOME"] = str(config.stash[STATE])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if STATE in config.stash:
        shutil.rmtree(config.stash[STATE], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what walks into every trap with a whole project."""
    for item in items:
        if item.path.name.startswith(SLOW) and "project" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


@pytest.fixture
def project(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:  # fmt: skip
    """A project with two lanes, two phases and two gates, all of which pass."""
    installed = tmp_path_factory.mktemp("installed")
    inherited = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(installed), inherited))))
    # What this very session was given, or is, must not be taken for the project's session.
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return Project(pytester, installed)
