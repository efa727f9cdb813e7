"""One value changed at one place at a time: each bound, each oddity and each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_orchestrator._checks.conformance.flat import Flat, choices, flat, types
from pytest_orchestrator._checks.conformance.values import LONGEST, bounds, whole_bounds
from pytest_orchestrator._checks.nodes import join, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_orchestrator._checks.conformance.promises import Schema
    from pytest_orchestrator._checks.conformance.requests import Kind

READABLE = (
    "What is it, and who says so?",
    "Tell me where, please!",
    "test",
    "1984",
    "naïve café Über Ærø ß",
    "Жук и пчела",
    "蜜蜂如何过冬",
    'O\'Neil & co. (2024): "50% off"?',
    "a&b=c;d+e#f/g\\h|i~j^k`l{m}n[o]p<q>r$s@t!u*v,w_x-y",
    "%s %d %(name)s {0} {name} ${x} %00 \\u0000",
    "' OR 1=1; DROP TABLE answers; --",
    "<script>alert(1)</script>",
    "null",
    "true",
    "0",
    "-1",
)
ODD = (
    " ",
    "\t\r\n",
    " a ",
    "a\nb\tc",
    "a\x00b",
    "\x00",
    "\x7f\x1b[31m",
    "🐝🐝🐝",
    "e\u0301",
    "\u202eabc\ufeff",
    "\uffff",
    "../../../etc/passwd",
)
_NUMBERS = (0, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 0.1, 1e300, -1e300)
_MANY = 20
"""Values of an enum that are asked each by itself."""
_TIMES = ("date", "date-time", "duration", "time")


class Variant(NamedTuple):
    """A value like another but for one place.

    Attributes:
        kind: What is to be expected of it.
        why: What is at which place, e.g. ``"/question is null"``.
        value: The whole of it.
    """

    kind: Kind
    why: str
    value: Any


def variants(
    schema: Schema, base: object, samples: Mapping[str, Sequence[str]], name: str = ""
) -> Iterator[Variant]:
    """All variants of a value that fits its schema, each held against it.

    Args:
        schema: Of the whole value.
        base: With as many of its optional parts as there are.
        samples: Texts worth asking, by name.
        name: Of the value itself, if it has one.
    """
    seen: list[object] = []
    for meant, why, value in _walk(schema.written, schema.definitions, base, samples, name, ""):
        if any(_same(value, other) for other in seen):
            continue
        if schema.fits(value) is not (meant == "invalid"):
            seen.append(value)
            yield Variant(meant, why, value)


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def _walk(
    schema: object,
    definitions: Mapping[str, object],
    base: object,
    samples: Mapping[str, Sequence[str]],
    name: str,
    pointer: str,
) -> Iterator[Variant]:
    one = _chosen(flat(schema, definitions), definitions, base)
    for kind, value in _replacements(one, samples.get(name, ())):
        yield Variant(kind, f"{pointer or 'all of it'} is {shown(value, 60)}", value)
    if isinstance(base, dict):
        for key, each in base.items():
            below = one.get("properties", {}).get(key, one.get("additionalProperties", {}))
            required = key in one.get("required", ())
            if required:
                rest = {k: v for k, v in base.items() if k != key}
                yield Variant("invalid", f"{join(pointer, key)} is missing", rest)
            for kind, why, value in _walk(
                below, definitions, each, samples, key, join(pointer, key)
            ):
                # Many take null for what need not be there.
                meant: Kind = "odd" if value is None and not required else kind
                yield Variant(meant, why, {**base, key: value})
    elif isinstance(base, list) and base:
        items = _walk(one.get("items", {}), definitions, base[0], samples, name, join(pointer, 0))
        for kind, why, value in items:
            yield Variant(kind, why, [value, *base[1:]])


def _chosen(schema: Flat, definitions: Mapping[str, object], base: object) -> Flat:
    """Of several schemas the one that is of the value's type."""
    all_of_them = choices(schema, definitions)
    kind = _NAMES.get(type(base), "null")
    return next((each for each in all_of_them if kind in types(each)), all_of_them[0])


_NAMES: dict[type, str] = {str: "string", bool: "boolean", list: "array", dict: "object"}


def _replacements(schema: Flat, samples: Sequence[str]) -> Iterator[tuple[Kind, object]]:
    for value in schema.get("enum", ())[:_MANY]:
        yield "valid", value
    kinds = types(schema)
    if "null" in kinds:
        yield "valid", None
    if "string" in kinds:
        for text in (*samples, *_recased(samples[:1]), *_of_lengths(schema, samples), *READABLE):
            yield "valid", text
        for text in ("", *ODD):
            yield "odd", text
    if "boolean" in kinds:
        yield from (("valid", True), ("valid", False))
    if "integer" in kinds or "number" in kinds:
        yield from _numbers(schema, whole="number" not in kinds)
    if "array" in kinds:
        yield "odd", []
    yield from (("invalid", value) for value in _mistakes(schema, kinds))


def _recased(samples: Sequence[str]) -> Iterator[str]:
    for text in samples:
        yield from (text.upper(), text.lower(), text.rstrip("?!. "), f"{text} {text}")


def _of_lengths(schema: Flat, samples: Sequence[str]) -> Iterator[str]:
    """Texts at and between the bounds, of letters and of samples."""
    if "format" in schema or "pattern" in schema:
        return
    low = max(1, schema.get("minLength", 1))
    high = min(schema.get("maxLength", 300), LONGEST)
    # What breaks from some length on, breaks between two of these at the latest.
    for length in dict.fromkeys((low, low + 1, (low + high) // 2, high - 1, high)):
        if low <= length <= high:
            yield "x" * length
            for text in samples[:1]:
                repeated = (f"{text} " * (length // (len(text) + 1) + 1))[:length]
                yield repeated[:-1] + "?" if repeated.endswith(" ") else repeated


def _numbers(schema: Flat, *, whole: bool) -> Iterator[tuple[Kind, object]]:
    for bound in whole_bounds(schema) if whole else bounds(schema):
        if bound is not None:
            yield "valid", bound
    for number in _NUMBERS:
        yield "odd", number


def _mistakes(schema: Flat, kinds: Sequence[str]) -> Iterator[object]:
    """What many schemas do not allow; those that do allow one of them leave it out."""
    yield from (None, {}, [])
    numeric = not {"integer", "number", "boolean"}.isdisjoint(kinds)
    if not (numeric or ("string" in kinds and schema.get("format") in _TIMES)):
        # There, many take what can be converted.
        yield from (7, True)
    yield from ("", "not valid")
    if schema.get("maxLength", LONGEST) < LONGEST:
        yield "x" * (schema["maxLength"] + 1)
        yield "x" * (schema["maxLength"] * 2 + 10)
    if numeric and "boolean" not in kinds:
        yield from (
            bound + step
            for bound, step in zip(bounds(schema), (-1, 1), strict=True)
            if bound is not None
        )
