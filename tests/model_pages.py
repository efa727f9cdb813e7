"""Models of every kind, as pages, and what fits them by a judge that knows no JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

UUID = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
# Strings, and the formats they have.
STRINGS: dict[str, set[str]] = {
    "": set(),
    "a": set(),
    "low": set(),
    "date": set(),
    "äöü": set(),
    "a long one": set(),
    UUID: {"uuid"},
    UUID.upper(): {"uuid"},
    UUID[1:]: set(),
    "2026-01-31": {"date"},
    "2026-02-30": set(),
    "2026-01-31T10:00:00Z": {"date-time"},
    "2026-01-31T10:00:00": set(),
}
WORDS = ("low", "high", "mid", "answered", "x-1", "y_2")
QUOTED = ("date", "null", "GET", "a | b", "a long one", "é")
NAMES = ("A", "Beta", "Gamma_2", "D4")
FIELDS = ("a", "b_c", "d-e", "_f", "string", "G")


class Simple(NamedTuple):
    """A type with a name, and its bounds."""

    word: str
    low: float | None = None
    high: float | None = None


class Literals(NamedTuple):
    """One of some strings."""

    words: tuple[str, ...]


class Ref(NamedTuple):
    """Another model."""

    name: str


class ListOf(NamedTuple):
    """Many of a kind."""

    item: Type
    low: int | None = None
    high: int | None = None


class Either(NamedTuple):
    """One of some types, or null."""

    parts: tuple[Type, ...]
    or_null: bool


class Fields(NamedTuple):
    """An object; ``fields`` are name, whether it must be there, and type."""

    fields: tuple[tuple[str, bool, Type], ...]


Type = Simple | Literals | Ref | ListOf | Either | Fields
Models = dict[str, Fields]


# ---------------------------------------------------------------- pages


def rendered(models: Models) -> bytes:
    """The page of some models, with text around them."""
    sections = [
        f"## {name}\n\nWhat {name} is.\n\n```json\n{json.dumps(_written(model), indent=2)}\n```\n"
        for name, model in models.items()
    ]
    return "\n".join(["# Models\n", *sections, "## The end of it\n"]).encode()


def _written(kind: Type) -> object:
    """A type as JSON has it."""
    match kind:
        case Fields(fields):
            return {name if must else f"{name}?": _written(of) for name, must, of in fields}
        case ListOf(item, None, None):
            return [_written(item)]
        case _:
            return _text(kind)


def _text(kind: Type) -> str:
    """A type as it stands between quotes."""
    match kind:
        case Simple(word, low, high):
            return word + _bounds(low, high)
        case Literals(words):
            return " | ".join(word if word in WORDS else f"'{word}'" for word in words)
        case Ref(name):
            return name
        case ListOf(item, low, high):
            return f"[{_text(item)}]{_bounds(low, high)}"
        case Either(parts, or_null):
            return " | ".join([*map(_text, parts), *["null"] * or_null])
        case Fields():
            raise AssertionError


def _bounds(low: float | None, high: float | None) -> str:
    """Bounds as they follow a type."""
    if low is None and high is None:
        return ""
    return f" {'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


@st.composite
def pages(draw: st.DrawFn) -> Models:
    """One to four models, each of which has a value that ends."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    models = {name: draw(_fields(names, FIELDS, 2)) for name in names}
    assume(all(is_complete(models, name) for name in models))
    return models


def rings() -> st.SearchStrategy[Models]:
    """Models of nothing but models, some of which need themselves."""
    refs = st.sampled_from(NAMES).map(Ref)
    several = st.lists(refs, min_size=2, max_size=3, unique=True)
    kinds: st.SearchStrategy[Type] = st.one_of(
        refs,
        several.map(lambda parts: Either(tuple(parts), or_null=False)),
        refs.map(ListOf),
        refs.map(lambda ref: ListOf(ref, low=1)),
        refs.map(lambda ref: Fields((("a", True, Ref("A")), ("b_c", True, ref)))),
    )
    fields = st.dictionaries(st.sampled_from(FIELDS[:3]), st.tuples(st.booleans(), kinds))
    rest = (("_f", False, Simple("any")),)
    models = fields.map(lambda of: Fields((*((name, *value) for name, value in of.items()), *rest)))
    return st.fixed_dictionaries(dict.fromkeys(NAMES, models))


@st.composite
def _fields(draw: st.DrawFn, names: list[str], known: tuple[str, ...], depth: int) -> Fields:
    """One to four fields."""
    fields = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True))
    return Fields(
        tuple((field, draw(st.booleans()), draw(_types(names, depth))) for field in fields)
    )


@st.composite
def _types(draw: st.DrawFn, names: list[str], depth: int) -> Type:
    """Whatever can be the value of a field; fields within must not look like a map."""
    match draw(st.integers(0, 3 if depth else 1)):
        case 2:
            return ListOf(draw(_types(names, depth - 1)))
        case 3:
            return draw(_fields(names, FIELDS[:4], depth - 1))
        case _:
            return draw(_unions(names, depth))


@st.composite
def _unions(draw: st.DrawFn, names: list[str], depth: int) -> Type:
    """Types within quotes; what is said together does not contain one another."""
    or_null = draw(st.booleans())
    match draw(st.integers(0, 5)):
        case 0:
            return Simple(draw(st.sampled_from(["any", "null"])))
        case 1:
            return Either((draw(_literals()),), or_null)
        case 2:
            return Either((draw(_parts(names, depth)),), or_null)
        case _:
            parts = draw(st.lists(_parts(names, depth), min_size=1, max_size=4, unique_by=_family))
            return Either(tuple(parts), or_null)


def _family(kind: Type) -> object:
    """Of each family, one is in a union; formats and models may come together."""
    match kind:
        case Simple("number" | "integer"):
            return "number"
        case Simple("object") | Ref():
            return "object"
        case Simple("string" | "uuid" | "date" | "date-time"):
            return "string"
        case Simple(word):
            return word
        case _:
            return type(kind)


@st.composite
def _parts(draw: st.DrawFn, names: list[str], depth: int) -> Type:
    """What can stand in a union."""
    bounds = sorted(draw(st.lists(st.integers(0, 4), min_size=2, max_size=2)))
    low, high = (draw(st.sampled_from([None, bound])) for bound in bounds)
    match draw(st.integers(0, 5 if depth else 4)):
        case 0:
            return Simple("string", low, high)
        case 1:
            return Simple("integer", low and -low, high)
        case 2:
            return Simple("number", None if low is None else low / 2, high)
        case 3:
            return Ref(draw(st.sampled_from(names)))
        case 4:
            words = ["uuid", "date", "date-time", "boolean", "object"]
            return Simple(draw(st.sampled_from(words)))
        case _:
            return ListOf(draw(_unions(names, depth - 1)), low, high)


@st.composite
def _literals(draw: st.DrawFn) -> Literals:
    """At least two, unless the one is quoted."""
    words = draw(st.lists(st.sampled_from(WORDS + QUOTED), min_size=1, max_size=4, unique=True))
    if len(words) == 1 and words[0] in WORDS:
        words.append(draw(st.sampled_from(QUOTED)))
    return Literals(tuple(words))


# ---------------------------------------------------------------- values


def fits(kind: Type, value: object, models: Models) -> bool:
    """Whether a value is what a type allows."""
    match kind:
        case Simple():
            return _fits_simple(kind, value)
        case Literals(words):
            return value in words
        case Ref(name):
            return fits(models[name], value, models)
        case ListOf(item, low, high):
            return (
                isinstance(value, list)
                and _within(len(value), low, high)
                and all(fits(item, element, models) for element in value)
            )
        case Either(parts, or_null):
            return (or_null and value is None) or any(fits(part, value, models) for part in parts)
        case Fields(fields):
            return isinstance(value, dict) and all(
                fits(of, value[name], models) if name in value else not must
                for name, must, of in fields
            )


def _fits_simple(kind: Simple, value: object) -> bool:
    """Whether a value is of a type with a name."""
    word, low, high = kind
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match word, value:
        case "any", _:
            return True
        case "null", _:
            return value is None
        case "boolean", _:
            return value is True or value is False
        case "object", _:
            return isinstance(value, dict)
        case "string", str(text):
            return _within(len(text), low, high)
        case (("number" | "integer"), (int() | float() as number)) if is_number:
            return (word == "number" or number == int(number)) and _within(number, low, high)
        case (("uuid" | "date" | "date-time"), str(text)):
            return word in STRINGS[text]
        case _:
            return False


def _within(number: float, low: float | None, high: float | None) -> bool:
    """Whether a number keeps bounds, both included."""
    return (low is None or low <= number) and (high is None or number <= high)


def values(kind: Type, models: Models, depth: int = 4) -> st.SearchStrategy[object]:
    """Values that mostly fit a type, and now and then do not."""
    return st.integers(0, 11).flatmap(
        lambda die: _ANYTHING if die == 0 or depth == 0 else _meant(kind, models, depth)
    )


_VALUES: list[object] = [None, True, 0, -2, 3.0, 0.5, 7, "", "a", "low", UUID, [], {}, [{}]]
_ANYTHING = st.sampled_from(_VALUES)
_NUMBERS = [*range(-4, 6), 0.5, 1.5, 2.0]
_SIMPLE: dict[str, Sequence[object]] = {
    "string": list(STRINGS),
    "uuid": [UUID, UUID.upper(), UUID[1:]],
    "date": ["2026-01-31", "2026-02-30"],
    "date-time": ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00"],
    "number": _NUMBERS,
    "integer": _NUMBERS,
    "boolean": [True, False],
    "null": [None],
    "object": [{}, {"a": 1}],
    "any": _VALUES,
}


def _meant(kind: Type, models: Models, depth: int) -> st.SearchStrategy[object]:
    """Values that were meant to fit."""
    match kind:
        case Simple(word):
            return st.sampled_from(_SIMPLE[word])
        case Literals(words):
            return st.sampled_from(words)
        case Ref(name):
            return values(models[name], models, depth - 1)
        case ListOf(item):
            return st.lists(values(item, models, depth - 1), max_size=4)
        case Either(parts, or_null):
            of_parts = [values(part, models, depth - 1) for part in parts]
            return st.one_of(*of_parts, *[st.none()] * or_null)
        case Fields(fields):
            must = {name: values(of, models, depth - 1) for name, needed, of in fields if needed}
            may = {name: values(of, models, depth - 1) for name, needed, of in fields if not needed}
            return st.fixed_dictionaries(must, optional=may | {"other": _ANYTHING})


# ---------------------------------------------------------------- values that end


def is_complete(models: Models, name: str) -> bool:
    """Whether a model has a value that ends."""
    complete: set[str] = set()
    for _ in models:
        complete |= {other for other, model in models.items() if _ends(model, complete)}
    return name in complete


def _ends(kind: Type, complete: set[str]) -> bool:
    """Whether a type has a value that ends, if these models have."""
    match kind:
        case Ref(name):
            return name in complete
        case ListOf(item, low, _):
            return not low or _ends(item, complete)
        case Either(parts, or_null):
            return or_null or any(_ends(part, complete) for part in parts)
        case Fields(fields):
            return all(_ends(of, complete) for _, must, of in fields if must)
        case _:
            return True
