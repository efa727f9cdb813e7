"""Values that fit a schema, as Hypothesis draws and shrinks them: the only strategies here.

They are made after what a schema says and then held against it, so that a strategy that does
not know some keyword leaves values out, but never lies.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from pytest_orchestrator._checks.conformance.flat import Flat, choices, flat, types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

LONGEST = 5_000
"""Characters; a bound above, such as that of a 32-bit number, is nobody's bound."""
_LONG = 40
"""Characters of a text without a bound: enough to be seen."""
_DEEP = 4
_TOO_DEEP = 30
_MANY = 2**31 - 1
# Nobody refuses a text of these; beginning and end are left to ``_is_trimmed``.
_READABLE = st.characters(
    max_codepoint=0xFFFF, categories=("L", "N", "P", "S"), include_characters=" "
)
_ANY = st.characters(exclude_categories=["Cs"])
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ValuesOf:
    """Makes strategies of schemas.

    Args:
        definitions: What their references lead to.
        samples: Texts worth asking, by the name of the property or the parameter.
        odd: Whether values may be such as a service may refuse, although they fit.
        whole: Whether what is optional is always there.
    """

    definitions: Mapping[str, object]
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    odd: bool = False
    whole: bool = False

    def of(self, schema: object, name: str = "", depth: int = 0) -> SearchStrategy[Any]:
        """What a schema allows.

        Args:
            schema: Anything a document may have there.
            name: Of the property or the parameter it is for.
            depth: How far inside it is; from some depth on, what is optional is left out.
        """
        if depth > _TOO_DEEP:
            return st.nothing()
        one = flat(schema, self.definitions)
        return st.one_of([self._one(each, name, depth) for each in choices(one, self.definitions)])

    def _one(self, schema: Flat, name: str, depth: int) -> SearchStrategy[Any]:
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if "anyOf" in schema or "oneOf" in schema:
            return st.deferred(lambda: self.of(schema, name, depth + 1))
        kinds = types(schema) or ["string", "integer", "boolean", "object"]
        makers: dict[str, Callable[[], SearchStrategy[Any]]] = {
            "string": lambda: self._text(schema, name),
            "integer": lambda: self._integer(schema),
            "number": lambda: self._number(schema),
            "boolean": st.booleans,
            "null": st.none,
            "array": lambda: self._array(schema, name, depth),
            "object": lambda: self._object(schema, depth),
        }
        kinds = sorted(kinds, key="null".__eq__)  # a value says more than none
        return st.one_of([makers[kind]() for kind in kinds if kind in makers])

    def _object(self, schema: Flat, depth: int) -> SearchStrategy[Any]:
        properties = dict(schema.get("properties", {}))
        required = list(schema.get("required", ()))
        wanted = list(properties) if self.whole and depth < _DEEP else required
        needed = {
            name: self._below(properties.get(name, {}), name, depth)
            for name in dict.fromkeys((*required, *wanted))
        }
        optional = {
            name: self._below(each, name, depth)
            for name, each in properties.items()
            if name not in needed and depth < _DEEP
        }
        fixed = st.fixed_dictionaries(needed, optional=optional)
        others = schema.get("additionalProperties", True)
        if self.odd and others is True and depth == 0:
            return st.one_of(fixed, fixed.map(lambda found: {**found, "x-unknown": "any"}))
        if isinstance(others, dict) and not properties:
            names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
            least = schema.get("minProperties", 0)
            more = st.dictionaries(
                names, self._below(others, "", depth), min_size=least, max_size=3
            )
            return st.builds(lambda some, known: {**some, **known}, more, fixed)
        return fixed

    def _below(self, schema: object, name: str, depth: int) -> SearchStrategy[Any]:
        return st.deferred(lambda: self.of(schema, name, depth + 1))

    def _array(self, schema: Flat, name: str, depth: int) -> SearchStrategy[Any]:
        least = schema.get("minItems", 0)
        most = least if depth >= _DEEP else min(schema.get("maxItems", least + 3), least + 3)
        least = max(least, 1) if self.whole and most else least
        unique = _canonical if schema.get("uniqueItems") else None
        items = self._below(schema.get("items", {}), name, depth)
        return st.lists(items, min_size=least, max_size=most, unique_by=unique)

    def _integer(self, schema: Flat) -> SearchStrategy[int]:
        low, high = whole_bounds(schema)
        if self.odd:
            low, high = -_MANY if low is None else low, _MANY if high is None else high
        else:
            low, high = _modest(low, high)
        step = schema.get("multipleOf")
        if isinstance(step, int) and step > 0:
            return st.integers(-(-low // step), high // step).map(lambda n: n * step)
        return st.integers(low, high)

    def _number(self, schema: Flat) -> SearchStrategy[float]:
        low, high = bounds(schema)
        if not self.odd:
            low, high = _modest(low, high)
        if "multipleOf" in schema:
            return self._integer({**schema, "multipleOf": 1}).map(lambda n: n)
        exact = st.floats(low, high, allow_nan=False, allow_infinity=False, width=64)
        return exact.map(lambda found: round(found, 3)) if not self.odd else exact

    def _text(self, schema: Flat, name: str) -> SearchStrategy[str]:
        low = schema.get("minLength", 0)
        high = min(schema.get("maxLength", max(low, _LONG)), max(low, LONGEST))
        texts = self._known_texts(name) + _made(schema, low if self.odd else max(low, 1), high)
        if not (self.odd or schema.get("format") or "pattern" in schema):
            return st.one_of(texts).filter(lambda text: _is_trimmed(text) and len(text) <= high)
        if self.odd and not (schema.get("format") or "pattern" in schema):
            texts.append(st.text(_ANY, min_size=low, max_size=high))
        return st.one_of(texts)

    def _known_texts(self, name: str) -> list[SearchStrategy[str]]:
        known = list(self.samples.get(name, ()))
        words = list(dict.fromkeys(word for text in known for word in _WORD.findall(text)))
        if not words:
            return []
        sentence = st.lists(st.sampled_from(words), min_size=1, max_size=12).map(" ".join)
        return [st.sampled_from(known), sentence]


def _made(schema: Flat, low: int, high: int) -> list[SearchStrategy[str]]:
    if "pattern" in schema:
        try:
            return [st.from_regex(re.compile(str(schema["pattern"])), fullmatch=True)]
        except re.error:  # it is one of ECMA-262 that Python does not know
            return []
    if (form := schema.get("format")) in _FORMATS:
        return [_FORMATS[form]]
    if low > high:
        return []
    # So that every length is met, and shrinks to the least that matters.
    lengths = st.integers(low, high).map(lambda n: "x" * n)
    return [st.text(_READABLE, min_size=low, max_size=min(high, low + _LONG)), lengths]


_FORMATS: dict[str, SearchStrategy[str]] = {
    "uuid": st.uuids(version=4).map(str),
    "date": st.dates().map(str),
    "date-time": st.datetimes(timezones=st.just(None)).map(
        lambda at: f"{at.replace(microsecond=0).isoformat()}Z"
    ),
    "email": st.from_regex(r"[a-z]{1,12}@[a-z]{1,12}\.(com|org)", fullmatch=True),
    "uri": st.from_regex(r"https://[a-z]{1,12}\.(com|org)(/[a-z0-9]{1,12}){0,3}", fullmatch=True),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
}


def bounds(schema: Flat) -> tuple[float | None, float | None]:
    """The least and the greatest number a schema names; exclusive ones as they are."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    return low, schema.get("maximum", schema.get("exclusiveMaximum"))


def whole_bounds(schema: Flat) -> tuple[int | None, int | None]:
    """The least and the greatest whole number a schema allows, as far as it says."""
    low, high = bounds(schema)
    least = None if low is None else int(-(-low // 1)) + ("minimum" not in schema)
    most = None if high is None else int(high // 1) - ("maximum" not in schema)
    if schema.get("format") == "int32":
        least = max(-_MANY, -_MANY if least is None else least)
        most = min(_MANY, _MANY if most is None else most)
    return least, most


def _modest(low: Any, high: Any) -> tuple[Any, Any]:
    """Bounds that any service expects, where the schema has none, or very wide ones."""
    if low is None or low <= -_MANY:
        low = 1 if high is None or high >= 1 else high - 100
    if high is None or high >= _MANY:
        high = low + 100
    return low, high


def _is_trimmed(text: str) -> bool:
    return text == text.strip() and text.isprintable()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
