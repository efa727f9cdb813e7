"""Logs of commands and services: new ones, and their last lines."""

from __future__ import annotations

import itertools
import os
import textwrap
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.service import last_lines

if TYPE_CHECKING:
    from pathlib import Path

_QUOTED_LINES = 15
_TAIL_BYTES = 262144
_LINE_CHARACTERS = 400


def new_log(folder: Path, name: str) -> Path:
    """Create an empty log, e.g. ``core.log``, or ``core-2.log`` if that is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        log = folder / (f"{name}.log" if number == 1 else f"{name}-{number}.log")
        try:
            log.touch(exist_ok=False)
        except FileExistsError:
            continue
        return log
    raise AssertionError  # counted to infinity


def tail(log: Path, lines: int, *, once: str | None = None) -> str:
    """The last lines of a log; empty if nothing was written. ``once`` as for ``last_lines``."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return last_lines(file.read().decode(errors="replace"), lines, once=once)


def quoted(log: Path, *, once: str | None = None) -> str:
    """The end of a sentence about a command: the last lines it wrote, indented."""
    if not (lines := tail(log, _QUOTED_LINES, once=once)):
        return f"; it wrote nothing ({log})"
    cut = "\n".join(
        f"{line[:_LINE_CHARACTERS]}…" if len(line) > _LINE_CHARACTERS else line
        for line in lines.splitlines()
    )
    return f"; the last lines of {log}:\n{textwrap.indent(cut, '    ')}"
