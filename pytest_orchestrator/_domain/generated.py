"""Files a consumer has a program make from a contract: its command, and what it made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.service import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUIRED = ("contract", "out")
PLACEHOLDERS = {
    "contract": "the file to read",
    "out": "the folder to write to",
    "python": "the interpreter pytest runs in",
}
"""What may stand in braces in a generator's command, and what for."""

_KEPT = ("PATH", "HOME", "LANG")


@dataclass(frozen=True, slots=True)
class Made:
    """What a generator did.

    Attributes:
        status: Its exit status.
        output: The end of what it wrote to its output; may be empty.
        files: The bytes of each promised file, by path; without those it did not make.
    """

    status: int
    output: str
    files: Mapping[str, bytes]


def filled(command: Sequence[str], *, contract: str, out: str, python: str) -> list[str]:
    """A command with its placeholders filled; other braces stay as they are."""
    values = {"contract": contract, "out": out, "python": python}
    return [fill(word, values) for word in command]


def to_type(command: Sequence[str], contract: str) -> str:
    """A command as people type it at the root of the tree."""
    return shlex.join(filled(command, contract=contract, out=".", python="python"))


def generator_environment(caller: Mapping[str, str], temporary: str) -> dict[str, str]:
    """All environment variables a generator gets.

    Where programs and their settings are, and nothing else of the caller's: no
    key, no token, and no proxy, so that what it makes depends on the contract.
    """
    kept = {key: caller[key] for key in _KEPT if key in caller}
    return {"LANG": "C.UTF-8", **kept, "TMPDIR": temporary}
