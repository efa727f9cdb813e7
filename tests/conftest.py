"""Fixtures for tests that run pytest on a small project."""

from __future__ import annotations

import os

import pytest

from tests.project import Project

pytest_plugins = ["pytester"]


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
