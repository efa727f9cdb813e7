"""JSON Schema, with formats asserted and no network: the only module that imports jsonschema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
from referencing.jsonschema import DRAFT202012

from pytest_orchestrator._checks.formats import FORMATS as _FORMATS
from pytest_orchestrator._checks.nodes import join, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

DIALECT = str(Draft202012Validator.META_SCHEMA["$id"])


class Problem(NamedTuple):
    """One thing a schema does not allow, and where in the value it stands."""

    pointer: str
    what: str
    rule: str


def schema_problems(schema: object) -> list[Problem]:
    """What keeps a schema from being one of draft 2020-12."""
    metaschema = Draft202012Validator.META_SCHEMA
    return _problems(
        Draft202012Validator(metaschema, registry=REGISTRY, format_checker=_PATTERNS), schema
    )


def value_problems(value: object, schema: object, definition: str | None) -> list[Problem]:
    """What a schema, or one of its ``$defs``, does not allow in a value."""
    pointer = "" if definition is None else join("/$defs", definition)
    # Given a registry, jsonschema looks nowhere else; without one it asks the network.
    registry = REGISTRY.with_resource("urn:checked", DRAFT202012.create_resource(schema))
    reference = {"$ref": f"urn:checked#{quote(pointer)}"}
    return _problems(
        Draft202012Validator(reference, registry=registry, format_checker=FORMATS), value
    )


def survived(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once; when the search for them breaks off, that is one, too."""
    found: dict[Problem, None] = {}
    try:
        for problem in problems:
            found[problem] = None
    except BaseException as broken:  # malformed documents make it raise anything
        kind = type(broken).__name__
        # rpds is written in Rust and panics, past ``Exception``, when the stack ends inside it.
        if not isinstance(broken, Exception) and kind != "PanicException":
            raise
        what = f"cannot be checked to its end: {kind}: {shortened(str(broken))}"
        found[Problem("", what, "unchecked")] = None
    return list(found)


def _problems(checked: Validator, value: object) -> list[Problem]:
    return survived(_problem(error) for error in checked.iter_errors(cast("Any", value)))


def _problem(error: ValidationError) -> Problem:
    reason = _reason(error)
    pointer = join("", *reason.absolute_path)
    return Problem(pointer, shortened(reason.message), str(reason.validator))


def _reason(error: ValidationError) -> ValidationError:
    """The innermost error; of "X or a reference" that in X, as no reference was written."""
    while error.context:
        meant = [e for e in error.context if e.validator_value != ["$ref"]] or error.context
        error = max(meant, key=lambda e: len(e.absolute_path))
    return error


FORMATS = FormatChecker(formats=[])
for _name, _predicate in _FORMATS.items():
    FORMATS.checks(_name, raises=ValueError)(_predicate)
_PATTERNS = FormatChecker(formats=["regex"])
