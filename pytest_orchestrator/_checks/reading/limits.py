"""What is read at all, and how it is told that something is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.rules.faults import told

if TYPE_CHECKING:
    from pytest_orchestrator._domain.verdict import Finding

MAX_BYTES = 5_000_000
MAX_DEPTH = 100

_CURES = {
    "alias": "write out what is meant",
    "depth": "name what is deep within, and refer to it",
    "duplicate-key": "keep one of them",
    "encoding": "save it as UTF-8 text",
    "key": "write the key as a text",
    "merge-key": "write out what is meant",
    "number": "write a number that fits into 64 bits, or a text",
    "size": "split it, or publish less",
    "syntax": "mend it there, and look whether it was written to its end",
    "tag": "take the tag out",
    "unreadable": "put a regular file there that may be read",
}


class Unreadable(Exception):
    """What keeps a document from being read; 1-based ``line`` and ``column``, 0 if not known."""

    def __init__(self, what: str, *, rule: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.rule = rule
        self.line = line
        self.column = column

    def found_in(self, name: str) -> Finding:
        """The finding that tells of it."""
        where = f"{name}:{self.line}:{self.column}" if self.line else name
        return told(where, str(self), self.rule, _CURES[self.rule])


def is_deep(value: object, levels: int = MAX_DEPTH) -> bool:
    """Whether a value nests deeper than is read; looked at level by level, without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        level = [
            below
            for container in level
            for below in (container.values() if isinstance(container, dict) else container)
            if isinstance(below, (dict, list))
        ]
    return bool(level)


def is_finite(number: str) -> bool:
    """Whether a number fits; what is no number is left to the parser."""
    try:
        return math.isfinite(float(number))
    except ValueError:
        return True
