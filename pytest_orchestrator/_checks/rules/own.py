"""What OpenAPI says in words, and its official schemas do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import Node, join, shown
from pytest_orchestrator._checks.rules.evaluation import pattern_problem
from pytest_orchestrator._checks.rules.faults import Fault
from pytest_orchestrator._checks.rules.near import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_orchestrator._checks.comparison.outline import Operation, Outline
    from pytest_orchestrator._checks.rules.parts import Part

_DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://spec.openapis.org/oas/3.",
)
_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_PARAMETER = re.compile(r"\{([^}]*)\}")


def rule_faults(outline: Outline, parts: Iterable[Part], version: str) -> Iterator[Fault]:
    """All that breaks these rules, rule by rule."""
    root = outline.root
    if not root.child("paths").value and not root.child("webhooks").value:
        at = "/paths" if "paths" in root else ""
        yield Fault(at, "describes no path", "no-paths", "describe at least one path")
    if "jsonSchemaDialect" in root:
        yield from _foreign_dialect(root.child("jsonSchemaDialect"))
    operations = list(outline.operations())
    if version == "3.0":
        yield from _bad_names(root.child("components"))
    yield from _ambiguous_ids(outline, parts)
    yield from _ambiguous_paths(root)
    for operation in operations:
        yield from _wrong_path_parameters(outline, operation)
    yield from _unknown_schemes(root.child("security"), root)
    for part in parts:
        node = Node(part.value, part.pointer)
        if part.kind == "operation":
            yield from _unknown_schemes(node.child("security"), root)
            yield from _without_responses(node)
        if part.kind in {"operation", "path-item"}:
            yield from _repeated_parameters(outline, node.child("parameters"))
        if part.kind == "schema" and isinstance(part.value, dict):
            yield from _wrong_schema(part.value, part.pointer, version)


def told_by(own: Iterable[Fault]) -> set[tuple[str, str]]:
    """Places, and what the official schema says there, of which these faults say more.

    What it says is empty where it does not matter.
    """
    told: set[tuple[str, str]] = set()
    for fault in own:
        if fault.rule == "no-responses":
            told |= {(fault.pointer, '"responses" is missing')}
            told |= {(fault.pointer, "")} if fault.pointer.endswith("/responses") else set()
        elif fault.rule == "path-parameter":
            told |= {(f"{fault.pointer}/required", ""), (fault.pointer, '"required" is missing')}
    return told


def _ambiguous_ids(outline: Outline, parts: Iterable[Part]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    names = {operation.node.pointer: str(operation) for operation in outline.operations()}
    for part in parts:
        written = part.value.get("operationId") if isinstance(part.value, dict) else None
        if part.kind == "operation" and isinstance(written, str):
            known = first.setdefault(written, part.pointer)
            if known != part.pointer:
                what = f"{shown(written)} is already the id of {names.get(known, known)}"
                cure = f"give one of them another id; the first is at #{known}"
                yield Fault(f"{part.pointer}/operationId", what, "operation-id", cure)


def _bad_names(components: Node) -> Iterator[Fault]:
    """What the official schema of 3.0 looks past; those of later versions do not."""
    for _, kind in components.members():
        for name, node in kind.members():
            if _NAME.fullmatch(name) is None:
                what = f"{shown(name)} is no name of a component"
                cure = "use letters, digits, '.', '-' and '_' only"
                yield Fault(node.pointer, what, "component-name", cure)


def _ambiguous_paths(root: Node) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for path, node in root.child("paths").members():
        known = first.setdefault(_PARAMETER.sub("{}", path), path)
        if known != path:
            what = f"has the same shape as {known}, so a request fits both"
            yield Fault(node.pointer, what, "same-path", "make them one path")


def _wrong_path_parameters(outline: Outline, operation: Operation) -> Iterator[Fault]:
    in_path = dict.fromkeys(_PARAMETER.findall(operation.path))
    declared = {
        key: node for (kind, key), node in outline.parameters(operation).items() if kind == "path"
    }
    for parameter in in_path:
        if parameter not in declared:
            what = f"{operation} does not declare its path parameter {parameter!r}"
            cure = "declare it in parameters, in: path"
            yield Fault(operation.node.pointer, what, "path-parameter", cure)
    for parameter, node in declared.items():
        if parameter not in in_path:
            what = f"the path of {operation} has no parameter {parameter!r}"
            near = nearest(parameter, in_path)
            cure = f"call it {near!r}" if near else "take it out, or put it into the path"
            yield Fault(node.pointer, what, "path-parameter", cure)
        elif node.child("required").value is not True:
            what = f"path parameter {parameter!r} of {operation} is not required"
            yield Fault(node.pointer, what, "path-parameter", "write required: true")


def _repeated_parameters(outline: Outline, parameters: Node) -> Iterator[Fault]:
    first: dict[tuple[object, object], Node] = {}
    for written in parameters.elements():
        node = outline.resolve(written)
        kind, name = node.child("in").value, node.child("name").value
        if isinstance(kind, str) and isinstance(name, str):
            key = (kind, name.lower() if kind == "header" else name)
            if first.setdefault(key, written) is not written:
                what = f"declares {kind} parameter {name!r} a second time"
                yield Fault(written.pointer, what, "same-parameter", "keep one of them")


def _unknown_schemes(requirements: Node, root: Node) -> Iterator[Fault]:
    schemes = root.child("components", "securitySchemes").value
    known = dict.fromkeys(map(str, schemes)) if isinstance(schemes, dict) else {}
    for requirement in requirements.elements():
        for name, node in requirement.members():
            if name not in known:
                what = f"{shown(name)} is no security scheme of components"
                near = nearest(name, known)
                cure = f"write {shown(near)}" if near else "define it in securitySchemes"
                yield Fault(node.pointer, what, "security-scheme", cure)


def _without_responses(operation: Node) -> Iterator[Fault]:
    responses = operation.child("responses")
    if not responses.value:
        at = responses.pointer if "responses" in operation else operation.pointer
        cure = "describe at least one response"
        yield Fault(at, "describes no response", "no-responses", cure)


def _wrong_schema(schema: dict[str, object], pointer: str, version: str) -> Iterator[Fault]:
    if schema.get("enum") == []:
        cure = "list the values, or take it out"
        yield Fault(f"{pointer}/enum", "lists no value, so nothing fits it", "empty-enum", cure)
    if "$schema" in schema:
        yield from _foreign_dialect(Node(schema["$schema"], f"{pointer}/$schema"))
    if version != "3.0" and "nullable" in schema:
        what = f"'nullable' means nothing in OpenAPI {version}"
        cure = 'take it out, and add "null" to type'
        yield Fault(f"{pointer}/nullable", what, "nullable", cure)
    yield from _bad_patterns(schema, pointer)
    yield from _impossible(schema, pointer)


def _foreign_dialect(node: Node) -> Iterator[Fault]:
    if not str(node.value).startswith(_DIALECTS):
        what = f"{shown(node.value)} is a dialect nobody here knows"
        yield Fault(node.pointer, what, "dialect", "take it out")


def _bad_patterns(schema: dict[str, object], pointer: str) -> Iterator[Fault]:
    patterns = [(f"{pointer}/pattern", schema.get("pattern"))]
    named = schema.get("patternProperties")
    if isinstance(named, dict):
        patterns += [(join(pointer, "patternProperties", key), key) for key in named]
    for there, pattern in patterns:
        problem = pattern_problem(pattern) if isinstance(pattern, str) else ""
        if problem:
            yield Fault(there, problem, "pattern", "mend it; a literal sign takes a backslash")


def _impossible(schema: dict[str, object], pointer: str) -> Iterator[Fault]:
    required, properties = schema.get("required"), schema.get("properties", {})
    if schema.get("additionalProperties") is not False or "patternProperties" in schema:
        return
    if isinstance(required, list) and isinstance(properties, dict):
        for index, name in enumerate(required):
            if isinstance(name, str) and name not in properties:
                what = f"requires {shown(name)}, which additionalProperties: false rules out"
                near = nearest(name, map(str, properties))
                cure = f"write {shown(near)}" if near else "add it to properties"
                yield Fault(f"{pointer}/required/{index}", what, "impossible-required", cure)
