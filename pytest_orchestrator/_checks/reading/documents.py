"""Reading JSON and YAML nobody has vouched for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.reading.json_reader import parse_json
from pytest_orchestrator._checks.reading.limits import MAX_BYTES, Unreadable
from pytest_orchestrator._domain.verdict import Verdict

if TYPE_CHECKING:
    from pytest_orchestrator._checks.reading.yaml_reader import Lines
LinesOf = Callable[[Iterable[str]], dict[str, int]]


def read_document(data: bytes, name: str) -> tuple[object | None, Verdict]:
    """Read a contract, JSON or YAML.

    It is taken for JSON, and only for JSON, if ``name`` ends in ``.json`` or
    its text starts with ``{`` or ``[``. YAML is read by the core schema of YAML
    1.2 (``no`` is a text, a date is a text, keys are texts) and only as far as
    JSON goes: no aliases, anchors, tags, merge keys or second documents.

    Args:
        data: The bytes as they are published; UTF-8, at most 5 MB.
        name: What findings call the document, e.g. ``"core-api.json"``.

    Returns:
        The document, and a verdict without findings; or ``None`` and a verdict
        that says what stands where: ``"core-api.yaml:7:3"``. Because ``null`` is
        a document, too, the verdict decides.
    """
    return read(data, name, check="document", json_only=name.endswith(".json"))


def read(data: bytes, name: str, *, check: str, json_only: bool) -> tuple[object | None, Verdict]:
    """Read bytes under the limits of this module; findings instead of exceptions."""
    try:
        return parse(data, json_only=json_only)[0], Verdict(check)
    except Unreadable as problem:
        return None, Verdict(check, (problem.found_in(name),))


def parse(data: bytes, *, json_only: bool) -> tuple[object, LinesOf]:
    """The document in some bytes, and what tells the line of pointers into it.

    Raises:
        Unreadable: There is none.
    """
    text = _decoded(data)
    if json_only or text.lstrip().startswith(("{", "[")):
        return parse_json(text), partial(_json_lines, text)
    # PyYAML has one door, and most sessions never go through it.
    from pytest_orchestrator._checks.reading.yaml_reader import parse_yaml  # noqa: PLC0415

    lines: Lines = {}
    document = parse_yaml(text, lines)
    return document, partial(_yaml_lines, document, lines)


def _json_lines(text: str, pointers: Iterable[str]) -> dict[str, int]:
    # Only what is wrong has to be found again.
    from pytest_orchestrator._checks.reading.lines import json_lines  # noqa: PLC0415

    return json_lines(text, pointers)


def _yaml_lines(document: object, lines: Lines, pointers: Iterable[str]) -> dict[str, int]:
    from pytest_orchestrator._checks.reading.lines import yaml_lines  # noqa: PLC0415 - likewise

    return yaml_lines(document, lines, pointers)


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        what = f"has {len(data)} bytes; at most {MAX_BYTES} are read"
        raise Unreadable(what, rule="size")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        what = f"is not UTF-8: {problem.reason} at byte {problem.start}"
        raise Unreadable(what, rule="encoding") from None
