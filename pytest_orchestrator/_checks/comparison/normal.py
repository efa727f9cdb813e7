"""The normal form of a schema: what it says, however it was written.

One level at a time: schemas below stay as they are, so that recursive schemas
have a normal form, too, and many ways to the same schema do not multiply it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.comparison.outline import LEFT_OVER
from pytest_orchestrator._checks.nodes import Node, canonical, join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_orchestrator._checks.comparison.outline import Outline

Keywords = dict[str, Node]

ONE_BELOW = frozenset(
    """
    additionalProperties contains contentSchema else if items not propertyNames then
    unevaluatedItems unevaluatedProperties
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
NAMED_BELOW = frozenset(("dependentSchemas", "patternProperties", "properties"))
CHOICES = ("allOf", "anyOf", "oneOf")
_BELOW = ONE_BELOW | NAMED_BELOW | {*CHOICES, "prefixItems"}

# Texts for people, and what only says where or how a schema was written down.
SAYS_NOTHING = frozenset(
    """
    $comment $defs $schema default definitions deprecated description discriminator example
    examples externalDocs operationId servers summary tags title
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
# Unless it matters that so they leave nothing over.
_OPEN = frozenset(("additionalProperties", "items"))
_SAYS_NOTHING_IF: dict[str, tuple[object, ...]] = {
    "minItems": (0,),
    "minLength": (0,),
    "minProperties": (0,),
    "nullable": (False,),
    "properties": ({},),
    "readOnly": (False,),
    "required": ([],),
    "uniqueItems": (False,),
    "writeOnly": (False,),
}
# What the first of each means depends on the others beside it.
_TOGETHER = (
    ("additionalProperties", "patternProperties", "properties"),
    ("items", "prefixItems"),
    ("contains", "maxContains", "minContains"),
    ("if", "else", "then"),
)
_TOPIC = {keyword: keywords[0] for keywords in _TOGETHER for keyword in keywords}
# Besides "type" and "enum", of which the normal form knows how they allow it.
_MAY_REFUSE_NULL = frozenset(("", *CHOICES, "const", "else", "if", "not", "then"))
NULL = {"type": "null"}
"""The schema that ``nullable`` adds to a choice."""
_UNORDERED = ("enum", "required", "type")
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
}


def normal(outline: Outline, schema: Node) -> Keywords:
    """What a schema says, by keyword, each with the place where it says so.

    ==========================================  ======================================
    written                                     normal form
    ==========================================  ======================================
    ``$ref``, one of one (``allOf: [X]``)       what is referred to, ``X``
    ``nullable: true``, ``anyOf: [X, null]``    ``X`` with ``"null"`` among its types
    ``type: "string"``                          ``type: ["string"]``
    ``const: 1``                                ``enum: [1]``, ``type: ["integer"]``
    ``minimum: 1.0, exclusiveMinimum: true``    ``exclusiveMinimum: 1``
    ``true``                                    nothing
    ``false``                                   ``not: true``
    ==========================================  ======================================

    Lists without an order (``required``, ``enum``, ``type``) are sorted.
    Titles, examples, defaults and extensions are left out.
    """
    keywords = _merged(outline, schema, frozenset())
    if "enum" in keywords and "type" not in keywords:
        values, pointer = keywords["enum"]
        types = [_type_of(value) for value in _list(values)]
        keywords["type"] = Node(_sorted(types), pointer)
    return keywords


def _merged(outline: Outline, schema: Node, inside: frozenset[int]) -> Keywords:
    """The keywords of a schema and of all that is merely another way to it."""
    if isinstance(schema.value, bool):
        return {} if schema.value else {"not": schema._replace(value=True)}
    if not isinstance(schema.value, dict):
        return {} if schema.value is None else {"": schema}
    if id(schema.value) in inside:  # it is itself, which says nothing more
        return {}
    inside |= {id(schema.value)}
    keywords = _own(schema)
    if not outline.asks_for_the_rest:
        keywords = {k: node for k, node in keywords.items() if not (k in _OPEN and _is_any(node))}
    if "$ref" in keywords:
        target = outline.target(keywords.pop("$ref"))
        others = {} if outline.ignores_siblings else keywords
        joined = _joined(others, _merged(outline, target, inside))
        apart = [*_list(others.get("allOf", schema).value), target.value]
        both = {**others, "allOf": Node(apart, join(schema.pointer, "$ref"))}
        keywords = both if joined is None else joined
    for choice in CHOICES:
        plain = _without(choice, outline, keywords, inside) if choice in keywords else None
        keywords = keywords if plain is None else plain
    return _with_nullable(keywords)


def _own(schema: Node) -> Keywords:
    """What a schema itself says, in one of the ways to say it."""
    keywords = {key: node for key, node in schema.members() if _says_something(key, node.value)}
    if "additionalProperties" in schema:
        keywords.pop("unevaluatedProperties", None)
    if "items" in schema:
        keywords.pop("unevaluatedItems", None)
    if "const" in keywords and "enum" not in keywords:
        value, pointer = keywords.pop("const")
        keywords["enum"] = Node([value], pointer)
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.child(exclusive).value, bool):
            is_exclusive = keywords.pop(exclusive).value
            if is_exclusive and bound in keywords:
                keywords[exclusive] = keywords.pop(bound)
    if "type" in keywords and isinstance(keywords["type"].value, str):
        keywords["type"] = keywords["type"]._replace(value=[keywords["type"].value])
    for key, node in keywords.items():
        if key not in _BELOW:
            value = _plain(node.value)
            keywords[key] = node._replace(value=_sorted(value) if key in _UNORDERED else value)
    return keywords


def _says_something(key: str, value: object) -> bool:
    # ``==`` alone would take ``false`` for ``0``.
    empty = any(value == v and type(value) is type(v) for v in _SAYS_NOTHING_IF.get(key, ()))
    return not (key in SAYS_NOTHING or key.startswith("x-") or empty)


def _without(
    choice: str, outline: Outline, keywords: Keywords, inside: frozenset[int]
) -> Keywords | None:
    """The same without a choice that is none; ``None`` if it is one."""
    written = list(keywords[choice].elements())
    real = written if choice == "allOf" else [node for node in written if not _is_null(node)]
    if len(real) != 1:
        return None
    said = _merged(outline, real[0], inside)
    nulls = len(written) - len(real)
    if choice == "oneOf" and nulls and (nulls > 1 or _allows_null(said)):
        return None  # then ``null`` is not exactly one of them
    if nulls and said.keys() & _MAY_REFUSE_NULL:
        return None
    if nulls:
        _add_null(said)
    return _joined({k: v for k, v in keywords.items() if k != choice}, said)


def _joined(some: Keywords, others: Keywords) -> Keywords | None:
    """Both at once, the others inside; ``None`` if they speak of the same thing."""
    if some and not LEFT_OVER.isdisjoint(others):
        return None  # what is outside does not count for these
    return None if topics(some) & topics(others) else {**others, **some}


def topics(keywords: Iterable[str]) -> set[str]:
    """What keywords are about; those of one topic are understood only together."""
    return {_TOPIC.get(keyword, keyword) for keyword in keywords}


def _with_nullable(keywords: Keywords) -> Keywords:
    said = {key: node for key, node in keywords.items() if key != "nullable"}
    if "nullable" not in keywords:
        return keywords
    choice = next((key for key in ("anyOf", "oneOf") if key in said), None)
    if choice is not None and "type" not in said:
        # OpenAPI 3.0 gives it no meaning here, but whoever writes it means this.
        node = said[choice]
        said[choice] = node._replace(value=[*_list(node.value), NULL])
    elif said.keys().isdisjoint(("type", "enum")) and "allOf" in said:
        return keywords  # whether that refuses null is not to be seen here
    _add_null(said)
    return said


def _is_any(schema: Node) -> bool:
    return schema.value is True or schema.value == {}


def _is_null(schema: Node) -> bool:
    said = {key: node.value for key, node in _own(schema).items()}
    return said in ({"type": ["null"]}, {"enum": [None]}, {"type": ["null"], "enum": [None]})


def _allows_null(keywords: Keywords) -> bool:
    by_type = "type" not in keywords or "null" in _list(keywords["type"].value)
    by_enum = "enum" not in keywords or None in _list(keywords["enum"].value)
    return by_type and by_enum


def _add_null(keywords: Keywords) -> None:
    for key, null in (("type", "null"), ("enum", None)):
        if key in keywords:
            node = keywords[key]
            keywords[key] = node._replace(value=_sorted([*_list(node.value), null]))


def _plain(value: object) -> object:
    """A value with ``5`` for ``5.0``, all the way down."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _sorted(values: object) -> object:
    """A list without repetitions, in one order; anything else as it is."""
    if not isinstance(values, list):
        return values
    return [value for _, value in sorted({canonical(v): v for v in values}.items())]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    return _TYPES.get(type(value), "object")
