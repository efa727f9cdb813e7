"""What is settled before pytest reads its first conftest file: whose files judge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator._plugin.bytecode import read_sources_only
from pytest_orchestrator._plugin.options import early_option

if TYPE_CHECKING:
    from collections.abc import Iterator


def guard(config: pytest.Config, runbook: Path) -> None:
    """Refuse to take gates from the tree they are to judge; read what judges from its sources.

    Raises:
        pytest.UsageError: The root folder or an argument would bring that tree's own gates,
            conftest files or settings.
    """
    _check_root(config)
    for asked, path in _asked(config):
        for tree in _trees(config, runbook):
            if path.is_relative_to(tree):
                raise pytest.UsageError(
                    f"{asked} is in {tree}, which agents write: that tree would bring the tests "
                    "that judge it. Name the gates of your own checkout, and give the tree as "
                    "--workspace"
                )
    read_sources_only(runbook)


def _asked(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """The places pytest collects from, reads settings from, or imports from."""
    told = config.known_args_namespace
    here = config.invocation_params.dir
    for name in (*told.file_or_dir, config.inipath, told.rootdir, told.confcutdir, *sys.path):
        if name:
            path = Path(str(name).split("::", maxsplit=1)[0])
            yield str(name), (here / path).resolve()
    if not told.file_or_dir:
        yield f"the folder pytest was started in, {here},", here.resolve()


def _trees(config: pytest.Config, runbook: Path) -> Iterator[Path]:
    """The folders agents write in, the runbook's own left out."""
    yield (runbook.parent / ".orchestrator").resolve()
    if (asked := early_option(config, "workspace")) is not None:
        tree = (config.invocation_params.dir / asked).resolve()
        if not runbook.is_relative_to(tree):
            yield tree


def _check_root(config: pytest.Config) -> None:
    """Refuse a root folder in the tree that is to be judged.

    pytest looks for its root folder before it knows our options, and takes any
    argument that is a folder for a place to look.
    """
    asked = early_option(config, "workspace")
    if asked is None:
        return
    tree = (config.invocation_params.dir / asked).resolve()
    here = config.invocation_params.dir.resolve()
    if config.rootpath.resolve().is_relative_to(tree) and not here.is_relative_to(tree):
        raise pytest.UsageError(
            f"pytest has taken {tree} for its root folder, so that tree would bring the gates "
            f"that judge it; write it as one word: --workspace={asked}"
        )
