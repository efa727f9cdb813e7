"""Read a runbook from disk."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from stat import S_ISREG
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.runbook import Files, named_files, parse_runbook
from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator.errors import RunbookError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Plan

MAX_BYTES = 2**20
"""Of a runbook, and of each brief; 1 MiB."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a file was not read, as the rest of a sentence that begins with its name."""

    why: str


def load_runbook(path: Path) -> Plan:
    """Read and validate a runbook, its briefs included.

    Args:
        path: The TOML file. Every path in it is relative to its folder.

    Returns:
        The plan, with the text of every brief.

    Raises:
        RunbookError: The file cannot be read, is larger than 1 MiB, is not
            UTF-8 or not TOML (with line and column where they are known), or
            contradicts itself or what is on disk; has all findings.
    """
    document = _document(path)
    return parse_runbook(document, source=str(path), files=_files(path.parent, document))


def _document(path: Path) -> Mapping[str, object]:
    text = _text(path)
    if isinstance(text, Unread):
        raise RunbookError(str(path), [Finding(path.name, text.why)])
    try:
        return tomllib.loads(text)
    except RecursionError:
        finding = Finding(path.name, "is nested too deeply; a runbook has four levels at most")
    except ValueError as error:
        finding = _syntax(path.name, str(error))
    raise RunbookError(str(path), [finding])


def _syntax(name: str, message: str) -> Finding:
    """What is no TOML, e.g. ``Invalid value (at line 3, column 5)``."""
    what, _, place = message.partition(" (at ")
    known = re.match(r"(line \d+, column \d+|end of document)\)", place)
    where = f"{name}, {known[1]}" if known else name
    return Finding(where, f"is not TOML: {what if known else message}")


def _text(path: Path) -> str | Unread:
    """The text of a regular file of a reasonable size."""
    try:
        with open(path, "rb", opener=_open) as file:
            regular = S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_BYTES + 1) if regular else b""
    except OSError as error:
        return Unread(f"cannot be read: {error.strerror}")
    if not regular:
        return Unread("cannot be read: it is not a regular file")
    if len(content) > MAX_BYTES:
        return Unread(f"is larger than {MAX_BYTES} bytes; shorten it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Unread(f"is not UTF-8 at line {line}, column {column}; save it as UTF-8")


def _open(path: str, flags: int) -> int:
    # A pipe of that name would otherwise make us wait until somebody writes to it.
    return os.open(path, flags | os.O_NONBLOCK)


def _files(folder: Path, document: Mapping[str, object]) -> Files:
    """Look up what the document names, and nothing else."""
    named, modules = named_files(document)
    briefs = {path: _brief(folder, path) for path in sorted(named)}
    return Files(
        briefs={path: text for path, text in briefs.items() if isinstance(text, str)},
        tests=frozenset(path for path in modules if os.path.isfile(folder / path)),  # noqa: PTH113
        refused={path: text.why for path, text in briefs.items() if isinstance(text, Unread)},
    )


def _brief(folder: Path, path: str) -> str | Unread | None:
    """The text of a brief; ``None``: it is not there."""
    # Behind a link may be anything of this machine, and what an agent is told is not secret.
    if os.path.realpath(folder / path) != os.path.join(os.path.realpath(folder), path):  # noqa: PTH118
        return Unread("is a symbolic link, or lies behind one; put the file itself there")
    return _text(folder / path) if os.path.lexists(folder / path) else None
