"""What a changed keyword does to the values a schema allows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.comparison.normal import Keywords
from pytest_orchestrator._checks.nodes import Node, canonical, shown
from pytest_orchestrator._domain.change import Shift

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANY = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))
_RANGES = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
_LOWEST = frozenset(("exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"))
_BOUNDS = _LOWEST | {"maxItems", "maxLength", "maxProperties"}
_CONSTRAINTS = frozenset(("format", "multipleOf", "nullable", "pattern", "uniqueItems"))
# Each kind of format is part of the next.
_FORMATS = (("int32", "int64"), ("float", "double"))
# What a property is that is only ever sent one way is decided where properties are.
_JUDGED = frozenset(("enum", "readOnly", "type", "writeOnly", *_RANGES[0], *_RANGES[1]))


class Judged(NamedTuple):
    """One thing that shifts what is allowed; ``None`` is a node that is not there."""

    shift: Shift
    subject: str
    one: Node | None
    other: Node | None


def judged(old: Keywords, new: Keywords) -> Iterator[Judged]:
    """What the keywords of two levels shift; none of them has schemas below it."""
    yield from _types(old, new)
    yield from _values(old.get("enum"), new.get("enum"))
    for range_ in _RANGES:
        yield from _range(_tightest(old, range_), _tightest(new, range_))
    for keyword in dict.fromkeys((*old, *new)):
        one, other = old.get(keyword), new.get(keyword)
        if keyword not in _JUDGED and _text(one) != _text(other):
            known = keyword in _BOUNDS or keyword in _CONSTRAINTS
            subject = keyword if known else f"{keyword or 'schema'}, for which there is no rule,"
            yield Judged(_shift(keyword, one, other), subject, one, other)


def _shift(keyword: str, one: Node | None, other: Node | None) -> Shift:
    if keyword not in _BOUNDS and keyword not in _CONSTRAINTS:
        return Shift.OTHER
    if one is None or other is None:
        is_less = (one is None) is (keyword != "nullable")
        return Shift.NARROWER if is_less else Shift.WIDER
    if keyword == "format":
        pair = (one.value, other.value)
        return _by_parts(is_wider=pair in _FORMATS, is_narrower=pair[::-1] in _FORMATS)
    old, new = _number(one.value), _number(other.value)
    if old is None or new is None or (keyword == "multipleOf" and 0 in (old, new)):
        return Shift.OTHER
    if keyword == "multipleOf":
        return _by_parts(is_wider=old % new == 0, is_narrower=new % old == 0)
    is_tighter = (new > old) is (keyword in _LOWEST)
    return Shift.NARROWER if is_tighter else Shift.WIDER


def _by_parts(*, is_wider: bool, is_narrower: bool) -> Shift:
    if is_wider:
        return Shift.WIDER
    return Shift.NARROWER if is_narrower else Shift.OTHER


def _types(old: Keywords, new: Keywords) -> Iterator[Judged]:
    one, other = old.get("type"), new.get("type")
    before, after = _allowed(one), _allowed(other)
    if before is None or after is None:
        if _text(one) != _text(other):
            yield Judged(Shift.OTHER, "type", one, other)
    elif before != after and not (_is_derived(old) and _is_derived(new)):
        shift = _by_parts(is_wider=before < after, is_narrower=after < before)
        yield Judged(shift, "type", one, other)


def _is_derived(keywords: Keywords) -> bool:
    """Whether the type only follows from the values, which are judged themselves."""
    return "enum" in keywords and keywords["type"].pointer == keywords["enum"].pointer


def _allowed(types: Node | None) -> frozenset[object] | None:
    """The types allowed; ``None`` if that cannot be said."""
    if types is None:
        return _ANY
    if not isinstance(types.value, list) or not _ANY.issuperset(map(str, types.value)):
        return None
    integer = {"integer"} if "number" in types.value else set()
    return frozenset({*types.value, *integer})


def _values(one: Node | None, other: Node | None) -> Iterator[Judged]:
    """What has become of the list of values that are allowed."""
    old, new = _listed(one), _listed(other)
    if one is None or other is None or old is None or new is None:
        if _text(one) != _text(other):
            shift = Shift.WIDER if other is None else Shift.OTHER
            yield Judged(Shift.NARROWER if one is None else shift, "list of values", one, other)
        return
    gone = [value for text, value in old.items() if text not in new]
    more = [value for text, value in new.items() if text not in old]
    if gone or more:
        shift = _by_parts(is_wider=not gone, is_narrower=not more)
        parts = [f"lose {shown(gone)}"] * bool(gone) + [f"gain {shown(more)}"] * bool(more)
        yield Judged(shift, f"values {' and '.join(parts)}: the list", one, other)


def _listed(values: Node | None) -> dict[str, object] | None:
    if values is None or not isinstance(values.value, list):
        return None
    return {canonical(value): value for value in values.value}


class _Bound(NamedTuple):
    keyword: str
    node: Node
    tightness: tuple[Fraction, bool] | None
    """Larger is tighter; ``None`` for what is not a number."""


def _tightest(keywords: Keywords, range_: tuple[str, str]) -> _Bound | None:
    """The bound that counts; of integers, none is exclusive."""
    bounds = []
    types = keywords.get("type", Node(None)).value
    for keyword in range_:
        if keyword in keywords:
            node, sign = keywords[keyword], 1 if keyword in _LOWEST else -1
            value, is_exclusive = _number(node.value), keyword.startswith("exclusive")
            if value is None:
                return _Bound(keyword, node, None)
            if types == ["integer"] and value.denominator == 1:
                value, is_exclusive = value + sign * is_exclusive, False
            bounds.append(_Bound(keyword, node, (value * sign, is_exclusive)))
    return max(bounds, key=lambda bound: bound.tightness or (Fraction(0), False), default=None)


def _range(one: _Bound | None, other: _Bound | None) -> Iterator[Judged]:
    if one is None or other is None:
        if one is not None:
            yield Judged(Shift.WIDER, one.keyword, one.node, None)
        if other is not None:
            yield Judged(Shift.NARROWER, other.keyword, None, other.node)
    elif one.tightness is None or other.tightness is None:
        if (one.keyword, _text(one.node)) != (other.keyword, _text(other.node)):
            yield Judged(Shift.OTHER, other.keyword, one.node, other.node)
    elif one.tightness != other.tightness:
        shift = Shift.NARROWER if one.tightness < other.tightness else Shift.WIDER
        same = one.keyword == other.keyword
        subject = other.keyword if same else f"{one.keyword}, now {other.keyword},"
        yield Judged(shift, subject, one.node, other.node)


def _number(value: object) -> Fraction | None:
    """A number exactly as it is written; ``None`` for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return Fraction(value if isinstance(value, int) else str(value))
    except ValueError:
        return None


def _text(node: Node | None) -> str | None:
    return None if node is None else canonical(node.value)
