"""Reading options; light, because every pytest session asks whether there is a runbook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_RUNBOOK = "runbook.toml"


def find_runbook(config: pytest.Config) -> Path | None:
    """The runbook this session works on; ``None`` if it has none.

    Raises:
        pytest.UsageError: One was asked for and is not there.
    """
    asked = option(config, "runbook")
    if asked is None:
        path = config.rootpath / DEFAULT_RUNBOOK
        return path if path.is_file() else None
    path = config.invocation_params.dir / asked
    if config.getoption("orchestrator_runbook") is None:
        path = config.rootpath / asked
    if not path.is_file():
        raise pytest.UsageError(f"--runbook: there is no file {path}")
    return path.resolve()


def option(config: pytest.Config, name: str) -> str | None:
    """An option's value from the command line, else from the ini file, else ``None``."""
    given = config.getoption(f"orchestrator_{name}") or config.getini(f"orchestrator_{name}")
    return str(given) if given else None


def early_runbook(config: pytest.Config) -> Path | None:
    """The same, as far as it is known before conftest files are read; wrong options come later."""
    asked = early_option(config, "runbook")
    if asked is None:
        path = config.rootpath / DEFAULT_RUNBOOK
    elif config.known_args_namespace.orchestrator_runbook is None:
        path = config.rootpath / asked
    else:
        path = config.invocation_params.dir / asked
    return path.resolve() if path.is_file() else None


def early_option(config: pytest.Config, name: str) -> str | None:
    """An option's value before the command line has been read to its end."""
    given = getattr(config.known_args_namespace, f"orchestrator_{name}", None)
    given = given or config.getini(f"orchestrator_{name}")
    return str(given) if given else None
