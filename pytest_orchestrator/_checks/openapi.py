"""OpenAPI contracts: valid, complete enough for the runbook, and really served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.comparison.operations import Comparison
from pytest_orchestrator._checks.comparison.outline import Outline
from pytest_orchestrator._checks.nodes import Node, place, shown
from pytest_orchestrator._checks.reading.limits import MAX_DEPTH, is_deep
from pytest_orchestrator._checks.rules.faults import Fault, told
from pytest_orchestrator._checks.rules.references import find_references, reference_faults
from pytest_orchestrator._domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_orchestrator._domain.verdict import Finding

_VERSION = re.compile(r"(3\.[0-2])\.[0-9]+")
_SUCCESS = re.compile(r"2([0-9]{2}|XX)")


def _nobody(_: str) -> None:
    """Tell nobody."""


def check_openapi(document: object, name: str) -> Verdict:
    """Whether a document is valid OpenAPI 3.0, 3.1 or 3.2, and self-contained.

    Everything is looked at in one pass; what a reference leads to outside of the
    document is a finding, and is never read, from the network or from a file.

    Args:
        document: As ``read_document`` returns it.
        name: What findings call the document, e.g. ``"core-api.json"``.

    Returns:
        One finding for each thing that is wrong, with its cure: by the official
        schema first, then references, then the rules of
        docs/reference/contract-rules.md, then examples and defaults.
    """
    faults = dict.fromkeys(openapi_faults(document))
    findings = [told(place(name, f.pointer), f.what, f.rule, f.cure) for f in faults]
    return Verdict("openapi", tuple(findings))


def check_covers(
    document: object,
    operations: Sequence[str],
    name: str,
    *,
    parameters: Mapping[str, Sequence[str]] | None = None,
) -> Verdict:
    """Whether a document describes all that the runbook asks for.

    Args:
        document: An OpenAPI document, valid or not.
        operations: As in the runbook: ``["GET /health", "POST /internal/query"]``.
        name: What findings call the document.
        parameters: Names of parameters by operation, wherever they are sent.

    Returns:
        A finding for each operation that is missing, with the nearest path there
        is, or that describes no response of the 200s; and for each parameter that is missing.
    """
    faults = [*cover_faults(document, operations), *_parameter_faults(document, parameters or {})]
    findings = [told(place(name, f.pointer), f.what, f.rule, f.cure) for f in faults]
    return Verdict("covers", tuple(findings))


def cover_faults(document: object, operations: Sequence[str]) -> Iterator[Fault]:
    """A fault for each operation that is not described, or has no response of the 200s."""
    outline = Outline(document)
    for operation in operations:
        fault = _uncovered(outline, operation)
        if fault is not None:
            yield fault


def _parameter_faults(document: object, parameters: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    outline = Outline(document)
    for operation in outline.operations():
        found = [name for _, name in outline.parameters(operation)]
        for name in parameters.get(str(operation), ()):
            if name not in found and name.lower() not in found:
                there = ", ".join(found) or "none"
                what = f"{operation} has no parameter {name}; it has {there}"
                yield Fault(operation.node.pointer, what, "covers", "describe it, or rename it")


def check_serves(published: object, served: object, name: str) -> Verdict:
    """Whether the running service serves what was published.

    Compared are operations, their parameters, request bodies, responses and all
    schemas, in a normal form that knows no difference between OpenAPI 3.0 and
    3.2, nor between the ways to write the same schema. What is served and was
    not published is fine, also a property of an object that is not closed,
    except for what a request then must have; a schema that differs otherwise is not.

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
            findings.append(told(place(called, "/paths"), "is not an object", "type"))
    if not findings:
        findings += _unserved(published, served, name)
    return Verdict("serves", tuple(findings))


def _unserved(published: object, served: object, name: str) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(Comparison(Outline(published), Outline(served), name).findings())
    except RecursionError:
        what = "schemas lead to each other too many times to be compared to their end"
        findings.append(told(place(name, ""), what, "unchecked"))
    return findings


def openapi_faults(document: object, at: Callable[[str], None] = _nobody) -> Iterator[Fault]:
    """All that is wrong with a document, the most exact kind first; nothing is followed.

    Args:
        document: Of one piece.
        at: Told what is looked at next, in case that takes for ever.
    """
    if not isinstance(document, dict):
        what = f"{shown(document)} is not an object"
        yield Fault("", what, "type", "write an object with openapi, info and paths")
        return
    # Files that are embedded stand two levels below.
    if is_deep(document, MAX_DEPTH + 2):
        cure = "name what is deep within, and refer to it"
        yield Fault("", f"nests deeper than {MAX_DEPTH} levels", "depth", cure)
        return
    written = document.get("openapi")
    found = _VERSION.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        what = f'{shown(written)} is not the text of a version from 3.0 to 3.2, e.g. "3.1.0"'
        yield Fault("/openapi", what, "version", 'write openapi: "3.1.0"')
        return
    yield from _breaches(document, found[1], at)


def _breaches(
    document: dict[str, object], version: str, at: Callable[[str], None]
) -> Iterator[Fault]:
    # The official schemas take a moment to load, and only this check needs them.
    from pytest_orchestrator._checks.rules import (  # noqa: PLC0415
        cycles,
        examples,
        kinds,
        official,
        own,
    )
    from pytest_orchestrator._checks.rules.parts import parts  # noqa: PLC0415 - likewise

    at("its parts")
    found = parts(document)
    broken = list(own.rule_faults(Outline(document), found, version))
    at("the official schema")
    told = own.told_by(broken)
    for fault in official.official_faults(document, version):
        if told.isdisjoint({(fault.pointer, ""), (fault.pointer, fault.what)}):
            yield fault
    at("its references")
    yield from reference_faults(document)
    for part in found:
        if part.entered:
            yield from official.part_faults(part.kind, part.value, part.pointer, version)
    at("its rules")
    yield from kinds.kind_faults(document, found)
    yield from cycles.cycle_faults(document, found)
    yield from broken
    yield from examples.example_faults(document, version, found, at)


def _uncovered(outline: Outline, wanted: str) -> Fault | None:
    method, _, path = wanted.partition(" ")
    found = next((o for o in outline.operations() if (o.method, o.path) == (method, path)), None)
    if found is not None:
        responses = found.node.child("responses")
        if any(_SUCCESS.fullmatch(status) for status, _ in responses.members()):
            return None
        what = f"{wanted} describes no response of the 200s"
        return Fault(responses.pointer, what, "covers", "describe one, e.g. 200")
    path_item = outline.root.child("paths", path)
    at = path_item if path_item.value is not None else outline.root.child("paths")
    what = f"{wanted} is not described; {outline.instead_of(path)}"
    return Fault(at.pointer, what, "covers", "describe it, or correct its method or path")
