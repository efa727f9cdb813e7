"""The notation of types: ``"string 1..500 | null"`` as JSON Schema.

::

    union   = part ("|" part)*
    part    = type [bounds] | model | literal | "[" union "]" [bounds]
    literal = lower-case word | "'" any text "'"
    bounds  = lowest ".." | ".." highest | lowest ".." highest
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pytest_orchestrator._checks.models.json_text import MAX_DEPTH
from pytest_orchestrator._checks.nodes import canonical, shortened, shown
from pytest_orchestrator._checks.rules.near import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Schema = dict[str, Any]
Models = Mapping[str, str]

TYPES: dict[str, Schema] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "uuid": {"type": "string", "format": "uuid"},
    "date-time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "object": {"type": "object"},
    "any": {},
}
_MEANT = {
    "array": '["string"]',
    "bool": '"boolean"',
    "datetime": '"date-time"',
    "decimal": '"number"',
    "dict": '"object"',
    "double": '"number"',
    "float": '"number"',
    "guid": '"uuid"',
    "int": '"integer"',
    "list": '["string"]',
    "nil": '"null"',
    "none": '"null"',
    "str": '"string"',
    "timestamp": '"date-time"',
    "undefined": '"null"',
}
# The first contains the second: said together, it is open whether the second is meant to count.
_CONTAINS = (
    ("number", "integer"),
    ("string", "uuid"),
    ("string", "date-time"),
    ("string", "date"),
)
_BOUNDED = {
    "string": ("minLength", "maxLength"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "list": ("minItems", "maxItems"),
}
_MAX_DIGITS = 15  # a double gives that many back as they were written
_MAX_FOREIGN = 200  # characters in which another notation is recognised
_MAX_NAMES = 500  # that many are looked through for the nearest
_NEAR = 0.81  # a word as similar as this to a type is a slip, where it could be a literal, too

_PIECE = re.compile(
    r"(?P<mark>[|\[\]])"
    r"|'(?P<quoted>[^']*)'"
    r"|(?P<bounds>-?[.\d][-.\d]*)"
    r"|(?P<word>[A-Za-z_][\w-]*)"
    r"|(?P<other>[^ ])",
    re.ASCII,
)
_LITERAL = re.compile(r"[a-z][a-z0-9_-]*")
_NUMBER = r"-?(?:0|[1-9]\d*)(?:\.\d+)?"
_BOUNDS = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?", re.ASCII)

# What people write who know another notation, and what it is here.
_FOREIGN = (
    (r"[\w-]+\?", 'a field that may be missing is marked at its key: "page?"'),
    (r"[\w-]+ *[<>=\u2264\u2265(:{]+ *-?\d.*", "bounds follow a type like 1..500, 1.. or ..500"),
    (r".*([\w-]\[|<).*", 'a list is written ["string"]'),
    (r".*\[ *\].*|.*\[[^|\]]*,.*", 'a list has one element, e.g. "[string | null]"'),
    (r"[^\]]*\[[^\]]*|[^\[]*\][^\[]*", 'brackets come in pairs, as in "[string | null]"'),
    (r"\|.*|.*\|( *\|.*)?|.*(,|/|&| or ).*", 'between two alternatives stands one "|"'),
    (r"[^']*('[^']*'[^']*)*'[^']*", "a quoted literal begins and ends with '"),
)


class Problem(NamedTuple):
    """Why a type cannot be read, with the cure."""

    what: str
    rule: str


class _Part(NamedTuple):
    """One alternative of a union.

    Attributes:
        kind: ``"type"``, ``"model"``, ``"list"``, ``"literal"``; ``"quoted"`` for a quoted literal.
        word: The type, the model or the literal; ``"list"`` for a list.
        schema: Empty for a literal, since all of them make one schema.
    """

    kind: str
    word: str
    schema: Schema

    @property
    def is_literal(self) -> bool:
        return self.kind in {"literal", "quoted"}

    @property
    def key(self) -> tuple[bool, str]:
        """The same for what says the same."""
        return self.is_literal, canonical(self.schema) if self.kind == "list" else self.word


def read_type(text: str, models: Models) -> tuple[Schema, list[Problem]]:
    """The schema of a type, or all that is wrong with it.

    Args:
        text: As it is written, e.g. ``"string | null"``.
        models: All models there are, by their names in lower case.
    """
    notation = _Notation(text, models)
    try:
        schema = notation.whole()
    except _Unclear as unclear:
        # Words of a text that cannot be taken apart may be anything, so they are not judged.
        return {}, [Problem(str(unclear), "notation")]
    return ({} if notation.problems else schema), notation.problems


class _Unclear(Exception):
    """The text cannot be taken apart, so what follows is not known either."""


class _Piece(NamedTuple):
    kind: str
    text: str


class _Notation:
    """Takes one text apart, from left to right."""

    def __init__(self, text: str, models: Models) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._models = models
        self._pieces = _pieces(text)
        self._now = next(self._pieces)

    def whole(self) -> Schema:
        if not self._text.strip():
            raise _Unclear('says nothing; write a type, e.g. "string"')
        if self._text != self._text.strip():
            raise _Unclear(f"{shown(self._text)} has blanks around it; take them out")
        schema = self._union(1)
        if self._now.kind != "end":
            self._refuse()
        return schema

    def _union(self, depth: int) -> Schema:
        if depth > MAX_DEPTH:
            raise _Unclear(f"nests deeper than {MAX_DEPTH} levels; name a model in between")
        parts = [self._part(depth)]
        while self._now == _Piece("mark", "|"):
            self._take()
            parts.append(self._part(depth))
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return {}
        self.problems += _contradictions(known, self._models)
        return _joined(known)

    def _part(self, depth: int) -> _Part | None:
        piece = self._take()
        match piece.kind:
            case "word":
                part = self._word(piece.text)
            case "quoted":
                part = self._quoted(piece.text)
            case "mark" if piece.text == "[":
                part = _Part("list", "list", {"type": "array", "items": self._union(depth + 1)})
                if self._take() != _Piece("mark", "]"):
                    self._refuse()
            case _:
                self._refuse()
        if self._now.kind != "bounds":
            return part
        bounds = self._take().text
        return None if part is None else self._bounded(part, bounds)

    def _word(self, word: str) -> _Part | None:
        if word in TYPES:
            return _Part("type", word, dict(TYPES[word]))
        if self._models.get(word.casefold()) == word:
            return _Part("model", word, {"$ref": f"#/$defs/{word}"})
        is_literal = _LITERAL.fullmatch(word) is not None
        if meant := _meant(word, self._models, by_letters=is_literal):
            what = f"{_unlike(word)}; did you mean {meant}?"
            self.problems.append(Problem(what, "type"))
        elif is_literal:
            return _Part("literal", word, {})
        elif word[0].isupper():
            what = f"{shown(word)} is no model; {_suggested(word, self._models)}"
            self.problems.append(Problem(what, "model"))
        else:
            what = f"{_unlike(word)}; a literal with other than lower-case letters is quoted"
            self.problems.append(Problem(what, "literal"))
        return None

    def _quoted(self, text: str) -> _Part | None:
        if text and text == text.strip() and text.isprintable():
            return _Part("quoted", text, {})
        what = f"{shown(text)} is no literal; between quotes stands a text without blanks around it"
        self.problems.append(Problem(what, "literal"))
        return None

    def _bounded(self, part: _Part, written: str) -> _Part:
        found = _BOUNDS.fullmatch(written)
        if found is None or written == "..":
            raise _Unclear(f"{shown(written)} are no bounds; write 1..500, 1.. or ..500")
        problem = _misbound(part, *found.groups())
        if problem:
            self.problems.append(Problem(f"{shown(written)}: {problem}", "bounds"))
            return part
        numbers = zip(_BOUNDED[part.word], found.groups(), strict=True)
        bounds = {keyword: _number(number) for keyword, number in numbers if number}
        return part._replace(schema={**part.schema, **bounds})

    def _take(self) -> _Piece:
        piece = self._now
        self._now = next(self._pieces, piece)
        return piece

    def _refuse(self) -> NoReturn:
        cure = 'write a type, a model, or literals like "low | high"; a value is no type'
        # Cut, because some patterns go through a text once for each of its brackets.
        text = self._text[:_MAX_FOREIGN]
        for pattern, cured in _FOREIGN:
            if re.fullmatch(pattern, text, re.ASCII):
                cure = cured
                break
        raise _Unclear(f"{shown(self._text)} cannot be read; {cure}")


def _pieces(text: str) -> Iterator[_Piece]:
    for found in _PIECE.finditer(text):
        kind = str(found.lastgroup)
        yield _Piece(kind, found[kind])
    yield _Piece("end", "")


def _unlike(word: str) -> str:
    return f"{shown(word)} is no type (quote it, '{shortened(word, 60)}', if a literal is meant)"


def _meant(word: str, models: Models, *, by_letters: bool) -> str:
    """What a word that is no type was meant to be, if it was hardly meant as it stands."""
    folded = word.casefold()
    if folded in TYPES:
        return f'"{folded}"'
    if folded in _MEANT:
        return _MEANT[folded]
    if folded in models:
        return f'"{models[folded]}"'
    near = nearest(word, TYPES, cutoff=_NEAR) if by_letters else None
    return f'"{near}"' if near else ""


def _suggested(word: str, models: Models) -> str:
    """The nearest name, or what there is to choose from."""
    known = {name: name for name in TYPES} | dict(islice(models.items(), _MAX_NAMES))
    if near := nearest(word.casefold(), known):
        return f'did you mean "{known[near]}"?'
    return f"there are {shortened(', '.join(known.values()))}"


def _contradictions(parts: Sequence[_Part], models: Models) -> Iterator[Problem]:
    """What leaves open which of the alternatives is meant."""
    literals = [part for part in parts if part.is_literal]
    types = [part for part in parts if not part.is_literal and part.word != "null"]
    words = {part.word for part in types}
    if len({part.key for part in parts}) < len(parts):
        yield Problem("says an alternative twice; say it once", "twice")
    if literals and types:
        what = f"mixes the literal {shown(literals[0].word)} with the type {shown(types[0].word)}"
        cure = "say one or the other"
        if types[0].kind != "list":
            cure = f"quote that, '{types[0].word}', if it is a literal, too"
        yield Problem(f"{what}; {cure}", "mixed")
    elif len(literals) == 1 and literals[0].kind == "literal":
        word = literals[0].word
        yield Problem(f"{_unlike(word)}; {_suggested(word, models)}", "type")
    if "any" in words and len(parts) > 1:
        yield Problem('"any" contains all others; say only "any"', "contained")
    if "object" in words and any(part.kind == "model" for part in parts):
        yield Problem('"object" contains every model; say one or the other', "contained")
    for outer, inner in _CONTAINS:
        if {outer, inner} <= words:
            yield Problem(f'"{outer}" contains "{inner}"; say one or the other', "contained")


def _joined(parts: Sequence[_Part]) -> Schema:
    """The schema of a union without contradictions."""
    with_null = any(part.word == "null" and not part.is_literal for part in parts)
    literals: list[str | None] = [part.word for part in parts if part.is_literal]
    schemas = [part.schema for part in parts if part.word != "null"]
    if literals:
        schemas = [{"type": "string", "enum": literals + [None] * with_null}]
    if with_null and len(schemas) == 1 and "type" in schemas[0]:
        return {**schemas[0], "type": [schemas[0]["type"], "null"]}
    if with_null:
        schemas.append(dict(TYPES["null"]))
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _misbound(part: _Part, *written: str | None) -> str:
    """Why these bounds are not those of a part; empty if they are."""
    numbers = [number for number in written if number]
    if part.word not in _BOUNDED or part.kind not in {"type", "list"}:
        return f"{shown(part.word)} has no bounds; a string, a number, an integer or a list has"
    if any(sum(map(str.isdigit, number)) > _MAX_DIGITS for number in numbers):
        return f"a bound has at most {_MAX_DIGITS} digits"
    if part.word != "number" and any("." in number for number in numbers):
        return f"a bound of {shown(part.word)} is a whole number"
    if part.word in {"string", "list"} and any(number.startswith("-") for number in numbers):
        return "a length is not negative"
    if len(numbers) == len(written) and _number(numbers[0]) > _number(numbers[1]):
        return "the lower bound comes first"
    return ""


def _number(written: str) -> int | float:
    """As JSON has it; ``1.0`` is ``1``, so that there is one way to write it."""
    number = float(written)
    return int(number) if number.is_integer() else number
