"""What a document refers to, found without following anything out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.nodes import Node, follow, join, place, shown
from pytest_orchestrator._checks.rules.faults import Fault, told
from pytest_orchestrator._checks.rules.near import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.verdict import Finding

# Members that are data of the application: a "$ref" in there refers to nothing.
_DATA = frozenset({"const", "dataValue", "default", "enum", "example", "value"})
# Objects whose keys were chosen by the author, so that none of them is a keyword.
_NAMED = frozenset(
    """
    $defs additionalOperations callbacks content definitions dependentSchemas encoding examples
    headers links mapping mediaTypes parameters pathItems paths patternProperties properties
    requestBodies responses schemas scopes securitySchemes variables webhooks
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
# They change what a reference means, or are references of a kind nobody here resolves.
_ELSEWHERE = ("$id", "$anchor", "$dynamicAnchor", "$dynamicRef")
_Problem = tuple[str, str, str] | None
_CYCLE = (
    "leads back to itself and never to a value",
    "ref-cycle",
    "refer to what is meant, directly",
)
_EXTERNAL = "copy what is meant into a file below this folder, and refer to that"


class Reference(NamedTuple):
    """A reference as it is written.

    Attributes:
        holder: The object it is a member of.
        key: The member, ``"$ref"`` or the key of a discriminator's mapping.
        pointer: Where the member stands.
        target: What it says; a text, unless the document is malformed.
    """

    holder: dict[str, object]
    key: str
    pointer: str
    target: object


def find_references(document: object, name: str) -> tuple[Finding, ...]:
    """Everything that keeps a document from being read by itself; reads nothing else."""
    faults = reference_faults(document)
    return tuple(told(place(name, f.pointer), f.what, f.rule, f.cure) for f in faults)


def objects(document: object, pointer: str = "") -> Iterator[Node]:
    """The objects of a document whose keys have a meaning, in document order."""
    todo: list[tuple[object, str, bool]] = [(document, pointer, False)]
    while todo:
        value, there, named = todo.pop()
        if isinstance(value, dict):
            if not named:
                yield Node(value, there)
            below = [
                (child, join(there, key), not named and key in _NAMED and isinstance(child, dict))
                for key, child in value.items()
                if isinstance(child, (dict, list)) and (named or not _is_data(str(key), child))
            ]
        elif isinstance(value, list):
            below = [
                (child, f"{there}/{index}", False)
                for index, child in enumerate(value)
                if isinstance(child, (dict, list))
            ]
        else:
            continue
        below.reverse()
        todo += below


def references(document: object, pointer: str = "") -> Iterator[Reference]:
    """All references of a document, in its order."""
    for node in objects(document, pointer):
        yield from _references(node)


def reference_faults(document: object) -> Iterator[Fault]:
    """What leads out of a document, nowhere, or back to itself before there is a value."""
    embedded = document.get("x-files") if isinstance(document, dict) else None
    yield from _faults(document, document, "")
    if isinstance(embedded, dict):
        for file, content in embedded.items():
            yield from _faults(document, content, join("/x-files", file))


def _faults(document: object, part: object, pointer: str) -> Iterator[Fault]:
    known: dict[object, _Problem] = {}
    for node in objects(part, pointer):
        for reference in _references(node):
            target = reference.target
            if not isinstance(target, str):
                yield Fault(reference.pointer, *_external(target))
                continue
            problem = _problem(document, target, known)
            if problem is not None:
                yield Fault(reference.pointer, *problem)
        for keyword in _ELSEWHERE:
            if keyword in node and (node.pointer or keyword != "$id"):
                what = f"{keyword} is not supported, as it changes what references mean"
                cure = "take it out, and refer to a place in this document by '#/…'"
                yield Fault(join(node.pointer, keyword), what, "ref-base", cure)


def _is_data(key: str, value: object) -> bool:
    listed_examples = key == "examples" and isinstance(value, list)
    return key in _DATA or key.startswith("x-") or listed_examples


def _references(node: Node) -> Iterator[Reference]:
    holder = node.value
    if not isinstance(holder, dict):
        return
    if "$ref" in holder:
        yield Reference(holder, "$ref", f"{node.pointer}/$ref", holder["$ref"])
    mapping = holder.get("mapping")
    if isinstance(mapping, dict):
        for key, target in mapping.items():
            # A discriminator may also give the bare name of a schema.
            if isinstance(target, str) and ("/" in target or "#" in target):
                yield Reference(mapping, key, join(node.pointer, "mapping", key), target)


def _external(target: object) -> tuple[str, str, str]:
    what = f"refers to {shown(target)}, but references lead to '#/…' or to a file below the folder"
    return what, "ref-external", _EXTERNAL


def _problem(document: object, reference: str, known: dict[object, _Problem]) -> _Problem:
    """What is wrong where a reference leads; noted for all it passes, so none is followed twice."""
    passed: dict[object, None] = {}
    step: object = reference
    while step not in known:
        passed[step] = None
        found = _followed(document, step)
        if not isinstance(found, Node):
            known[step] = found
        elif "$ref" not in found:
            known[step] = None
        else:
            step = found.child("$ref").value
            if not isinstance(step, str):
                known[step := reference] = _external(found.child("$ref").value)
            elif step in passed:
                known[step] = _CYCLE
    problem = known[step]
    known.update(dict.fromkeys(passed, problem))
    return problem


def _followed(document: object, step: object) -> Node | tuple[str, str, str]:
    """Where one step leads, or why nowhere."""
    if not isinstance(step, str) or not (step == "#" or step.startswith("#/")):
        return _external(step)
    try:
        return follow(document, step)
    except LookupError:
        what = f"refers to {shown(step)}, which is not there"
        return what, "ref-dangling", _nearest(document, step)


def _nearest(document: object, reference: str) -> str:
    """The order that mends a reference to nowhere, with the nearest name there is."""
    above, _, last = reference.rpartition("/")
    try:
        siblings = follow(document, above).value
    except LookupError:
        siblings = None
    near = nearest(last, map(str, siblings)) if isinstance(siblings, dict) else None
    return f"write {shown(join(above, near))}, or define it" if near else "define it there"
