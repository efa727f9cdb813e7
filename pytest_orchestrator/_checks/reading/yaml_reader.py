"""YAML as far as JSON goes: the only module that imports PyYAML.

Built from the parser's events, so that the limits hold before anything is
constructed: an alias is refused where it stands, not after it was expanded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from pytest_orchestrator._checks.reading.limits import MAX_DEPTH, Unreadable, is_finite

if TYPE_CHECKING:
    from collections.abc import Callable

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# All that is a number or none begins with one of these, and most texts do not.
_NUMERIC = frozenset("0123456789.+-")
_MAX_DIGITS = 400  # more than any finite number has
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]{1,64}|0o[0-7]{1,64}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

Lines = dict[int, list[int]]
"""By the identity of an object or array, the 1-based line of each of its keys or elements."""


def parse_yaml(text: str, lines: Lines | None = None) -> object:
    """The one document of a text.

    Args:
        text: YAML.
        lines: Gets the lines of all objects and arrays.

    Raises:
        Unreadable: It is not YAML, or more than JSON can say.
    """
    builder = _Builder({} if lines is None else lines)
    takers = builder.takers()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            taker = takers.get(event.__class__)
            if taker is not None:
                taker(event)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else _unread(text, problem)
        reason = getattr(problem, "problem", None) or getattr(problem, "reason", problem)
        # From 6.0.4 on, PyYAML has a limit of its own, which it may reach while reading ahead.
        rule = "depth" if "nesting depth" in str(reason) else "syntax"
        what = f"is not YAML: {reason}"
        raise Unreadable(what, rule=rule, line=line, column=column) from None
    if not builder.documents:
        what = "is empty"
        raise Unreadable(what, rule="syntax")
    return builder.root


def _unread(text: str, problem: yaml.YAMLError) -> tuple[int, int]:
    """Line and column of a character no YAML may have, of which only the byte is told."""
    position = getattr(problem, "position", None)
    if not isinstance(position, int):
        return 0, 0
    before = text.encode(errors="replace")[:position].decode(errors="replace")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Builder:
    """Puts a document together, event by event, without recursion.

    ``_value`` is the collection that is not complete, ``_key`` the key whose value
    comes next, if it is an object; what is around it waits in ``_around``.
    """

    def __init__(self, lines: Lines) -> None:
        self.root: object = None
        self.documents = 0
        self._lines = lines
        self._around: list[tuple[dict[str, object] | list[object] | None, str | None, list[int]]]
        self._around = []
        self._value: dict[str, object] | list[object] | None = None
        self._key: str | None = None
        self._at: list[int] = []

    def takers(self) -> dict[type[Any], Callable[[Any], None]]:
        """What takes which event; the others mean nothing."""
        return {
            yaml.DocumentStartEvent: self._begin_document,
            yaml.AliasEvent: self._take_alias,
            yaml.ScalarEvent: self._take_scalar,
            yaml.MappingStartEvent: lambda event: self._begin(event, {}),
            yaml.SequenceStartEvent: lambda event: self._begin(event, []),
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
        }

    def _begin_document(self, event: yaml.Event) -> None:
        self.documents += 1
        if self.documents > 1:
            _refuse(event, "syntax", "begins a second document; only one is read")

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        _refuse(event, "alias", f"*{event.anchor}: aliases are not read")

    def _begin(
        self, event: yaml.CollectionStartEvent, value: dict[str, object] | list[object]
    ) -> None:
        if event.anchor is not None or event.tag is not None:
            _refuse_decorated(event)
        if len(self._around) == MAX_DEPTH:
            _refuse(event, "depth", f"nests deeper than {MAX_DEPTH} levels")
        if self._key is None and isinstance(self._value, dict):
            _refuse(event, "key", "a key must be a text")
        self._put(value, event)
        self._around.append((self._value, self._key, self._at))
        self._value, self._key = value, None
        self._at = self._lines[id(value)] = []

    def _end(self, _: yaml.Event) -> None:
        self._value, self._key, self._at = self._around.pop()
        self._key = None

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if event.anchor is not None or event.tag is not None:
            _refuse_decorated(event)
        if self._key is not None or not isinstance(self._value, dict):
            self._put(_resolved(event), event)
            return
        key: str = event.value
        if key in self._value:
            _refuse(event, "duplicate-key", f"says {key!r} a second time")
        if key == "<<" and event.implicit[0]:
            _refuse(event, "merge-key", "merge keys are not read")
        self._key = key
        self._at.append(_line(event))

    def _put(self, value: object, event: yaml.Event) -> None:
        into = self._value
        if isinstance(into, dict):
            if self._key is not None:
                into[self._key] = value
                self._key = None
        elif into is None:
            self.root = value
        else:
            into.append(value)
            self._at.append(_line(event))


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0


def _resolved(event: yaml.ScalarEvent) -> object:
    """What a scalar means by YAML 1.2's core schema; quoted, it is a text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _NO_NUMBER.fullmatch(text) or (_FLOAT.fullmatch(text) and not is_finite(text)):
        _refuse(event, "number", f"{text[:30]} is not a number JSON can hold")
    if _DECIMAL.fullmatch(text):
        if len(text) > _MAX_DIGITS:  # so many zeros before it
            _refuse(event, "number", f"{text[:30]} is not a number JSON can hold")
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def _refuse_decorated(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
    if event.anchor is not None:
        _refuse(event, "alias", f"&{event.anchor}: anchors are not read")
    _refuse(event, "tag", f"{event.tag}: tags are not read")


def _refuse(event: yaml.Event, rule: str, what: str) -> NoReturn:
    mark = event.start_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    raise Unreadable(what, rule=rule, line=line, column=column)
