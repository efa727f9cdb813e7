"""OpenAPI contracts: valid, complete enough for the runbook, and really served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.comparison import Comparison
from pytest_orchestrator._checks.nodes import Node, place, shown
from pytest_orchestrator._checks.outline import Operation, Outline
from pytest_orchestrator._checks.references import find_references
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PARAMETER = re.compile(r"\{([^}]*)\}")
_VERSION = re.compile(r"(3\.[0-2])\.[0-9]+")
_SUCCESS = re.compile(r"2([0-9]{2}|XX)")


def check_openapi(document: object, name: str) -> Verdict:
    """Whether a document is valid OpenAPI 3.0, 3.1 or 3.2, and self-contained.

    References come first: what leads out of the document, or nowhere, is found
    and nothing else is looked at, because whoever looks might follow it. Nothing
    is ever read from the network or from a file.

    Args:
        document: As ``read_document`` returns it.
        name: What findings call the document, e.g. ``"core-api.json"``.

    Returns:
        One finding for each thing that is wrong, most exact kind first: the
        official schema, then path parameters and operation ids, then the rest of
        openapi-spec-validator's rules if all else is fine.
    """
    return Verdict("openapi", _invalid(document, name))


def check_covers(document: object, operations: Sequence[str], name: str) -> Verdict:
    """Whether a document describes all that the runbook asks for.

    Args:
        document: An OpenAPI document, valid or not.
        operations: As in the runbook: ``["GET /health", "POST /internal/query"]``.
        name: What findings call the document.

    Returns:
        A finding for each operation that is missing, with the nearest path there
        is, or that describes no response of the 200s.
    """
    outline = Outline(document)
    findings = [_uncovered(outline, operation, name) for operation in operations]
    return Verdict("covers", tuple(finding for finding in findings if finding is not None))


def check_serves(published: object, served: object, name: str) -> Verdict:
    """Whether the running service serves what was published.

    Compared are operations, their parameters, request bodies, responses and all
    schemas, in a normal form that knows no difference between OpenAPI 3.0 and
    3.2, nor between the ways to write the same schema. What is served and was
    not published is fine, except for what a request then must have; a schema
    that differs at all is not.

    Args:
        published: The contract's document.
        served: What the running service shows as its own document.
        name: What findings call the contract.

    Returns:
        A finding for each difference, in the order of the published document and
        with the place there, the operation, and both values.
    """
    findings: list[Finding] = []
    for document, called in ((published, name), (served, f"{name} (as served)")):
        findings += find_references(document, called)
        if not isinstance(Node(document).child("paths").value, dict):
            findings.append(Finding(place(called, "/paths"), "is not an object", "paths"))
    if not findings:
        findings += _unserved(published, served, name)
    return Verdict("serves", tuple(findings))


def _unserved(published: object, served: object, name: str) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(Comparison(Outline(published), Outline(served), name).findings())
    except RecursionError:
        what = "schemas lead to each other too many times to be compared to their end"
        findings.append(Finding(place(name, ""), what, "unchecked"))
    return findings


def _invalid(document: object, name: str) -> tuple[Finding, ...]:
    if not isinstance(document, dict):
        return (Finding(place(name, ""), f"{shown(document)} is not an object", "type"),)
    written = document.get("openapi")
    version = _VERSION.fullmatch(written) if isinstance(written, str) else None
    if version is None:
        what = f'{shown(written)} is not the text of a version from 3.0 to 3.2, e.g. "3.1.0"'
        return (Finding(place(name, "/openapi"), what, "version"),)
    return find_references(document, name) or _breaches(document, version[1], name)


def _breaches(document: dict[str, object], version: str, name: str) -> tuple[Finding, ...]:
    # The official schemas take a moment to load, and only this check needs them.
    from pytest_orchestrator._checks import official  # noqa: PLC0415

    problems = official.schema_problems(document, version)
    findings = [Finding(place(name, p.pointer), p.what, p.rule) for p in problems]
    outline = Outline(document)
    findings += _ambiguous_ids(outline, name)
    for operation in outline.operations():
        findings += _wrong_path_parameters(outline, operation, name)
    if not findings:
        rest = official.rule_problems(document, version)
        findings += [Finding(place(name, p.pointer), p.what, p.rule) for p in rest]
    return tuple(findings)


def _ambiguous_ids(outline: Outline, name: str) -> Iterator[Finding]:
    first: dict[str, Operation] = {}
    for operation in outline.operations():
        identifier = operation.node.child("operationId")
        if isinstance(identifier.value, str):
            known = first.setdefault(identifier.value, operation)
            if known is not operation:
                what = f"{shown(identifier.value)} is already the id of {known}"
                yield Finding(place(name, identifier.pointer), what, "operation-id")


def _wrong_path_parameters(outline: Outline, operation: Operation, name: str) -> Iterator[Finding]:
    in_path = _PARAMETER.findall(operation.path)
    declared = {
        key: node for (kind, key), node in outline.parameters(operation).items() if kind == "path"
    }
    for parameter in in_path:
        if parameter not in declared:
            what = f"{operation} does not declare its path parameter {parameter!r}"
            yield Finding(place(name, operation.node.pointer), what, "path-parameter")
    for parameter, node in declared.items():
        if parameter not in in_path:
            what = f"the path of {operation} has no parameter {parameter!r}"
            yield Finding(place(name, node.pointer), what, "path-parameter")
        elif node.child("required").value is not True:
            what = f"path parameter {parameter!r} of {operation} must say: required: true"
            yield Finding(place(name, node.pointer), what, "path-parameter")


def _uncovered(outline: Outline, wanted: str, name: str) -> Finding | None:
    method, _, path = wanted.partition(" ")
    found = next((o for o in outline.operations() if (o.method, o.path) == (method, path)), None)
    if found is not None:
        responses = found.node.child("responses")
        if any(_SUCCESS.fullmatch(status) for status, _ in responses.members()):
            return None
        what = f"{wanted} describes no response of the 200s"
        return Finding(place(name, responses.pointer), what, "covers")
    path_item = outline.root.child("paths", path)
    at = path_item if path_item.value is not None else outline.root.child("paths")
    what = f"{wanted} is not described; {outline.instead_of(path)}"
    return Finding(place(name, at.pointer), what, "covers")
