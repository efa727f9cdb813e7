"""JSON with what ``json`` would let through, or would not survive, found where it stands."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from pytest_orchestrator._checks.reading.limits import MAX_DEPTH, Unreadable, is_deep, is_finite

# Possessive, so that a string that is never closed costs one pass and not one per quote.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}:]|-?(?:NaN|Infinity|\d[\d.eE+-]*)', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_DIGITS = 300  # as many always fit into a double


class _Odd(Exception):
    """Something is in there that has to be looked for."""


def parse_json(text: str) -> object:
    """The one value of a text.

    Raises:
        Unreadable: It is not JSON, or more than JSON can say.
    """
    try:
        document = _DECODER.decode(text)
        if not is_deep(document) and (not _SURROGATE.search(text) or _is_text(document)):
            return document
    except (_Odd, RecursionError, ValueError):
        pass
    # The exact place is worth a second, slower look only now.
    _Scan(text).run()
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        what = f"is not JSON: {problem.msg}"
        line, column = problem.lineno, problem.colno
        raise Unreadable(what, rule="syntax", line=line, column=column) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Odd
    return members


def _float(written: str) -> float:
    value = float(written)
    if math.isinf(value):
        raise _Odd
    return value


def _int(written: str) -> int:
    if len(written) > _MAX_DIGITS:
        raise _Odd
    return int(written)


def _constant(_: str) -> NoReturn:
    raise _Odd


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_float, parse_int=_int, parse_constant=_constant
)


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


def _is_text(value: object) -> bool:
    """Whether all that is in there can be written down."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
