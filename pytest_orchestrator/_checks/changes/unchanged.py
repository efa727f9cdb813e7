"""Schemas that need not be compared, for most of a document stays as it was."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import Node, canonical

if TYPE_CHECKING:
    from pytest_orchestrator._checks.comparison.outline import Outline

_REFERENCE = re.compile(r'"\$ref": ("(?:[^"\\]|\\.)*")')


class Unchanged:
    """Finds schemas that are written as before, and so is all they refer to."""

    def __init__(self, old: Outline, new: Outline) -> None:
        self._old = old
        self._new = new
        # Else the same words may mean something else.
        self._is_one_language = old.ignores_siblings is new.ignores_siblings

    def __call__(self, old: Node, new: Node) -> bool:
        """Whether nothing has changed; that something has may still mean the same."""
        text = canonical(old.value)
        is_same = self._is_one_language and text == canonical(new.value)
        return is_same and self._changed.isdisjoint(_references(text))

    @cached_property
    def _changed(self) -> set[str]:
        """References to something that has changed, or that refers to such a thing itself."""
        todo: list[str] = []
        users = defaultdict(list)
        for reference in _references(canonical(self._old.root.value)):
            one, other = (each.target(Node(reference)) for each in (self._old, self._new))
            text = canonical(one.value)
            if one.value is None or text != canonical(other.value):
                todo.append(reference)
            for used in _references(text):
                users[used].append(reference)
        changed = set(todo)
        while todo:
            further = set(users[todo.pop()]) - changed
            changed |= further
            todo += further
        return changed


def _references(text: str) -> set[str]:
    """All references in a value, given as JSON."""
    return {json.loads(written) for written in _REFERENCE.findall(text)}
