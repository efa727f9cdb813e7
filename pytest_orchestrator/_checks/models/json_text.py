"""JSON in a page, every value with its line; what is no JSON comes with the cure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.nodes import shortened, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 16

_TOKEN = re.compile(
    r"(?P<blank>[ \n]+)"
    r'|(?P<text>"(?:[^"\\\n]++|\\[^\n])*+")'
    r"|(?P<mark>[{}\[\]:,])"
    r"|(?P<word>[\w.+-]+)"
    r"|(?P<other>//|/\*|.)"
)
_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null", re.ASCII)


class Text(NamedTuple):
    """A string, or a key."""

    value: str
    line: int


class Example(NamedTuple):
    """A value that is no string: a number, ``true``, ``false`` or ``null``, as it is written."""

    value: str
    line: int


class Array(NamedTuple):
    """What stands between brackets."""

    elements: tuple[Value, ...]
    line: int


class Object(NamedTuple):
    """What stands between braces; a key may come twice."""

    members: tuple[tuple[Text, Value], ...]
    line: int


Value = Text | Example | Array | Object


class BadJson(Exception):
    """Why a text is not JSON, and the cure."""

    def __init__(self, what: str, *, rule: str, line: int, column: int) -> None:
        super().__init__(what)
        self.rule = rule
        self.line = line
        self.column = column


def read_json(text: str, first: int) -> Value:
    """The one value of a text.

    Args:
        text: Without control characters, other than line feeds.
        first: The line its first line is on.

    Raises:
        BadJson: It is not JSON, or nests deeper than 16 levels.
    """
    return _Reader(text, first).whole()


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    column: int


def _tokens(text: str, line: int) -> Iterator[_Token]:
    start = 0
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "blank":
            yield _Token(str(found.lastgroup), found[0], line, found.start() - start + 1)
        elif breaks := found[0].count("\n"):
            line += breaks
            start = found.start() + found[0].rindex("\n") + 1
    yield _Token("end", "", line, len(text) - start + 1)


class _Reader:
    """Reads one token ahead."""

    def __init__(self, text: str, first: int) -> None:
        self._tokens = _tokens(text, first)
        self._now = next(self._tokens)

    def whole(self) -> Value:
        value = self._value(1)
        if self._now.kind != "end":
            raise self._bad("more follows, but one block is one object")
        return value

    def _value(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            what = f"nests deeper than {MAX_DEPTH} levels; give what is within a model of its own"
            raise self._bad(what, rule="depth")
        token = self._now
        if token.kind == "text":
            return self._text()
        if token.kind == "word" and _SCALAR.fullmatch(token.text):
            return Example(self._take().text, token.line)
        if token.text == "{":
            return Object(tuple(self._members(depth)), token.line)
        if token.text == "[":
            return Array(tuple(self._elements(depth)), token.line)
        raise self._bad("a value is missing")

    def _members(self, depth: int) -> Iterator[tuple[Text, Value]]:
        for _ in self._separated("}"):
            if self._now.kind != "text":
                raise self._bad("a key is missing")
            key = self._text()
            if self._now.text != ":":
                raise self._bad(f"a colon is missing after {shown(key.value)}")
            self._take()
            yield key, self._value(depth + 1)

    def _elements(self, depth: int) -> Iterator[Value]:
        for _ in self._separated("]"):
            yield self._value(depth + 1)

    def _separated(self, closing: str) -> Iterator[None]:
        """Go from one member to the next; each is read before it goes on."""
        self._take()
        if self._now.text != closing:
            yield
        while self._now.text != closing:
            if self._now.text != ",":
                is_value = self._now.kind in {"text", "word"} or self._now.text in {"{", "["}
                raise self._bad(f"{'a comma' if is_value else closing} is missing")
            comma = self._take()
            if self._now.text == closing:
                self._now = comma
                raise self._bad(f"the last comma before {closing} stands for nothing; take it out")
            yield
        self._take()

    def _text(self) -> Text:
        token = self._now
        try:
            value = str(json.loads(token.text))
            value.encode()
        except UnicodeEncodeError:
            what = "has half of a surrogate pair, which is no character"
            raise self._bad(what, rule="encoding") from None
        except ValueError:
            what = f"{shown(token.text)} has a backslash that means nothing"
            raise self._bad(what) from None
        return Text(value, self._take().line)

    def _take(self) -> _Token:
        token = self._now
        self._now = next(self._tokens, token)
        return token

    def _bad(self, what: str, *, rule: str = "syntax") -> BadJson:
        token = self._now
        if rule == "syntax":
            what = f"is not JSON: {_cure(token) or what}"
        return BadJson(what, rule=rule, line=token.line, column=token.column)


def _cure(token: _Token) -> str:
    """What is wrong, if the token alone tells."""
    match token.kind, token.text:
        case "end", _:
            return "it ends before all brackets are closed"
        case "other", "//" | "/*" | "#":
            return "it has no comments; say it in the text around the block"
        case "other", '"':
            return "a text is not closed on its line"
        case "other", "'" | "`" | "\u201c" | "\u201d":
            return f"a text stands between double quotes, not {token.text}"
        case "other", other:
            return f"{shown(other)} means nothing here"
        case "word", word if not _SCALAR.fullmatch(word):
            return f'a text stands between double quotes: "{shortened(word, 60)}"'
        case _:
            return ""
