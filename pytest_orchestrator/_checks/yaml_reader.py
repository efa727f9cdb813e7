"""YAML as far as JSON goes: the only module that imports PyYAML.

Built from the parser's events, so that the limits hold before anything is
constructed: an alias is refused where it stands, not after it was expanded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

import yaml

from pytest_orchestrator._checks.documents import MAX_DEPTH, Unreadable, is_finite

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]{1,64}|0o[0-7]{1,64}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse_yaml(text: str) -> object:
    """The one document of a text.

    Raises:
        Unreadable: It is not YAML, or more than JSON can say.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        reason = getattr(problem, "problem", None) or getattr(problem, "reason", problem)
        what = f"is not YAML: {reason}"
        raise Unreadable(what, rule="syntax", line=line, column=column) from None
    if not builder.documents:
        what = "is empty"
        raise Unreadable(what, rule="syntax")
    return builder.root


@dataclass(slots=True)
class _Open:
    """A collection that is not complete, and the key whose value comes next."""

    value: dict[str, object] | list[object]
    key: str | None = None


class _Builder:
    """Puts a document together, event by event, without recursion."""

    def __init__(self) -> None:
        self.root: object = None
        self.documents = 0
        self._open: list[_Open] = []

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    _refuse(event, "syntax", "begins a second document; only one is read")
            case yaml.AliasEvent():
                _refuse(event, "alias", f"*{event.anchor}: aliases are not read; repeat the text")
            case yaml.ScalarEvent():
                _refuse_decorated(event)
                self._take_scalar(event)
            case yaml.MappingStartEvent():
                self._begin(event, {})
            case yaml.SequenceStartEvent():
                self._begin(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case _:  # where the stream or a document begins or ends
                pass

    def _begin(
        self, event: yaml.CollectionStartEvent, value: dict[str, object] | list[object]
    ) -> None:
        _refuse_decorated(event)
        if len(self._open) == MAX_DEPTH:
            _refuse(event, "depth", f"nests deeper than {MAX_DEPTH} levels")
        if self._expects_key():
            _refuse(event, "key", "a key must be a text")
        self._put(value)
        self._open.append(_Open(value))

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if not self._expects_key():
            self._put(_resolved(event))
            return
        top = self._open[-1]
        if event.value in top.value:
            _refuse(event, "duplicate-key", f"says {event.value!r} a second time")
        if event.value == "<<" and event.implicit[0]:
            _refuse(event, "merge-key", "merge keys are not read; repeat the text")
        top.key = event.value

    def _expects_key(self) -> bool:
        return (
            bool(self._open)
            and isinstance(self._open[-1].value, dict)
            and (self._open[-1].key is None)
        )

    def _put(self, value: object) -> None:
        if not self._open:
            self.root = value
            return
        top = self._open[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is not None:
            top.value[top.key] = value
            top.key = None


def _resolved(event: yaml.ScalarEvent) -> object:
    """What a scalar means by YAML 1.2's core schema; quoted, it is a text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _NO_NUMBER.fullmatch(text) or (_FLOAT.fullmatch(text) and not is_finite(text)):
        _refuse(event, "number", f"{text[:30]} is not a number JSON can hold")
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def _refuse_decorated(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
    if event.anchor is not None:
        _refuse(event, "alias", f"&{event.anchor}: anchors are not read")
    if event.tag is not None:
        _refuse(event, "tag", f"{event.tag}: tags are not read")


def _refuse(event: yaml.Event, rule: str, what: str) -> NoReturn:
    mark = event.start_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    raise Unreadable(what, rule=rule, line=line, column=column)
