"""The official OpenAPI schemas and rules: the only module that imports openapi-spec-validator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from jsonschema_path import SchemaPath
from openapi_spec_validator import (
    OpenAPIV30SpecValidator,
    OpenAPIV31SpecValidator,
    OpenAPIV32SpecValidator,
)
from openapi_spec_validator.schemas import schema_v30, schema_v31, schema_v32

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.references import objects
from pytest_orchestrator._checks.schemas import Problem, openapi_problems, survived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OFFICIAL: dict[str, tuple[Any, Any]] = {
    "3.0": (schema_v30, OpenAPIV30SpecValidator),
    "3.1": (schema_v31, OpenAPIV31SpecValidator),
    "3.2": (schema_v32, OpenAPIV32SpecValidator),
}


class _NoHandlers(dict[str, Any]):
    """Answers for every scheme, and denies it; an empty mapping would mean the network."""

    def __contains__(self, scheme: object) -> bool:
        return True

    def __getitem__(self, scheme: str) -> Callable[[str], NoReturn]:
        return _deny


def _deny(uri: str) -> NoReturn:
    message = f"{uri} is not read"
    raise PermissionError(message)


def schema_problems(document: dict[str, object], version: str) -> list[Problem]:
    """What the official schema of a version, e.g. ``"3.1"``, does not allow."""
    schema, _ = _OFFICIAL[version]
    return openapi_problems(document, version, dict(schema))


def rule_problems(document: dict[str, object], version: str) -> list[Problem]:
    """What breaks the rules behind the schema, request bodies not looked into.

    The rules tell no place but the schema object they were applied to.
    """
    return survived(_rule_problems(document, version))


def _rule_problems(document: dict[str, object], version: str) -> Iterator[Problem]:
    _, rules = _OFFICIAL[version]
    path = SchemaPath.from_dict(document, handlers=_NoHandlers())
    places = {id(node.value): node.pointer for node in objects(document)}
    for error in rules(path).iter_errors():
        pointer = places.get(id(error.schema), "")
        rule = error.validator if isinstance(error.validator, str) else type(error).__name__
        yield Problem(pointer, shortened(error.message), rule)
