"""JSON Schema at the speed of Rust: the only module that imports jsonschema_rs.

Nothing is ever retrieved: every validator is made offline, and what a reference
may lead to is handed in beforehand.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from pytest_orchestrator._checks.nodes import join, shortened, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jsonschema_rs import ValidationError, Validator

_Kind = jsonschema_rs.ValidationErrorKind
# Enough for every honest pattern, and over within milliseconds for the others.
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)
_SHOWN = 8


class Unchecked(Exception):
    """The schema or the value is not one that can be evaluated at all."""


class Breach(NamedTuple):
    """What a schema does not allow.

    Attributes:
        pointer: Where in the value.
        keyword: Of the schema, e.g. ``"required"``; ``"slow"`` for a pattern that was given up.
        what: A sentence.
        cure: An order.
    """

    pointer: str
    keyword: str
    what: str
    cure: str


class Evaluator:
    """A schema, ready to be held against values.

    Args:
        schema: Names its dialect by ``$schema``; without, it is of 2020-12.
        resources: What references may lead to, by URI.
        formats: Predicates of the formats that are asserted; none of the others is.

    Raises:
        Unchecked: It is no schema.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        resources: Mapping[str, Mapping[str, Any]] | None = None,
        formats: Mapping[str, Callable[[object], bool]] | None = None,
    ) -> None:
        known = [(uri, dict(resource)) for uri, resource in (resources or {}).items()]
        try:
            self._validator: Validator = jsonschema_rs.validator_for(
                dict(schema),
                registry=jsonschema_rs.Registry(known) if known else None,
                formats={name: _guarded(test) for name, test in (formats or {}).items()},
                validate_formats=formats is not None,
                pattern_options=_PATTERNS,
                offline=True,
            )
        except (ValueError, jsonschema_rs.ReferencingError) as problem:
            raise Unchecked(shortened(str(getattr(problem, "message", problem)))) from None

    def breaches(self, value: object) -> Iterator[Breach]:
        """All that the schema does not allow in a value, of a choice what was meant.

        Raises:
            Unchecked: It is no value of JSON, or nests too deep.
        """
        try:
            # The question alone is short-circuited, so what is right costs least.
            if self._validator.is_valid(value):
                return
            errors = list(self._validator.iter_errors(value))
        except ValueError as problem:
            raise Unchecked(shortened(str(getattr(problem, "message", problem)))) from None
        for error in errors:
            yield from map(_breach, _meant(error))


@cache
def pattern_problem(pattern: str) -> str:
    """Why a text is no regular expression that can be used; empty if it is one."""
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=_PATTERNS, offline=True)
    except ValueError:
        return f"{shown(pattern)} is not a regular expression of ECMA-262"
    return ""


def _guarded(test: Callable[[object], bool]) -> Callable[[object], bool]:
    def guarded(value: object) -> bool:
        try:
            return test(value)
        except ValueError:
            return False

    return guarded


def _meant(error: ValidationError) -> Iterator[list[ValidationError]]:
    """The errors that tell why; of "X or a reference" all those in X, if none was written.

    Several in one list are those of alternatives that ask for something else at the
    same place.
    """
    branches = [branch for branch in getattr(error.kind, "context", ()) if branch]
    if not branches or isinstance(error.kind, _Kind.OneOfMultipleValid):
        yield [error]
        return
    meant = [branch for branch in branches if not _wants_reference(branch)] or branches
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _meant(inner)
        return
    reasons = [max((r for e in branch for r in _meant(e)), key=_depth) for branch in meant]
    deepest = max(map(_depth, reasons))
    yield [one for reason in reasons if _depth(reason) == deepest for one in reason]


def _wants_reference(branch: list[ValidationError]) -> bool:
    return any(isinstance(e.kind, _Kind.Required) and e.kind.property == "$ref" for e in branch)


def _depth(errors: list[ValidationError]) -> int:
    return len(errors[0].instance_path)


def _breach(errors: list[ValidationError]) -> Breach:
    first = errors[0]
    alike = [error for error in errors if type(error.kind) is type(first.kind)]
    what, cure = _told(first, alike)
    keyword = first.kind.name
    if isinstance(first.kind, (_Kind.BacktrackLimitExceeded, _Kind.RegexEngineFailure)):
        keyword = "slow"
    return Breach(join("", *first.instance_path), keyword, what, cure)


def _told(error: ValidationError, alike: list[ValidationError]) -> tuple[str, str]:
    """What is wrong, and the cure."""
    value = shown(error.instance)
    match error.kind:
        case _Kind.Required() | _Kind.Type() | _Kind.Enum():
            return _told_together(value, [e.kind for e in alike])
        case _Kind.Constant(expected_value=expected):
            return f"{value} is not {shown(expected)}", f"write {shown(expected)}"
        case _Kind.AdditionalProperties() | _Kind.UnevaluatedProperties():
            names = error.kind.unexpected
            verb = "is" if len(names) == 1 else "are"
            return f"{_listed(names)} {verb} not known here", "take it out, or correct its name"
        case _Kind.Pattern(pattern=pattern):
            return f"{value} does not match {shown(pattern)}", "write it as the pattern asks"
        case _Kind.Format(format=name):
            return f"{value} is not of the format {shown(name)}", f"write a valid {name}"
        case _Kind.BacktrackLimitExceeded() | _Kind.RegexEngineFailure():
            what = f"the search for a pattern in {value} was given up"
            return what, "write the pattern without nested repetition or look-around"
        case _:
            what, cure = _RARE.get(error.kind.name, ("", ""))
            return what or shortened(_neutral(error)), cure or "change it so that this holds"


_RARE = {
    "falseSchema": ("stands where nothing may", "take it out"),
    "minProperties": ("has too few members", "add what is missing"),
    "minItems": ("has too few elements", "add what is missing"),
    "not": ("is what 'not' rules out", "write something else"),
    "oneOf": ("fits none of its alternatives, or more than one", "make it fit one"),
    "uniqueItems": ("has an element twice", "keep one of them"),
}


def _told_together(value: str, kinds: list[Any]) -> tuple[str, str]:
    """What several alternatives ask for at the same place."""
    match kinds[0]:
        case _Kind.Required():
            names = _listed(kind.property for kind in kinds)
            if len(kinds) == 1:
                return f"{names} is missing", "add it"
            return f"one of {names} is missing", "add one of them"
        case _Kind.Type():
            names = " or ".join(dict.fromkeys(name for kind in kinds for name in kind.types))
            return f"{value} is not of type {names}", f"write a value of type {names}"
        case _:
            options = _listed(option for kind in kinds for option in kind.options)
            return f"{value} is none of {options}", "write one of them"


def _neutral(error: ValidationError) -> str:
    """The vendor's sentence, with the value cut."""
    sentence: str = error.message
    written = shown(error.instance, 10_000)
    return sentence.replace(written, shown(error.instance))


def _listed(values: Iterable[object]) -> str:
    texts = list(dict.fromkeys(shown(value) for value in values))
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
