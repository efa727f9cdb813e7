"""The line a JSON pointer stands at."""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_orchestrator._checks.reading.yaml_reader import Lines

_BLANK = re.compile(r"[ \t\n\r]*")
# Skips over what nobody asked about, without a look inside in Python.
_skip = JSONDecoder().scan_once  # type: ignore[attr-defined]


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The keys and indexes of a pointer."""
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:])


def yaml_lines(document: object, lines: Lines, pointers: Iterable[str]) -> dict[str, int]:
    """The line of each pointer, or of the innermost part of it that is there."""
    positions: dict[int, dict[str, int]] = {}
    return {
        pointer: _yaml_line(document, lines, tokens_of(pointer), positions) for pointer in pointers
    }


def _yaml_line(
    value: Any, lines: Lines, tokens: Iterable[str], positions: dict[int, dict[str, int]]
) -> int:
    line = 1
    for token in tokens:
        known = lines.get(id(value), ())
        if isinstance(value, dict) and token in value:
            if id(value) not in positions:
                positions[id(value)] = {key: at for at, key in enumerate(value)}
            line = known[positions[id(value)][token]] if known else line
            value = value[token]
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            line = known[int(token)] if known else line
            value = value[int(token)]
        else:
            break
    return line


def json_lines(text: str, pointers: Iterable[str]) -> dict[str, int]:
    """The same for a text that is known to be JSON."""
    wanted: dict[str, Any] = {}
    for pointer in pointers:
        node = wanted
        for token in tokens_of(pointer):
            node = node.setdefault(token, {})
        node.setdefault(None, []).append(pointer)  # type: ignore[call-overload]
    breaks = [found.start() for found in re.finditer("\n", text)]
    start = _blank(text, 1 if text.startswith("\ufeff") else 0)
    return {
        pointer: bisect_right(breaks, at - 1) + 1
        for pointer, at in _places(text, start, start, wanted)
    }


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _places(text: str, at: int, told: int, wanted: dict[Any, Any]) -> Iterator[tuple[str, int]]:
    """Where the pointers of a part stand: its value begins at ``at``, its key at ``told``."""
    todo = [(at, told, wanted)]
    while todo:
        at, told, wanted = todo.pop()
        for pointer in wanted.get(None, ()):
            yield pointer, told
        below = {token: node for token, node in wanted.items() if token is not None}
        if below and text[at] in "{[":
            for token, key_at, value_at in _members(text, at):
                if token in below:
                    todo.append((value_at, key_at, below.pop(token)))
                    if not below:
                        break
        todo.extend((at, told, _here(node)) for node in below.values())


def _here(node: dict[Any, Any]) -> dict[Any, Any]:
    """What is wanted below something that is not there stands where that would."""
    found: list[str] = []
    todo = [node]
    while todo:
        for token, below in todo.pop().items():
            if token is None:
                found += below
            else:
                todo.append(below)
    return {None: found}


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Key or index, where that stands, and where the value does."""
    is_object = text[at] == "{"
    index = 0
    at = _blank(text, at + 1)
    while text[at] not in "}]":
        key_at, token = at, str(index)
        if is_object:
            token, at = scanstring(text, at + 1)
            at = _blank(text, _blank(text, at) + 1)
        yield token, key_at, at
        _, at = _skip(text, at)
        at = _blank(text, at)
        if text[at] == ",":
            at = _blank(text, at + 1)
        index += 1
