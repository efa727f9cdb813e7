"""A schema of draft 2020-12 in one piece: references and ``allOf`` taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Flat = dict[str, Any]

_KNOWN = frozenset(
    """
    additionalProperties anyOf const enum exclusiveMaximum exclusiveMinimum format items maximum
    maxItems maxLength maxProperties minimum minItems minLength minProperties multipleOf oneOf
    pattern properties required type uniqueItems
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
# Formats whose values nobody has reasons to refuse; numbers know theirs by their bounds.
KNOWN_FORMATS = frozenset(
    """
    date date-time decimal double email float int32 int64 ipv4 ipv6 uri uuid
    """.split()  # noqa: SIM905 - likewise
)
_DEEPEST = 8


def flat(schema: object, definitions: Mapping[str, object]) -> Flat:
    """The keywords of a schema and of all that it refers to; where two disagree, the inner."""
    return _flat(schema, definitions, frozenset())


def _flat(schema: object, definitions: Mapping[str, object], inside: frozenset[str]) -> Flat:
    if not isinstance(schema, dict):
        return {"not": {}} if schema is False else {}
    found: Flat = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name and name not in inside:
        found = _both(found, _flat(definitions.get(name), definitions, inside | {name}))
    for part in schema.get("allOf", ()):
        found = _both(found, _flat(part, definitions, inside))
    return found


def _both(one: Flat, other: Flat) -> Flat:
    both = {**other, **one}
    if "properties" in one and "properties" in other:
        both["properties"] = {**other["properties"], **one["properties"]}
    if "required" in one and "required" in other:
        both["required"] = list(dict.fromkeys((*one["required"], *other["required"])))
    for keyword in ("anyOf", "oneOf"):
        if keyword in one and keyword in other:
            both["not understood"] = True
    return both


def choices(schema: Flat, definitions: Mapping[str, object]) -> list[Flat]:
    """Each schema of ``anyOf`` or ``oneOf`` with what stands around it; or the schema itself."""
    keyword = next((key for key in ("anyOf", "oneOf") if key in schema), None)
    if keyword is None:
        return [schema]
    around = {key: value for key, value in schema.items() if key != keyword}
    return [_both(around, flat(each, definitions)) for each in schema[keyword]]


def types(schema: Flat) -> list[str]:
    """The types a schema allows, or those its keywords speak of."""
    said = schema.get("type")
    if isinstance(said, str):
        return [said]
    if isinstance(said, list):
        return said
    for kind, keywords in _SPEAKS_OF.items():
        if not keywords.isdisjoint(schema):
            return [kind]
    return []


_SPEAKS_OF = {
    "object": {"additionalProperties", "properties", "required"},
    "array": {"items", "maxItems", "minItems"},
    "string": {"format", "maxLength", "minLength", "pattern"},
    "number": {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"},
}


def is_understood(
    schema: object, definitions: Mapping[str, object], deepest: int = _DEEPEST
) -> bool:
    """Whether all that a schema says is known here, so that what fits it must be taken."""
    one = flat(schema, definitions)
    if not one.keys() <= _KNOWN or one.get("format", "uuid") not in KNOWN_FORMATS:
        return False
    return deepest == 0 or all(is_understood(s, definitions, deepest - 1) for s in _below(one))


def _below(schema: Flat) -> Iterator[object]:
    yield from schema.get("properties", {}).values()
    for keyword in ("anyOf", "oneOf"):
        yield from schema.get(keyword, ())
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield schema[keyword]
