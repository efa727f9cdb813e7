"""Reading JSON and YAML nobody has vouched for."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, NoReturn

from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 5_000_000
MAX_DEPTH = 100

# Possessive, so that a string that is never closed costs one pass and not one per quote.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}:]|-?(?:NaN|Infinity|\d[\d.eE+-]*)', re.DOTALL)


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
        return Finding(where, str(self), self.rule)


def read_document(data: bytes, name: str) -> tuple[object | None, Verdict]:
    """Read a contract, JSON or YAML.

    It is taken for JSON, and only for JSON, if ``name`` ends in ``.json`` or
    its text starts with ``{`` or ``[``. YAML is read by the core schema of YAML
    1.2 (``no`` is a text, a date is a text, keys are texts) and only as far as
    JSON goes: no aliases, anchors, tags, merge keys or second documents.

    Args:
        data: The bytes as they are published; UTF-8, at most 5 MB.
        name: What findings call the document, e.g. ``"core-api.json"``.

    Returns:
        The document, and a verdict without findings; or ``None`` and a verdict
        that says what stands where: ``"core-api.yaml:7:3"``. Because ``null`` is
        a document, too, the verdict decides.
    """
    return read(data, name, check="document", json_only=name.endswith(".json"))


def read(data: bytes, name: str, *, check: str, json_only: bool) -> tuple[object | None, Verdict]:
    """Read bytes under the limits of this module; findings instead of exceptions."""
    try:
        text = _decoded(data)
        is_json = json_only or text.lstrip().startswith(("{", "["))
        parse: Callable[[str], object] = _parse_json if is_json else _parse_yaml
        return parse(text), Verdict(check)
    except Unreadable as problem:
        return None, Verdict(check, (problem.found_in(name),))


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        what = f"has {len(data)} bytes; at most {MAX_BYTES} are read"
        raise Unreadable(what, rule="size")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        what = f"is not UTF-8: {problem.reason} at byte {problem.start}"
        raise Unreadable(what, rule="encoding") from None


def _parse_json(text: str) -> object:
    _Scan(text).run()
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        what = f"is not JSON: {problem.msg}"
        line, column = problem.lineno, problem.colno
        raise Unreadable(what, rule="syntax", line=line, column=column) from None


class _Scan:
    """Goes through JSON for what ``json`` would accept, or would not survive."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[set[str] | None] = []
        self._last = ("", 0)

    def run(self) -> None:
        """Refuse the first such thing; whether it is JSON at all is not asked."""
        for match in _TOKEN.finditer(self._text):
            self._at = match.start()
            self._take(match[0])

    def _take(self, piece: str) -> None:
        match piece[0]:
            case "{" | "[":
                self._open.append(set() if piece == "{" else None)
                if len(self._open) > MAX_DEPTH:
                    self._refuse("depth", f"nests deeper than {MAX_DEPTH} levels")
            case "}" | "]":
                del self._open[-1:]
            case ":":
                self._take_key(*self._last)
            case '"':
                text = _unquoted(piece)
                self._last = (text, self._at)
                if not _is_text(text):
                    self._refuse("encoding", "has half of a surrogate pair, which is no character")
            case _:
                if not is_finite(piece):
                    self._refuse("number", f"{piece[:30]} is not a number JSON can hold")

    def _take_key(self, key: str, at: int) -> None:
        keys = self._open[-1] if self._open else None
        if keys is not None:
            if key in keys:
                self._at = at
                self._refuse("duplicate-key", f"says {json.dumps(key)} a second time")
            keys.add(key)

    def _refuse(self, rule: str, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - self._text.rfind("\n", 0, self._at)
        raise Unreadable(what, rule=rule, line=line, column=column)


def _unquoted(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:  # the parser will say so, and better
        return quoted


def _is_text(value: str) -> bool:
    """Whether a string can be written down at all."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_finite(number: str) -> bool:
    """Whether a number fits; what is no number is left to the parser."""
    try:
        return math.isfinite(float(number))
    except ValueError:
        return True


def _parse_yaml(text: str) -> object:
    # PyYAML has one door, and most sessions never go through it.
    from pytest_orchestrator._checks.yaml_reader import parse_yaml  # noqa: PLC0415

    return parse_yaml(text)
